"""How much memory something takes, whatever its process did before."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROCESS = Path("/proc/self")


def peak() -> int:
    """The most that this process has held in memory, in bytes.

    `ru_maxrss` does not serve: of a process it counts what its parent held when it
    was forked, and of children the largest that ever ended.
    """
    lines = (_PROCESS / "status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


@contextlib.contextmanager
def grows_by_less_than(size: int) -> Iterator[None]:
    """Fail where the block needs `size` bytes above what was held before it.

    On Linux, which says so; elsewhere nothing is measured.
    """
    if not _PROCESS.exists():
        yield
        return
    (_PROCESS / "clear_refs").write_text("5")  # The peak is now what is held now.
    before = peak()
    yield
    assert peak() - before < size
