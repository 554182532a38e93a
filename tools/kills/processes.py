"""Processes that are started in a folder of their own, and what they leave behind."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from pathlib import Path

HERE = Path(__file__).parents[2]
#: Seconds that a process has to notice that whoever started it is gone.
MERCY = 30.0


def wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Wait until a process ends, but no longer than some seconds."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)


def started(command: tuple[str, ...], place: Path) -> subprocess.Popen[bytes]:
    """Start a command in a folder, in a group of processes of its own."""
    return subprocess.Popen(
        command,
        cwd=place,
        env=_environment(place),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def done(command: tuple[str, ...], place: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder to its end."""
    environment = _environment(place)
    return subprocess.run(
        command, cwd=place, env=environment, capture_output=True, text=True, check=False
    )


def _environment(place: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return kept | {
        "PYTHONPATH": str(HERE),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "HOME": str(place / "home"),
        "TMPDIR": str(place / "tmp"),
        # Where torch keeps what it compiles, by default in the temporary folder.
        "TORCHINDUCTOR_CACHE_DIR": str(place / "inductor"),
        "REPRO_CACHE": str(place / "cache"),
    }


def age(folder: Path) -> None:
    """Let what is there be older than a run may take to begin, which is spared."""
    long_ago = time.time() - 3600
    for one in folder.iterdir():
        os.utime(one, (long_ago, long_ago))


def left_over(place: Path) -> list[str]:
    """Name the processes that were started in a folder and do not end."""
    end = time.monotonic() + MERCY
    while (found := _in_folder(place)) and time.monotonic() < end:
        time.sleep(0.1)
    return found


def _in_folder(place: Path) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cwd").readlink().is_relative_to(place):
                found.append(process.name)
    return found
