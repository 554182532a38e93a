"""Which pixel stores there are while cases are evaluated.

One decode of a photograph serves the geometries of several cases; a limit on the size
of the cache decides how many at a time, and what goes for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path

from repro.cases import Case
from repro.data.dataset import Dataset
from repro.data.geometry import Pixels
from repro.data.layout import (
    DECODED_AT_ONCE,
    StoreFolder,
    store_identity,
    store_path,
    stored_bytes,
)
from repro.data.leases import is_held
from repro.data.pixels import PixelStore, stream
from repro.data.room import HeldStores, WantedStore, make_room_for
from repro.engine.settings import EngineSettings
from repro.published import Geometry
from repro.records.identity import digest_of


class Stores:
    """Gives the pixels of cases, and holds the stores that they come from.

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
            wanted = wanted[: make_room_for(cache, limit, stores, later)]
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
