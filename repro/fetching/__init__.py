"""Released folders become a checkpoints directory: links, downloads, archives.

All of them tell how they get on, and leave room on the disk.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from repro.errors import FetchError
from repro.files import shown_size

#: Left free for everybody else.
RESERVE = 256 * 2**20
_FULL = {errno.ENOSPC, errno.EDQUOT}


class Progress(Protocol):
    """Watches one family being fetched."""

    def begin(self, what: str, done: int, total: int | None) -> None:
        """Start a part of the work: bytes done already, and all, where it is known."""

    def advance(self, count: int) -> None:
        """Add bytes to those done."""

    def say(self, message: str) -> None:
        """Tell the user something in one line."""


class Silent:
    """Watches and says nothing."""

    def begin(self, what: str, done: int, total: int | None) -> None:
        """Say nothing."""

    def advance(self, count: int) -> None:
        """Say nothing."""

    def say(self, message: str) -> None:
        """Say nothing."""


def free_bytes(folder: Path) -> int:
    """Count the bytes that are free where a folder lies."""
    return shutil.disk_usage(folder).free


def check_space(folder: Path, needed: int, what: str) -> None:
    """Refuse to begin what would fill the disk.

    Raises:
        FetchError: `needed` bytes would leave less than the reserve.
    """
    free = free_bytes(folder)
    # Looked at before and while writing: others write to the same disk.
    if needed + RESERVE > free:
        raise FetchError(
            f"{what} needs {shown_size(needed)}, but {folder} has {shown_size(free)} "
            f"free, of which {shown_size(RESERVE)} are left to others; free some space "
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
