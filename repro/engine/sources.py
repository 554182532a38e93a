"""What cases are measured from: weights and images, found and checked."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from repro.cases import Case
from repro.data.dataset import Dataset, index_dataset
from repro.data.trusted_copy import read_record
from repro.engine.settings import EngineSettings
from repro.errors import ReproError
from repro.models.finding import check_code, find_weights
from repro.models.own_files import OwnFiles, read_own_files
from repro.models.weights import WeightsFile, check_recorded, read_ahead, verify_weights
from repro.records.identity import digest_of

if TYPE_CHECKING:
    from repro.fetching import Progress
    from repro.fetching.family import Downloads


class Source(msgspec.Struct, frozen=True):
    """The files of a case: weights, which were hashed, images, and its model's own."""

    weights: WeightsFile
    dataset: Dataset
    files: OwnFiles


class Sources:
    """Finds the files of cases, and keeps what several of them share.

    Args:
        settings: where files lie.
        planned: all cases that this process may get, in their order.
        downloading: is told of downloads, where missing weights are fetched.
    """

    def __init__(
        self,
        settings: EngineSettings,
        planned: Iterable[Case],
        downloading: Progress | None,
    ) -> None:
        self._settings = settings
        self._order = list(planned)
        self._datasets: dict[str, Dataset | ReproError] = {}
        self._checked: tuple[Case, Source] | None = None
        self._downloads: Downloads | None = None
        if settings.download:
            from repro.fetching.family import Downloads

            self._downloads = Downloads(settings.checkpoints, downloading)

    def check(self, case: Case) -> Source:
        """Find the files of a case, and keep that for who measures it next.

        Raises:
            ReproError: see `weights` and `dataset`.
        """
        source = self._find(case)
        self._checked = case, source
        return source

    def take(self, case: Case) -> Source:
        """Give what `check` has found for this case just now, or find it.

        It is given once: in a run of hours a file may be replaced, and whoever asks
        again later looks again.
        """
        checked, self._checked = self._checked, None
        if checked is not None and checked[0] is case:
            return checked[1]
        return self._find(case)

    def _find(self, case: Case) -> Source:
        check_code(case)
        files = own_files(case)
        return Source(self.weights(case), self.dataset(case), files)

    def weights(self, case: Case) -> WeightsFile:
        """Find the weights file of a case, and fetch it where that is asked for.

        Raises:
            NotAvailableError: it is not here.
            FetchError: it cannot be fetched.
            WeightsError: it is not the file that was recorded.
        """
        check_code(case)
        if self._downloads:
            path = self._downloads.weights(case)
        else:
            path = find_weights(case, self._settings.checkpoints)
        found = verify_weights(path, self._settings.cache)
        check_recorded(case.release, case.family.id, found)
        return found

    def dataset(self, case: Case) -> Dataset:
        """Index the dataset of a case; it is done once.

        Raises:
            NotAvailableError: its images are not here.
            DatasetError: it is incomplete.
        """
        release = case.release
        data = self._settings.data or release.own_data
        # All that the index is made from: releases may mean other images by one name.
        known = list(release.datasets.values())
        key = digest_of((case.dataset, known, release.location, data))
        if key not in self._datasets:
            self._datasets[key] = _index(case, data, self._settings.cache)
        dataset = self._datasets[key]
        if isinstance(dataset, ReproError):
            raise dataset
        return dataset

    def read_next(self, case: Case) -> None:
        """Let the system read the weights of the case that probably comes next here.

        Cases are dealt in order, one at a time, so the other workers take those before.
        """
        workers = self._settings.workers
        place = next((n for n, c in enumerate(self._order) if c.id == case.id), None)
        if place is not None and place + workers < len(self._order):
            following = self._order[place + workers]
            with contextlib.suppress(ReproError):
                read_ahead(find_weights(following, self._settings.checkpoints))


def own_files(case: Case) -> OwnFiles:
    """Read the files that the model of a case names.

    Raises:
        ExpectedError: one is not there, or cannot be read.
    """
    return read_own_files(case.model, case.release.location)


def _index(case: Case, data: Path | None, cache: Path | None) -> Dataset | ReproError:
    """Index a dataset; what is wrong with it is remembered like the index itself."""
    known = tuple(case.release.datasets.values())
    try:
        recorded = read_record(case.release, case.dataset)
        return index_dataset(case.dataset, data, known, recorded, cache)
    except ReproError as error:
        return error
