"""What cases are measured from: weights and images, and the pixels made of these."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from repro.cases import Case
from repro.data.dataset import Dataset, index_dataset
from repro.data.digests import read_record
from repro.data.geometry import Pixels
from repro.data.housekeeping import HeldStores, WantedStore, is_held, make_room
from repro.data.layout import (
    DECODED_AT_ONCE,
    StoreFolder,
    store_identity,
    store_path,
    stored_bytes,
)
from repro.data.pixels import PixelStore, stream
from repro.data.readers import Found, find_images
from repro.engine.settings import EngineSettings
from repro.errors import NotAvailableError, ReproError
from repro.models.libraries import OwnFiles, read_own_files
from repro.models.weights import (
    WeightsFile,
    check_code,
    check_recorded,
    find_weights,
    read_ahead,
    verify_weights,
)
from repro.published import DatasetSpec, Geometry
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
        # Errors too: each of thousands of cases would index the same images to fail.
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


def check_here(
    case: Case,
    settings: EngineSettings,
    found: Callable[[DatasetSpec, Path], Found | None] = find_images,
) -> None:
    """Look for weights and images of a case; nothing is read but folders.

    Args:
        case: which one.
        settings: where files lie.
        found: `find_images`, which may remember what it has found.

    Raises:
        NotAvailableError: they are not here.
        ReproError: something about them is wrong.
    """
    data = settings.data or case.release.own_data
    if data is None or found(case.dataset, data) is None:
        raise NotAvailableError(
            f"no images of {case.dataset.title}: "
            f"{data / case.dataset.folder if data else '--repro-data'} does not exist"
        )
    if not settings.download:
        find_weights(case, settings.checkpoints)


def _index(case: Case, data: Path | None, cache: Path | None) -> Dataset | ReproError:
    """Index a dataset; what is wrong with it is remembered like the index itself."""
    known = tuple(case.release.datasets.values())
    try:
        recorded = read_record(case.release, case.dataset)
        return index_dataset(case.dataset, data, known, recorded, cache)
    except ReproError as error:
        return error


class Stores:
    """Gives the pixels of cases, and holds the stores that they come from.

    One decode of a photograph serves the geometries of several cases; a limit on the
    size of the cache decides how many at a time, and what goes for them.

    Args:
        settings: where the cache is, and how much of it.
        planned: all cases that this process may get, in their order.
        threads: how many decode.
    """

    def __init__(
        self, settings: EngineSettings, planned: Iterable[Case], threads: int
    ) -> None:
        self._settings = settings
        self._threads = threads
        self._wanted: dict[str, list[Geometry]] = {}
        for case in planned:
            wanted = self._wanted.setdefault(_photographs(case, settings), [])
            if case.protocol.geometry_steps not in wanted:
                wanted.append(case.protocol.geometry_steps)
        self._held = HeldStores()
        #: For which pixels room was made last, and the geometries that have it.
        self._room: tuple[tuple[str, Geometry, int], list[Geometry]] | None = None

    def pixels(
        self, dataset: Dataset, case: Case, strata: Sequence[int]
    ) -> Iterator[tuple[int, Pixels]]:
        """Yield the crops of some strata in a case's geometry: see `PixelStore`.

        Without a cache they are decoded and forgotten.
        """
        geometry = case.protocol.geometry_steps
        cache = self._settings.cache
        if cache is None:
            return stream(dataset, geometry, strata, self._threads)
        key = dataset.fingerprint, geometry, len(strata)
        if self._room is None or self._room[0] != key:
            self._room = key, self._make_room(cache, dataset, case, strata)
        store = PixelStore(dataset, geometry, cache, self._threads, self._room[1])
        return store.iterate(strata)

    def _make_room(
        self, cache: Path, dataset: Dataset, case: Case, strata: Sequence[int]
    ) -> list[Geometry]:
        """Choose the geometries to make of each photograph now, and hold their stores.

        With a limit they are as many as fit, and stores that no case needs any more, or
        not for long, are dropped for them.
        """

        def path(geometry: Geometry) -> Path:
            return store_path(cache, store_identity(dataset, geometry))

        own = case.protocol.geometry_steps
        # What was needed until now can be dropped, by this process or another.
        self._held.hold([path(own)])
        needed = self._needed(case, path)
        folder = StoreFolder(path(own), store_identity(dataset, own))
        # Where nothing is decoded for this case, nothing else is made room for.
        is_there = all(map(folder.is_ready, strata))
        wanted = [own] if is_there else _in_memory(dataset, needed)
        limit = self._settings.cache_limit
        if limit is not None:
            images = sum(len(dataset.strata[stratum]) for stratum in strata)
            stores = [
                WantedStore(path(g), stored_bytes(dataset.size_in(g), images))
                for g in wanted
            ]
            later = [path(geometry) for geometry in needed[len(wanted) :]]
            wanted = wanted[: make_room(cache, limit, stores, later).fitting]
        self._held.hold(map(path, wanted))
        return wanted

    def _needed(self, case: Case, path: Callable[[Geometry], Path]) -> list[Geometry]:
        """List what this and other planned cases make of the same images.

        Cases are dealt in order, so the next ones come first. What stands before them
        may be needed by another worker still; where stores are dropped, only what that
        worker holds is made for it again.
        """
        own = case.protocol.geometry_steps
        planned = self._wanted.get(_photographs(case, self._settings), [])
        start = planned.index(own) if own in planned else 0
        earlier = planned[:start]
        if self._settings.cache_limit is not None:
            earlier = [geometry for geometry in earlier if is_held(path(geometry))]
        return [own, *(g for g in (*planned[start:], *earlier) if g != own)]


def _photographs(case: Case, settings: EngineSettings) -> str:
    """Tell which photographs a case is about, as far as one decode can serve several.

    Releases that describe the same folder in other words share it. What is made of the
    photographs has an identity of its own, so this decides about speed only.
    """
    data = settings.data or case.release.own_data
    return digest_of((case.dataset.folder, case.dataset.classes, data))


def _in_memory(dataset: Dataset, geometries: Sequence[Geometry]) -> list[Geometry]:
    """Keep as many as one stratum has memory for, the first one always.

    All at once, the hundred geometries of a big run would fill tens of gigabytes.
    """
    stratum = max(map(len, dataset.strata))
    totals = accumulate(stored_bytes(dataset.size_in(g), stratum) for g in geometries)
    fitting = sum(total <= DECODED_AT_ONCE for total in totals)
    return list(geometries[: max(1, fitting)])
