"""The pixel store: a photograph is decoded once for each geometry, ever.

A store holds the crops of one dataset in one geometry, stratum by stratum, as planar
uint8 arrays that evaluation reads memory-mapped. Processes build it together: whoever
needs a stratum takes it if it is there, decodes it if nobody does, and meanwhile goes
on with another one. A stratum becomes visible by one rename, so a killed process
leaves either all of it or nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import msgspec
import numpy as np
from filelock import FileLock, Timeout

from repro.data.dataset import Dataset
from repro.data.geometry import Pixels, decoder_identity, planar_pixels
from repro.errors import DatasetError
from repro.published import Geometry

POLL_SECONDS = 0.02
CHUNK = 16


class StratumRecord(msgspec.Struct, frozen=True):
    """What a finished stratum says of itself: images `shape`, SHA-256 of the bytes."""

    shape: tuple[int, int, int, int]
    sha256: str


class StoreIdentity(msgspec.Struct, frozen=True):
    """What the pixels depend on; another identity is another store."""

    dataset: str
    fingerprint: str
    geometry: str
    decoder: str

    @property
    def key(self) -> str:
        """Name of the store's folder."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:20]


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
        self.geometry = geometry
        self.threads = threads
        self._cache = cache
        self._folder = _store_folder(cache, dataset, geometry)
        self._others = [
            (other, _store_folder(cache, dataset, other))
            for other in others
            if other != geometry
        ]

    def is_ready(self, stratum: int) -> bool:
        """Tell whether a stratum is decoded and complete."""
        return _record_file(self._folder, stratum).is_file()

    def read(self, stratum: int) -> Pixels:
        """Map the pixels of a finished stratum: uint8 `[N, 3, H, W]`.

        Raises:
            DatasetError: the file is not what its record says.
        """
        return _read(self._folder, stratum)

    def iterate(self, strata: Sequence[int]) -> Iterator[tuple[int, Pixels]]:
        """Yield each wanted stratum once, as soon as it is there, in any order.

        What is missing is decoded in the background meanwhile, here or by another
        process.

        Raises:
            DatasetError: an image cannot be decoded.
        """
        waiting = list(strata)
        stop = threading.Event()
        with ThreadPoolExecutor(1, "repro-decode") as background:
            building: Future[None] | None = None
            if not all(map(self.is_ready, waiting)):
                building = background.submit(self._build_missing, list(strata), stop)
            try:
                while waiting:
                    if building is not None and building.done():
                        building.result()
                    ready = next((s for s in waiting if self.is_ready(s)), None)
                    if ready is None:
                        time.sleep(POLL_SECONDS)
                        continue
                    waiting.remove(ready)
                    yield ready, self.read(ready)
            finally:
                stop.set()

    def _build_missing(self, strata: list[int], stop: threading.Event) -> None:
        """Decode what is missing until all of it is there, whoever made it."""
        with ThreadPoolExecutor(self.threads, "repro-decode") as pool:
            while missing := [s for s in strata if not self.is_ready(s)]:
                built = any(self._build(stratum, pool) for stratum in missing)
                if stop.wait(0 if built else POLL_SECONDS):
                    return

    def _build(self, stratum: int, pool: ThreadPoolExecutor) -> bool:
        """Decode a stratum, unless somebody else does; tell whether it was done."""
        with contextlib.ExitStack() as held:
            if self.is_ready(stratum) or not _try_lock(self._folder, stratum, held):
                return False
            if self.is_ready(stratum):
                return True
            targets = [(self.geometry, self._folder)]
            for geometry, folder in self._others:
                wanted = not _record_file(folder, stratum).is_file()
                if wanted and _try_lock(folder, stratum, held):
                    targets.append((geometry, folder))
            self._decode(stratum, targets, pool)
        return True

    def _decode(
        self,
        stratum: int,
        targets: Sequence[tuple[Geometry, Path]],
        pool: ThreadPoolExecutor,
    ) -> None:
        paths = [
            self.dataset.root / self.dataset.files[index]
            for index in self.dataset.strata[stratum].tolist()
        ]
        geometries = [geometry for geometry, _ in targets]
        outputs = [
            np.empty((len(paths), 3, *geometry.output_size), dtype=np.uint8)
            for geometry in geometries
        ]

        def decode_chunk(start: int) -> None:
            for number in range(start, min(start + CHUNK, len(paths))):
                into = [output[number] for output in outputs]
                planar_pixels(paths[number], geometries, into)

        for _ in pool.map(decode_chunk, range(0, len(paths), CHUNK)):
            pass
        for (_, folder), output in zip(targets, outputs, strict=True):
            _write(folder, stratum, output)


def stream(
    dataset: Dataset, geometry: Geometry, strata: Sequence[int], threads: int = 1
) -> Iterator[tuple[int, Pixels]]:
    """Decode strata in memory, one ahead, without a store: uint8 `[N, 3, H, W]`.

    Raises:
        DatasetError: an image cannot be decoded.
    """

    def decode_stratum(stratum: int) -> Pixels:
        indices = dataset.strata[stratum].tolist()
        pixels = np.empty((len(indices), 3, *geometry.output_size), dtype=np.uint8)
        paths = [dataset.root / dataset.files[index] for index in indices]
        list(
            pool.map(lambda p, out: planar_pixels(p, [geometry], [out]), paths, pixels)
        )
        return pixels

    with ThreadPoolExecutor(threads) as pool, ThreadPoolExecutor(1) as ahead:
        pending: list[tuple[int, Future[Pixels]]] = []
        for stratum in strata:
            pending.append((stratum, ahead.submit(decode_stratum, stratum)))
            if len(pending) > 1:
                number, future = pending.pop(0)
                yield number, future.result()
        for number, future in pending:
            yield number, future.result()


def _store_folder(cache: Path, dataset: Dataset, geometry: Geometry) -> Path:
    """Create the folder of a store and write down what it is."""
    identity = StoreIdentity(
        dataset=dataset.name,
        fingerprint=dataset.fingerprint,
        geometry=str(geometry),
        decoder=decoder_identity(),
    )
    folder = cache / "pixels" / identity.key
    description = folder / "store.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not description.is_file():
            _replace(description, msgspec.json.format(msgspec.json.encode(identity)))
    except OSError as error:
        raise DatasetError(
            f"cannot write decoded pixels to {cache}: {error}. Name another folder "
            "with --repro-cache"
        ) from error
    return folder


def _record_file(folder: Path, stratum: int) -> Path:
    return folder / f"{stratum:04d}.json"


def _pixel_file(folder: Path, stratum: int) -> Path:
    return folder / f"{stratum:04d}.npy"


def _try_lock(folder: Path, stratum: int, held: contextlib.ExitStack) -> bool:
    lock = FileLock(folder / f"{stratum:04d}.lock", blocking=False)
    try:
        held.enter_context(lock)
    except Timeout:
        return False
    return True


def _read(folder: Path, stratum: int) -> Pixels:
    record = msgspec.json.decode(
        _record_file(folder, stratum).read_bytes(), type=StratumRecord
    )
    file = _pixel_file(folder, stratum)
    try:
        pixels: Pixels = np.load(file, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"{file} cannot be read: {error}. Delete the folder {folder}; it is made "
            "again from the images"
        ) from error
    if pixels.shape != record.shape:
        raise DatasetError(
            f"{file} holds pixels of shape {pixels.shape}; expected {record.shape}. "
            f"Delete the folder {folder}; it is made again from the images"
        )
    return pixels


def _write(folder: Path, stratum: int, pixels: Pixels) -> None:
    """Write a stratum; its record comes last, since it says that the rest is there."""
    file = _pixel_file(folder, stratum)
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as stream_:
            np.save(stream_, pixels)
        part.replace(file)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise DatasetError(
            f"cannot write decoded pixels to {folder}: {error}. Free some disk space "
            "or name another folder with --repro-cache"
        ) from error
    count, channels, height, width = pixels.shape
    record = StratumRecord(
        (count, channels, height, width), hashlib.sha256(pixels.data).hexdigest()
    )
    _replace(_record_file(folder, stratum), msgspec.json.encode(record))


def _replace(file: Path, content: bytes) -> None:
    part = file.with_name(f"{file.name}.{os.getpid()}.{threading.get_ident()}.part")
    part.write_bytes(content)
    part.replace(file)
