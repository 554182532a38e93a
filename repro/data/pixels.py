"""The pixel store: a photograph is decoded once for each geometry, ever.

A store holds the crops of one dataset in one geometry, stratum by stratum, as planar
uint8 arrays that evaluation reads memory-mapped. Processes build it together: whoever
needs a stratum takes it if it is there, decodes it if nobody does, and meanwhile goes
on with another one. A stratum becomes visible by one rename, so a killed process
leaves either all of it or nothing.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from repro.data.crops import EarlierCrops
from repro.data.dataset import Dataset
from repro.data.geometry import Pixels
from repro.data.layout import StoreFolder, open_store
from repro.errors import DatasetError
from repro.published import Geometry

#: How often a stratum is looked for that another process makes: its record appears, and
#: nobody is told.
POLL_SECONDS = 0.02
#: Images that one thread decodes before it gives them away.
CHUNK = 4
#: Chunks that wait for each thread, lest one that writes has to wait.
CHUNKS_AHEAD = 4


#: Gives the crop of an image by its digest, if it was made before.
Find = Callable[[str], Pixels | None]


class _StoppedError(Exception):
    """Nobody wants what is being decoded any longer."""


class _Decoders(NamedTuple):
    """Threads that decode, how many, and what tells them to stop."""

    pool: ThreadPoolExecutor
    threads: int
    stop: threading.Event


class PixelStore:
    """The decoded crops of one dataset in one geometry, on disk.

    Args:
        dataset: which images.
        geometry: how they become pixels.
        cache: folder of all stores.
        threads: how many threads decode.
        others: further geometries that will be wanted too; they are made from the
            same decode.

    Raises:
        DatasetError: the cache folder cannot be written.
    """

    def __init__(
        self,
        dataset: Dataset,
        geometry: Geometry,
        cache: Path,
        threads: int = 1,
        others: Sequence[Geometry] = (),
    ) -> None:
        self.dataset = dataset
        self.threads = threads
        self._folder = open_store(cache, dataset, geometry)
        self._folders = {geometry: self._folder} | {
            other: open_store(cache, dataset, other)
            for other in others
            if other != geometry
        }
        self._earlier = {
            made: EarlierCrops(cache, folder.identity)
            for made, folder in self._folders.items()
        }

    def is_ready(self, stratum: int) -> bool:
        """Tell whether a stratum is decoded and complete."""
        return self._folder.is_ready(stratum)

    def read(self, stratum: int) -> Pixels:
        """Map the pixels of a finished stratum: uint8 `[N, 3, H, W]`.

        Raises:
            DatasetError: it is not there, or the file is not what its record says.
        """
        pixels = self._folder.read(stratum)
        if pixels is None:
            raise DatasetError(
                f"{self._folder.path} has no stratum {stratum}; it was dropped while "
                "it was read. Run again; it is made again from the images"
            )
        return pixels

    def iterate(self, strata: Sequence[int]) -> Iterator[tuple[int, Pixels]]:
        """Yield each wanted stratum once, as soon as it is there, in any order.

        What is missing is decoded in the background meanwhile, here or by another
        process.

        Raises:
            DatasetError: an image cannot be decoded.
        """
        waiting = list(strata)
        stop = threading.Event()
        building: Future[None] | None = None
        # One thread of its own, so that strata which are there are evaluated while
        # others are decoded; leaving the block waits for it, hence `stop`.
        with ThreadPoolExecutor(1, "repro-build") as background:
            try:
                while waiting:
                    if building is None and not all(map(self.is_ready, waiting)):
                        building = background.submit(self._build, list(waiting), stop)
                    ready = next((s for s in waiting if self.is_ready(s)), None)
                    # None where it was dropped after that look; it is made again then.
                    pixels = None if ready is None else self._folder.read_sound(ready)
                    if ready is not None and pixels is not None:
                        waiting.remove(ready)
                        self._folder.note_use()
                        yield ready, pixels
                    else:
                        time.sleep(POLL_SECONDS)
                    if building is not None and building.done():
                        # Raises what went wrong in the thread; else what it was to make
                        # would be waited for for ever.
                        building.result()
                        building = None
            finally:
                stop.set()

    def _build(self, strata: list[int], stop: threading.Event) -> None:
        """Decode what is missing until all of it is there, whoever made it."""
        with ThreadPoolExecutor(self.threads, "repro-decode") as pool:
            decoders = _Decoders(pool, self.threads, stop)
            while missing := [s for s in strata if not self.is_ready(s)]:
                # One, and then all are looked at again: others have finished some
                # meanwhile.
                built = any(self._build_one(s, decoders) for s in missing)
                # What is missing is being made by others, if nothing was built: to try
                # their locks in a loop would take a core from them.
                if stop.wait(0 if built else POLL_SECONDS):
                    return

    def _build_one(self, stratum: int, decoders: _Decoders) -> bool:
        """Decode a stratum, unless somebody else does; tell whether it was done."""
        if decoders.stop.is_set() or self.is_ready(stratum):
            return False
        with self._folder.try_lock(stratum) as is_mine:
            if not is_mine:
                return False
            # Looked at again: it may have been finished before the lock was had.
            wanted = {
                geometry: folder
                for geometry, folder in self._folders.items()
                if not folder.is_ready(stratum)
            }
            if not wanted:
                return True
            with contextlib.suppress(_StoppedError):
                self._write(stratum, wanted, decoders)
        return not decoders.stop.is_set()

    def _write(
        self,
        stratum: int,
        folders: dict[Geometry, StoreFolder],
        decoders: _Decoders,
    ) -> None:
        """Write what is decoded while more is decoded, and never hold much of it."""
        members = self.dataset.strata[stratum].tolist()
        digests = [self.dataset.digests[index] for index in members]
        sources = {geometry: self._earlier[geometry].find for geometry in folders}
        with contextlib.ExitStack() as files:
            writers = [
                files.enter_context(
                    folder.writing(
                        stratum,
                        (len(members), 3, *self.dataset.size_in(geometry)),
                        digests,
                    )
                )
                for geometry, folder in folders.items()
            ]
            for chunks in _decode(self.dataset, stratum, sources, decoders):
                for append, pixels in zip(writers, chunks, strict=True):
                    append(pixels)


def stream(
    dataset: Dataset, geometry: Geometry, strata: Sequence[int], threads: int = 1
) -> Iterator[tuple[int, Pixels]]:
    """Decode strata in memory, one ahead, without a store: uint8 `[N, 3, H, W]`.

    Raises:
        DatasetError: an image cannot be decoded.
    """
    stop = threading.Event()
    pending: deque[tuple[int, Future[Pixels]]] = deque()

    def decode(stratum: int) -> Pixels:
        decoders = _Decoders(pool, threads, stop)
        images = len(dataset.strata[stratum])
        pixels = np.empty((images, 3, *dataset.size_in(geometry)), dtype=np.uint8)
        start = 0
        # Where nothing is kept, all are decoded.
        for (chunk,) in _decode(dataset, stratum, {geometry: lambda _: None}, decoders):
            pixels[start : start + len(chunk)] = chunk
            start += len(chunk)
        return pixels

    with (
        ThreadPoolExecutor(threads, "repro-decode") as pool,
        ThreadPoolExecutor(1, "repro-ahead") as ahead,
    ):
        try:
            # One is evaluated while the next is decoded. More of them would take memory
            # and end no sooner.
            for stratum in strata:
                pending.append((stratum, ahead.submit(decode, stratum)))
                if len(pending) > 1:
                    number, future = pending.popleft()
                    yield number, future.result()
            for number, future in pending:
                yield number, future.result()
        finally:
            stop.set()


def _decode(
    dataset: Dataset,
    stratum: int,
    sources: Mapping[Geometry, Find],
    decoders: _Decoders,
) -> Iterator[list[Pixels]]:
    """Decode a stratum once for several geometries, a few images after the other.

    What is yielded is only valid until the next is asked for.

    Args:
        dataset: whose images.
        stratum: which of them.
        sources: the geometries, and what finds a crop by its digest in each of them.
        decoders: the threads.

    Raises:
        DatasetError: an image cannot be decoded.
        _StoppedError: it was told to stop.
    """
    members = dataset.strata[stratum].tolist()

    # Written to again while they are in the processor's caches.
    free: list[list[Pixels]] = []

    def decode_chunk(start: int) -> list[Pixels]:
        try:
            arrays = free.pop()
        except IndexError:
            sizes = [(CHUNK, 3, *dataset.size_in(geometry)) for geometry in sources]
            arrays = [np.empty(size, dtype=np.uint8) for size in sizes]
        for number, index in enumerate(members[start : start + CHUNK]):
            if decoders.stop.is_set():
                raise _StoppedError
            outputs = {g: a[number] for g, a in zip(sources, arrays, strict=True)}
            _write_crops(dataset, index, outputs, sources)
        return arrays

    starts = iter(range(0, len(members), CHUNK))
    running: deque[Future[list[Pixels]]] = deque()
    for start in itertools.islice(starts, CHUNKS_AHEAD * decoders.threads):
        running.append(decoders.pool.submit(decode_chunk, start))
    done = 0
    while running:
        arrays = running.popleft().result()
        yield [array[: len(members) - done] for array in arrays]
        done += CHUNK
        # Threads take them without a lock: append and pop of a list are whole.
        free.append(arrays)
        for start in itertools.islice(starts, 1):
            running.append(decoders.pool.submit(decode_chunk, start))


def _write_crops(
    dataset: Dataset,
    index: int,
    outputs: Mapping[Geometry, Pixels],
    sources: Mapping[Geometry, Find],
) -> None:
    """Copy the crops of an image that were made before, and make the others at once."""
    missing: dict[Geometry, Pixels] = {}
    for geometry, output in outputs.items():
        crop = sources[geometry](dataset.digests[index])
        if crop is None:
            missing[geometry] = output
        else:
            output[:] = crop
    if missing:
        dataset.planar_pixels(index, list(missing), list(missing.values()))
