"""Verify weights files: their own checksums, and their SHA-256."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from repro.errors import WeightsError
from repro.files import Stamp, read_sealed, replace_bytes, sealed, stamp_of
from repro.models.containers import check_complete, parts_of


class WeightsFile(msgspec.Struct, frozen=True):
    """A weights file: where it lies, its bytes, and its SHA-256.

    `shards` are the files of an index, itself first; its digest is that of theirs.
    `stamp` is what the file had before it was hashed.
    """

    path: Path
    size: int
    sha256: str
    shards: tuple[WeightsFile, ...] = ()
    stamp: Stamp | None = None

    @property
    def files(self) -> tuple[WeightsFile, ...]:
        """The files that it consists of."""
        return self.shards or (self,)

    def check_same(self) -> None:
        """Insist that nobody has written to it, or replaced it, since it was hashed.

        Raises:
            WeightsError: somebody has.
        """
        for file in self.files:
            if file.stamp != _stamp(file.path):
                raise WeightsError(
                    f"{file.path} was written to or replaced after it was hashed, so "
                    "nothing tells what was read of it. Leave weights alone while "
                    "they are evaluated, and run again"
                )


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
    stamp = stamp_of(path.stat())
    note = cache and _note_of(path, stamp, cache)
    if note and (digest := _remembered(note)):
        return WeightsFile(path, stamp.size, digest, stamp=stamp)
    began = time.time_ns()
    try:
        if is_whole:
            check_complete(path)
        digest = hash_file(path)
    except OSError as error:
        raise WeightsError(
            f"{path} cannot be read: {error.strerror}. Make it readable"
        ) from error
    found = WeightsFile(path, stamp.size, digest, stamp=stamp)
    # The digest is of bytes that were read over seconds: of a file that was written to
    # in them it would be that of no file at all.
    found.check_same()
    if note and not stamp.is_young(began):
        # Without the note, it is only hashed again.
        with contextlib.suppress(OSError):
            note.parent.mkdir(parents=True, exist_ok=True)
            replace_bytes(note, sealed(digest.encode()))
    return found


def _note_of(path: Path, stamp: Stamp, cache: Path) -> Path:
    known = msgspec.json.encode([str(path.resolve()), stamp])
    return cache / "weights" / f"{hashlib.sha256(known).hexdigest()[:32]}.sha256"


def _remembered(note: Path) -> str:
    """Read a digest that was written down; nothing where it is not, or damaged."""
    try:
        return (read_sealed(note) or b"").decode()
    except OSError:
        return ""


def _stamp(path: Path) -> Stamp | None:
    try:
        return stamp_of(path.stat())
    except OSError:
        return None


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
