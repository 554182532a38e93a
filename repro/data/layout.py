"""How decoded pixels lie on disk: a folder a store, an array and a record a stratum.

CACHE/pixels/KEY/store.json   what the pixels depend on
CACHE/pixels/KEY/0000.npy     uint8 `[N, 3, H, W]` of stratum 0
CACHE/pixels/KEY/0000.json    its shape, checksum and images; written last
CACHE/pixels/locks/           who decodes which photographs now
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import xxhash
from filelock import FileLock, Timeout

from repro.data.dataset import Dataset
from repro.data.geometry import Pixels, decoder_identity
from repro.errors import DatasetError
from repro.files import (
    PART_SUFFIX,
    UNREADABLE,
    decode_json,
    replace_bytes,
    replacing,
    warn_of_damage,
)
from repro.published import Geometry

PIXELS = "pixels"
DESCRIPTION = "store.json"
LAYOUT = 3
#: Bytes of the digest of an image.
DIGEST_BYTES = 16

#: Bytes of pixels that one process decodes from one stratum at a time.
DECODED_AT_ONCE = 1_000_000_000


def stored_bytes(size: tuple[int, int], images: int) -> int:
    """Compute how large images of a height and width are."""
    height, width = size
    return 3 * height * width * images


#: Images, channels, height, width.
Shape = tuple[int, int, int, int]
Append = Callable[[Pixels], None]

#: Strata that this process has compared with their checksums: folder, number, file.
_SOUND: set[tuple[Path, int, object]] = set()


class StratumRecord(msgspec.Struct, frozen=True):
    """What a finished stratum says of itself: images `shape`, XXH3 of the bytes.

    `digests` are those of its images, `DIGEST_BYTES` each. The 128 bits of XXH3 are
    there against damage, not against people. SHA-256 took 4 % of the time in which a
    stratum is decoded; records of that time have no `xxh128`.
    """

    shape: Shape
    xxh128: str | None = None
    digests: bytes = b""


class StoreIdentity(msgspec.Struct, frozen=True):
    """What the pixels depend on; another identity is another store.

    `fingerprint` tells the photographs and `partition` their order; `layout` is the
    version of the files, and `dataset` only a name.
    """

    dataset: str
    fingerprint: str
    partition: str
    geometry: str
    decoder: str
    layout: int = 1

    @property
    def key(self) -> str:
        """Name of the store's folder, the same for all names of a dataset."""
        unnamed = msgspec.structs.replace(self, dataset="")
        return _short_hash(msgspec.json.encode(unnamed))

    @property
    def photographs(self) -> str:
        """Name of what stores of all geometries decode together."""
        return _short_hash(f"{self.fingerprint}\0{self.partition}".encode())


class StoreFolder:
    """The files of one store.

    Args:
        path: `CACHE/pixels/KEY`.
        identity: what the pixels depend on.
    """

    def __init__(self, path: Path, identity: StoreIdentity) -> None:
        self.path = path
        self.identity = identity
        self._locks = path.parent / "locks"

    def describe(self) -> None:
        """Write down what the store is, unless that is there.

        Raises:
            DatasetError: the cache cannot be written.
        """
        description = self.path / DESCRIPTION
        if not description.is_file():
            with _writing(self.path):
                self._create()
                content = msgspec.json.format(msgspec.json.encode(self.identity))
                replace_bytes(description, content)

    def note_use(self) -> None:
        """Set the time stamp that says when the store was last used.

        A cache that may only be read does without.
        """
        with contextlib.suppress(OSError):
            # Not the time of access of what is read: many disks are mounted without
            # one, and mapped pages do not set it.
            os.utime(self.path / DESCRIPTION)

    def is_ready(self, stratum: int) -> bool:
        """Tell whether a stratum is decoded and complete."""
        return self._record_file(stratum).is_file()

    def read(self, stratum: int) -> Pixels | None:
        """Map the pixels of a stratum, uint8 `[N, 3, H, W]`; None if it is not there.

        Raises:
            DatasetError: the file is not what its record says.
        """
        file = self._pixel_file(stratum)
        try:
            record = self.record(stratum)
            pixels: Pixels = np.load(file, mmap_mode="r")
        except UNREADABLE as error:
            # Somebody may have dropped the store since it was found ready.
            if isinstance(error, FileNotFoundError) and not self.is_ready(stratum):
                return None
            raise DatasetError(
                f"{file} cannot be read: {error}. {self._remedy}"
            ) from error
        if pixels.dtype != np.uint8 or pixels.shape != record.shape:
            raise DatasetError(
                f"{file} holds {pixels.dtype} pixels of shape {pixels.shape}; expected "
                f"uint8 of shape {record.shape}. {self._remedy}"
            )
        return pixels

    def fault(self, stratum: int) -> str:
        """Say what is wrong with a finished stratum; empty if its bytes are right."""
        _, found = self.compared(stratum)
        return found

    def compared(self, stratum: int) -> tuple[Pixels | None, str]:
        """Map a stratum, and say what is wrong with these very bytes."""
        try:
            pixels, record = self.read(stratum), self.record(stratum)
        except FileNotFoundError:
            return None, ""
        except (DatasetError, OSError, ValueError) as error:
            # What to do with it is for whoever cannot make it again.
            return None, str(error).removesuffix(f". {self._remedy}")
        if pixels is None:
            return None, ""
        file = self._pixel_file(stratum)
        if record.xxh128 is None:
            return None, f"{file} is of an earlier version"
        found = xxhash.xxh3_128_hexdigest(np.ascontiguousarray(pixels).data)
        if found != record.xxh128:
            return None, f"{file} has another checksum than when it was written"
        return pixels, ""

    def read_sound(self, stratum: int) -> Pixels | None:
        """Map the pixels of a stratum once they are what was written.

        Where they are not, the stratum is removed, for it to be made again. They are
        compared once in a process, as long as the file stays the same.

        Raises:
            DatasetError: it is damaged, and the cache may only be read.
        """
        try:
            state = self._pixel_file(stratum).stat()
        except OSError:
            state = None
        # With inode and time: a stratum that was dropped and made again is another
        # file.
        seen = (self.path, stratum, state and (state.st_ino, state.st_mtime_ns))
        if seen in _SOUND:
            return self.read(stratum)
        pixels, fault = self.compared(stratum)
        if fault:
            self._remove(stratum, fault)
            return None
        _SOUND.add(seen)
        return pixels

    def _remove(self, stratum: int, fault: str) -> None:
        with self.try_lock(stratum) as is_mine:
            # Whoever has the lock has seen it too, or is making it again already.
            if is_mine and (fault := self.fault(stratum)):
                with _writing(self.path):
                    # The record first, since it says that the rest is there.
                    self._record_file(stratum).unlink(missing_ok=True)
                    self._pixel_file(stratum).unlink(missing_ok=True)
                warn_of_damage(fault)

    def record(self, stratum: int) -> StratumRecord:
        """Read what a finished stratum says of itself.

        Raises:
            OSError, ValueError: it cannot be read.
        """
        content = self._record_file(stratum).read_bytes()
        return decode_json(content, StratumRecord)

    @contextlib.contextmanager
    def writing(
        self, stratum: int, shape: Shape, digests: Sequence[str]
    ) -> Iterator[Append]:
        """Write a stratum of that shape; whoever does so holds its lock.

        What this yields appends a few images. The stratum is there once the block ends
        without an exception.

        Args:
            stratum: its number.
            shape: of all its pixels.
            digests: of its images.

        Raises:
            DatasetError: the disk is full or the cache cannot be written.
        """
        digest = xxhash.xxh3_128()
        with _writing(self.path):
            self.describe()
            # Whoever holds the lock is the only one who writes it, so what is there is
            # of the dead.
            for part in self.path.glob(f"{stratum:04d}.*{PART_SUFFIX}"):
                part.unlink(missing_ok=True)
            with replacing(self._pixel_file(stratum)) as stream:
                header = {"descr": "|u1", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(stream, header)

                def append(pixels: Pixels) -> None:
                    # Not np.save, whose error does not say that the disk is full.
                    stream.write(pixels.data)
                    digest.update(pixels.data)

                yield append
            images = bytes.fromhex("".join(digests))
            record = StratumRecord(shape, digest.hexdigest(), images)
            # Last, since it says that the rest is there.
            replace_bytes(self._record_file(stratum), msgspec.json.encode(record))

    @contextlib.contextmanager
    def try_lock(self, stratum: int) -> Iterator[bool]:
        """Try to be the only one who decodes a stratum; yield whether that worked.

        Stores of all geometries share the lock, since they share the decode.

        Raises:
            DatasetError: the cache cannot be written.
        """
        name = f"{self.identity.photographs}-{stratum:04d}.lock"
        # Not waited for: there are other strata to decode meanwhile.
        lock = FileLock(self._locks / name, blocking=False)
        with _writing(self.path):
            self._create()
            with contextlib.suppress(Timeout):
                lock.acquire()
        # Outside of that block: what fails while decoding is no fault of the cache.
        try:
            yield lock.is_locked
        finally:
            lock.release()

    def _create(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        self._locks.mkdir(parents=True, exist_ok=True)

    def _record_file(self, stratum: int) -> Path:
        return self.path / f"{stratum:04d}.json"

    def _pixel_file(self, stratum: int) -> Path:
        return self.path / f"{stratum:04d}.npy"

    @property
    def _remedy(self) -> str:
        return f"Delete the folder {self.path}; it is made again from the images"


def open_store(cache: Path, dataset: Dataset, geometry: Geometry) -> StoreFolder:
    """Create the folder of a store where there is none, and open it.

    Raises:
        DatasetError: the cache cannot be written.
    """
    identity = store_identity(dataset, geometry)
    folder = StoreFolder(store_path(cache, identity), identity)
    folder.describe()
    folder.note_use()
    return folder


def store_identity(dataset: Dataset, geometry: Geometry) -> StoreIdentity:
    """Tell what the pixels of a dataset in a geometry depend on, here and now."""
    return StoreIdentity(
        dataset=dataset.name,
        fingerprint=dataset.fingerprint,
        partition=dataset.partition,
        geometry=str(geometry),
        decoder=decoder_identity(geometry),
        layout=LAYOUT,
    )


def store_path(cache: Path, identity: StoreIdentity) -> Path:
    """Give the folder of a store, which need not exist."""
    return cache / PIXELS / identity.key


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, NotImplementedError) as error:
        raise DatasetError(
            f"cannot write decoded pixels to {folder}: {error}. Free some disk space, "
            "or name another folder with --repro-cache (none does without)"
        ) from error


def _short_hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:20]
