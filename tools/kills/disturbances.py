"""Ways to disturb a deed: it is killed or interrupted, or its disk is full."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from .processes import MERCY, started, wait

#: Bytes that a file may have where the size of files is limited.
LEAST, MOST = 0, 2**18
#: A full disk, which only root can make; bytes of the disk before and after, more than
#: a download leaves to others.
FULL, DISK, PAGE = "disk full", 2**30, 4096


class Known(msgspec.Struct, frozen=True):
    """What comes of a deed that nothing disturbs, its seconds, and bytes of files."""

    result: object
    seconds: float
    size: int


def _tell_all(process: subprocess.Popen[bytes], what: signal.Signals) -> None:
    """Send a signal to a process and all that it has started, where they still are."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, what)


def _kill_all(
    command: tuple[str, ...], place: Path, drawn: random.Random, known: Known
) -> None:
    with started(command, place) as process:
        wait(process, drawn.uniform(0, known.seconds))
        _tell_all(process, signal.SIGKILL)


def _kill_one(
    command: tuple[str, ...], place: Path, drawn: random.Random, known: Known
) -> None:
    """Kill the process that was started, and none of those that it has started."""
    with started(command, place) as process:
        wait(process, drawn.uniform(0, known.seconds))
        process.kill()


def _interrupt(
    command: tuple[str, ...], place: Path, drawn: random.Random, known: Known
) -> None:
    """Do what a key does in a terminal: all processes are told."""
    with started(command, place) as process:
        wait(process, drawn.uniform(0, known.seconds))
        _tell_all(process, signal.SIGINT)
        wait(process, MERCY)
        process.kill()


def _fill_disk(
    command: tuple[str, ...], place: Path, drawn: random.Random, known: Known
) -> None:
    """Leave less room than the deed needs, for the time of the disturbance."""
    disk = str(place.parent)
    room = drawn.randrange(max(known.size, 1))
    mount("-o", f"remount,size={size(place) + room}", disk)
    with started(command, place) as process:
        wait(process, 10 * known.seconds + MERCY)
        process.kill()
    mount("-o", f"remount,size={DISK}", disk)


def mount(*arguments: str) -> bool:
    """Mount something; say whether that was allowed."""
    mounted = subprocess.run(["mount", *arguments], capture_output=True, check=False)
    return not mounted.returncode


@contextlib.contextmanager
def small_disk(folder: str) -> Iterator[None]:
    """Let a folder be a disk of its own, which is gone afterwards."""
    if not mount("-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", folder):
        raise PermissionError(f"{folder} cannot become a disk of its own")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def can_mount() -> bool:
    """Whether a folder can become a small disk: where this is root."""
    with (
        contextlib.suppress(OSError, PermissionError),
        TemporaryDirectory() as folder,
        small_disk(folder),
    ):
        return True
    return False


def size(place: Path) -> int:
    """Sum up the bytes below a folder, as whole pages."""
    files = (file for file in place.rglob("*") if file.is_file())
    return sum(-(-file.stat().st_size // PAGE) * PAGE for file in files)


def _limit_files(
    command: tuple[str, ...], place: Path, drawn: random.Random, known: Known
) -> None:
    """Refuse what makes a file larger than some size, as a quota would."""
    most = int(LEAST + (MOST - LEAST) * drawn.random() ** 4)
    limited = (sys.executable, "-c", _LIMITED, str(most), *command)
    with started(limited, place) as process:
        wait(process, 10 * known.seconds + MERCY)
        process.kill()


_LIMITED = """
import os, resource, sys
most = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
os.execv(sys.argv[2], sys.argv[2:])
"""
DISTURBANCES: dict[str, Callable[..., None]] = {
    "all killed": _kill_all,
    "one killed": _kill_one,
    "interrupted": _interrupt,
    FULL: _fill_disk,
    "files limited": _limit_files,
}
