"""Verify weights files: their own checksums, and their SHA-256."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from repro.errors import WeightsError
from repro.files import replace_bytes
from repro.models.containers import check_complete, parts_of


class WeightsFile(msgspec.Struct, frozen=True):
    """A weights file: where it lies, its bytes, and its SHA-256.

    `shards` are the files of an index, itself first; its digest is that of theirs.
    """

    path: Path
    size: int
    sha256: str
    shards: tuple[WeightsFile, ...] = ()

    @property
    def files(self) -> tuple[WeightsFile, ...]:
        """The files that it consists of."""
        return self.shards or (self,)


def verify_weights(path: Path, cache: Path | None) -> WeightsFile:
    """Hash a weights file and check the checksums that it holds itself.

    The result is remembered in `cache` for the file's size, inode and time stamps.

    Raises:
        WeightsError: the file is damaged or no weights file.
    """
    files = tuple(
        _verify(part, cache, is_whole=part == path) for part in parts_of(path)
    )
    if len(files) == 1:
        return files[0]
    digest = hashlib.sha256("".join(file.sha256 for file in files).encode())
    size = sum(file.size for file in files)
    return WeightsFile(path, size, digest.hexdigest(), files)


def _verify(path: Path, cache: Path | None, *, is_whole: bool) -> WeightsFile:
    status = path.stat()
    note = None
    if cache is not None:
        stamps = f"{status.st_ino} {status.st_mtime_ns} {status.st_ctime_ns}"
        known = f"{path.resolve()}\0{status.st_size}\0{stamps}"
        key = hashlib.sha256(known.encode()).hexdigest()[:32]
        note = cache / "weights" / f"{key}.sha256"
        if note.is_file():
            return WeightsFile(path, status.st_size, note.read_text())
    try:
        if is_whole:
            check_complete(path)
        digest = hash_file(path)
    except OSError as error:
        raise WeightsError(
            f"{path} cannot be read: {error.strerror}. Make it readable"
        ) from error
    if note is not None:
        # Without the note, it is only hashed again.
        with contextlib.suppress(OSError):
            note.parent.mkdir(parents=True, exist_ok=True)
            replace_bytes(note, digest.encode())
    return WeightsFile(path, status.st_size, digest)


def hash_file(path: Path, advance: Callable[[int], object] | None = None) -> str:
    """Compute the SHA-256 of a file; `advance` is told how many bytes were read."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as stream:
        while block := stream.read(2**20):
            digest.update(block)
            if advance is not None:
                advance(len(block))
    return digest.hexdigest()


def read_ahead(path: Path) -> None:
    """Let the system read a file into memory while something else computes."""
    with contextlib.suppress(OSError, WeightsError):
        for part in parts_of(path):
            with part.open("rb") as stream:
                os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)
