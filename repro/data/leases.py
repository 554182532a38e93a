"""Tell other processes which pixel stores are needed here.

A lease is a shared lock on a file that is never deleted. The system ends it with the
process, however that dies, so a store is held by exactly those who still need it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import weakref
from collections.abc import Iterator
from pathlib import Path

#: What `flock` answers where somebody else has the lock.
_TAKEN = (errno.EWOULDBLOCK, errno.EACCES)


class Lease:
    """Keeps a pixel store from being dropped, until it is released or forgotten.

    While a store is being dropped, this waits until that is done. In a cache that may
    only be read there is nothing to hold: what is mapped stays readable.

    Args:
        store: folder of the store, which need not exist.
    """

    def __init__(self, store: Path) -> None:
        # A lock belongs to this descriptor, not to the process: two leases on one store
        # are told apart, and closing one leaves the other.
        descriptor = _open(store)
        self._close = weakref.finalize(self, _close, descriptor)
        if descriptor is not None:
            with contextlib.suppress(OSError):  # Some network disks have no locks.
                fcntl.flock(descriptor, fcntl.LOCK_SH)

    def release(self) -> None:
        """Let the store be dropped, as far as this process is concerned."""
        self._close()


@contextlib.contextmanager
def unheld(store: Path) -> Iterator[bool | None]:
    """Yield whether nobody holds a store, and keep it so inside the block.

    None: it cannot be told, since the disk has no locks.
    """
    descriptor = _open(store)
    try:
        yield _try_alone(descriptor)
    finally:
        _close(descriptor)


def is_held(store: Path) -> bool:
    """Tell whether some process holds a store, this one included."""
    with unheld(store) as alone:
        return alone is False


def _try_alone(descriptor: int | None) -> bool | None:
    if descriptor is None:
        return None
    try:
        # Not waited for: whoever drops stores has others to look at.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in _TAKEN else None
    return True


def _open(store: Path) -> int | None:
    """Open the lock file of a store, beside the folders of all stores."""
    # Not inside the store: dropping that would delete the file, and a new one of its
    # name would be another lock.
    file = store.parent / "locks" / f"{store.name}.lease"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        return os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError:
        return None


def _close(descriptor: int | None) -> None:
    if descriptor is not None:
        os.close(descriptor)
