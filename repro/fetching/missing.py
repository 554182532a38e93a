"""Fetch the weights that a case needs and that are not here."""

from __future__ import annotations

from pathlib import Path

from repro.cases import Case
from repro.errors import FetchError, NotAvailableError, OptionError
from repro.fetching.family import fetch_family
from repro.fetching.progress import Progress, Silent
from repro.models.finding import find_weights


class Downloads:
    """Finds weights files and fetches those that are missing; each family once.

    What could not be had is not tried again for the next case.

    Args:
        checkpoints: folder with one folder of weights a family.
        progress: is told what happens.
    """

    def __init__(
        self, checkpoints: Path | None, progress: Progress | None = None
    ) -> None:
        self._checkpoints = checkpoints
        self._progress = progress or Silent()
        self._failed: dict[tuple[str, str], FetchError] = {}

    def weights(self, case: Case) -> Path:
        """Give the weights file of a case, fetched if need be.

        Raises:
            NotAvailableError: its family's link does not have it.
            FetchError: the link cannot be fetched.
            OptionError: there is no folder to put it into.
        """
        try:
            return find_weights(case, self._checkpoints)
        except NotAvailableError:
            if self._checkpoints is None:
                raise OptionError(
                    f"weights of {case.family.id} are to be downloaded, but there is "
                    "no folder for them; name one with --repro-checkpoints"
                ) from None
        key = case.family.id, case.checkpoint if case.family.files else ""
        if key in self._failed:
            raise self._failed[key]
        try:
            fetch_family(
                case.release,
                case.family,
                self._checkpoints,
                self._progress,
                only=case.checkpoint,
            )
        except FetchError as error:
            self._failed[key] = error
            raise
        return find_weights(case, self._checkpoints)
