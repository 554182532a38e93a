"""Verify and read weights files, without ever running code from them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from repro.errors import WeightsError
from repro.files import replace_bytes
from repro.models.refusal import ASK, is_program, refusal_reason


class WeightsFile(msgspec.Struct, frozen=True):
    """A weights file: where it lies, its bytes, and its SHA-256."""

    path: Path
    size: int
    sha256: str


def verify_weights(path: Path, cache: Path | None) -> WeightsFile:
    """Hash a weights file and check the checksums that it holds itself.

    The result is remembered in `cache` for the file's size, inode and time stamps.

    Raises:
        WeightsError: the file is damaged or no weights file.
    """
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
    with contextlib.suppress(OSError), path.open("rb") as stream:
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)


def read_entries(path: Path) -> dict[str, Any]:
    """Read whatever entries a weights file has, without running code from it.

    Raises:
        WeightsError: it is damaged or needs more than tensors and plain values.
    """
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    import torch

    try:
        is_zip = zipfile.is_zipfile(path)
        program = is_zip and is_program(path)
        with warnings.catch_warnings():
            # What torch may not read for it is an error that says so.
            warnings.filterwarnings("ignore", message="Detected pickle protocol")
            content = program or torch.load(
                path, map_location="cpu", weights_only=True, mmap=is_zip
            )
    except pickle.UnpicklingError as error:
        if "weights_only" in str(error) or "Unsupported" in str(error):
            reason = refusal_reason(path, str(error))
            raise WeightsError(f"{path} was refused: {reason}. {ASK}") from error
        raise WeightsError(f"{path} is damaged or no weights file: {error}") from error
    # Damaged files make torch raise what it likes: AssertionError, struct.error, ...
    except Exception as error:
        raise WeightsError(
            f"{path} ({path.stat().st_size:,} bytes) is damaged or no weights file: "
            f"{_short(error)}. Get it again from its source"
        ) from error
    if program:
        raise WeightsError(
            f"{path} was refused: it is a TorchScript program, not only tensors. {ASK}"
        )
    if not isinstance(content, dict):
        raise WeightsError(
            f"{path} holds a {type(content).__name__}; expected a state dict"
        )
    return content


def _read_safetensors(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(path))
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"{path} ({path.stat().st_size:,} bytes) is damaged: {error}. "
            "Get it again from its source"
        ) from error


def check_complete(path: Path, suffix: str = "") -> None:
    """Check what a weights file itself says of its bytes, without reading tensors.

    Args:
        path: the file.
        suffix: what its name will end with, where it has another one yet.

    Raises:
        WeightsError: bytes are missing or wrong, or it is no weights file.
    """
    if (suffix or path.suffix) == ".safetensors":
        _check_safetensors(path)
    elif zipfile.is_zipfile(path):
        _check_archive(path)
    else:
        with path.open("rb") as stream:
            start = stream.read(2)
        if start[:1] != b"\x80":
            is_cut = start == b"PK"
            found = (
                "cut off" if is_cut else f"no weights file, it begins with {start!r}"
            )
            raise WeightsError(
                f"{path} ({path.stat().st_size:,} bytes) is damaged: it is {found}. "
                "Get it again from its source"
            )


def _check_safetensors(path: Path) -> None:
    """Compare the length of the file with the end of its last tensor."""
    size = path.stat().st_size
    try:
        with path.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            header = msgspec.json.decode(stream.read(min(length, size)))
        ends = [
            entry["data_offsets"][1]
            for name, entry in header.items()
            if name != "__metadata__"
        ]
        expected = 8 + length + max(ends, default=0)
    except (struct.error, ValueError, AttributeError, LookupError, TypeError):
        raise WeightsError(
            f"{path} ({size:,} bytes) is damaged: it has no header of safetensors. "
            "Get it again from its source"
        ) from None
    if size != expected:
        raise WeightsError(
            f"{path} is damaged: it has {size:,} bytes, its header says {expected:,}. "
            "Get it again from its source"
        )


def _check_archive(path: Path) -> None:
    """Check the CRC-32 of every record; reading memory-mapped would not."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    # Damaged archives make zipfile raise what it likes: UnicodeDecodeError, ...
    except Exception as error:
        raise WeightsError(
            f"{path} is damaged: {error}. Get it again from its source"
        ) from error
    if damaged is not None:
        raise WeightsError(
            f"{path} is damaged: the checksum of its record {damaged} is wrong. "
            "Get it again from its source"
        )


def _short(error: Exception) -> str:
    """Take from a message of torch what is about the file."""
    first = str(error).partition("\n")[0].partition("  (Could this")[0]
    return first.rstrip(". ") or type(error).__name__
