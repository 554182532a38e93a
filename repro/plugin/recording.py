"""Write the results of a run into the ledger as they arrive."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from repro.errors import LedgerError
from repro.plugin.workers import run_folder, run_name
from repro.records.environment import git_state
from repro.records.ledger import Ledger
from repro.records.pruning import prune
from repro.records.result import CaseResult
from repro.records.run import Run


class Recorder:
    """The ledger's side of a run, in the process that the user started.

    Args:
        config: of the run.
        folder: of the ledger.
        planned: how many cases were selected.
        baseline: the run that reports are going to compare this one with.
        lasting: arguments to write down beside those of the command line.

    Raises:
        LedgerError: the ledger cannot be written, or has no such baseline.
    """

    def __init__(
        self,
        config: pytest.Config,
        folder: Path,
        planned: int,
        baseline: str | None = None,
        lasting: Sequence[str] = (),
    ) -> None:
        self._shared = run_folder(config)
        self._names: set[str] = set()
        self._taken_over: dict[str, int] = {}
        self.ledger = Ledger(folder, create=True)
        if baseline and baseline not in ("last", "green"):
            self.ledger.find_run(baseline)
        self.run = self.ledger.begin(
            run_name(config),
            planned,
            [*config.invocation_params.args, *lasting],
            git_state(Path.cwd()),
        )

    def record(self, result: CaseResult, taken_from: int | None) -> None:
        """Write down a result.

        Args:
            result: of a case.
            taken_from: the run that it was taken over from, if it was.
        """
        if result.measurement is None:
            self.ledger.record(self.run, result)
            return
        if taken_from is not None:
            self._taken_over[result.place] = taken_from
        self._record_names(result.measurement.dataset_fingerprint)
        # By the folder: what travels with a report is plain data, kilobytes and not
        # more.
        predictions = self._shared.predictions(result.measurement.key)
        self.ledger.record(self.run, result, predictions)

    def taken_over(self) -> dict[int, list[str]]:
        """List the cases that were taken over from each earlier run."""
        found: dict[int, list[str]] = {}
        for place, run in self._taken_over.items():
            found.setdefault(run, []).append(place.partition(" ")[0])
        return found

    def finish(self, exit_status: int) -> None:
        """Write down that the run has ended, and keep the ledger small."""
        self.ledger.finish(self.run, exit_status)
        prune(self.ledger)

    def baseline(self, wanted: str, results: Sequence[CaseResult]) -> Run | None:
        """Find the run that results of this one are compared with, if it is there."""
        measured = {result.id for result in results if result.measurement}
        try:
            return self.ledger.find_run(wanted, before=self.run, cases=measured)
        except LedgerError:
            return None

    def lacks(self, baseline: str) -> str:
        """Say that there is no such baseline yet."""
        none = "no earlier run" if self.is_first else f"no {baseline} run"
        return (
            f"--repro-baseline is {baseline!r}, and {self.ledger.file} has {none}: "
            "nothing to compare with"
        )

    @property
    def is_first(self) -> bool:
        """Whether the ledger has no run before this one."""
        return all(run.id >= self.run for run in self.ledger.runs())

    def _record_names(self, fingerprint: str) -> None:
        if fingerprint in self._names:
            return
        self._names.add(fingerprint)
        names = self._shared.names(fingerprint)
        if names is not None:
            self.ledger.record_names(fingerprint, names)
