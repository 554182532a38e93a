"""Whether there is room on disk for what is to be written."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from repro.errors import FetchError

#: Left free for everybody else.
RESERVE = 256 * 2**20

_FULL = {errno.ENOSPC, errno.EDQUOT}


def free_bytes(folder: Path) -> int:
    """Count the bytes that are free where a folder lies."""
    return shutil.disk_usage(folder).free


def check_space(folder: Path, needed: int, what: str) -> None:
    """Refuse to begin what would fill the disk.

    Raises:
        FetchError: `needed` bytes would leave less than the reserve.
    """
    free = free_bytes(folder)
    if needed + RESERVE > free:
        raise FetchError(
            f"{what} needs {size_text(needed)}, but {folder} has {size_text(free)} "
            f"free, of which {size_text(RESERVE)} are left to others; free some space "
            "or name another folder for the checkpoints"
        )


@contextmanager
def full_disk_is_an_error(folder: Path) -> Iterator[None]:
    """Turn a disk that cannot be written, or read, into one clear error.

    Raises:
        FetchError: it names the file, or the folder where the system does not say more.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            reason = f"{folder} cannot be written ({error.strerror}); free some space"
        else:
            place = error.filename or folder
            reason = f"{place} cannot be used ({error.strerror or error}); mend that"
        raise FetchError(
            f"{reason} or name another folder for the checkpoints"
        ) from error


def size_text(count: int) -> str:
    """Write a number of bytes as people read it: `1.3 GB`."""
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
