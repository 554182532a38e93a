"""Which pixel stores there are, which are needed, and which go where room is short.

A lease is a shared lock on a file that is never deleted. The system ends it with the
process, however that dies, so a store is held by exactly those who still need it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
import weakref
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from repro.data.layout import (
    DESCRIPTION,
    PIXELS,
    StoreFolder,
    StoreIdentity,
    StratumRecord,
)
from repro.errors import DatasetError
from repro.files import PART_SUFFIX, decode_json

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


#: What was used this recently may be in use, where no lock can tell.
IN_USE_SECONDS = 600


class Store(msgspec.Struct, frozen=True, kw_only=True):
    """A pixel store on disk: what it holds, its bytes, when it was used (epoch)."""

    path: Path
    identity: StoreIdentity
    strata: int
    images: int
    size: int
    used: float


def list_stores(cache: Path) -> list[Store]:
    """List the stores of a cache, the last used first."""
    stores = [
        store
        for description in (cache / PIXELS).glob(f"*/{DESCRIPTION}")
        if (store := _describe(description)) is not None
    ]
    return sorted(stores, key=lambda store: store.used, reverse=True)


def check_store(store: Store) -> list[str]:
    """Compare the pixels with their checksums; a sentence for each that is damaged."""
    folder = StoreFolder(store.path, store.identity)
    if store.identity.key != store.path.name:
        return [f"{store.path / DESCRIPTION} is not as it was written"]
    strata = sorted(int(record.stem) for record in store.path.glob("[0-9]*.json"))
    return [fault for fault in map(folder.fault, strata) if fault]


def drop_store(store: Store) -> None:
    """Delete a store; whoever reads it now makes it again.

    Raises:
        DatasetError: a file cannot be deleted.
    """
    try:
        # Records first: nothing without its record counts as there.
        for file in sorted(store.path.iterdir(), key=lambda f: f.suffix != ".json"):
            file.unlink(missing_ok=True)
        store.path.rmdir()
    except FileNotFoundError:
        return
    except OSError as error:
        raise DatasetError(
            f"{store.path} cannot be deleted: {error.strerror}. Delete it by hand"
        ) from error


def drop_unneeded(store: Store) -> bool:
    """Delete a store unless a process holds it; tell whether it was deleted.

    On a disk without locks a store that was used within ten minutes stays.

    Raises:
        DatasetError: a file cannot be deleted.
    """
    with unheld(store.path) as alone:
        # Asked inside: who takes a lease meanwhile waits until it is gone, and makes it
        # anew.
        is_idle = time.time() - store.used > IN_USE_SECONDS
        is_unneeded = is_idle if alone is None else alone
        if is_unneeded:
            drop_store(store)
        return is_unneeded


def remove_parts(cache: Path) -> None:
    """Delete what killed processes left, unless somebody may be writing it."""
    for part in cache.glob(f"*/**/*{PART_SUFFIX}"):
        with contextlib.suppress(OSError):
            if time.time() - part.stat().st_mtime > IN_USE_SECONDS:
                part.unlink()


def _describe(description: Path) -> Store | None:
    """Read what a store is; None where it has just been dropped or is none."""
    try:
        identity = decode_json(description.read_bytes(), StoreIdentity)
        used = description.stat().st_mtime
        sizes = {f.name: f.stat().st_size for f in description.parent.iterdir()}
        records = sorted(description.parent.glob("[0-9]*.json"))
        read = (decode_json(record.read_bytes(), StratumRecord) for record in records)
        images = sum(record.shape[0] for record in read)
    except (OSError, ValueError):
        return None
    return Store(
        path=description.parent,
        identity=identity,
        strata=len(records),
        images=images,
        size=sum(sizes.values()),
        used=used,
    )


class WantedStore(msgspec.Struct, frozen=True):
    """A store that is about to be read or built, and its bytes once it is complete."""

    path: Path
    size: int


class HeldStores:
    """The stores that this process needs now; no other process drops them."""

    def __init__(self) -> None:
        self._leases: dict[Path, Lease] = {}

    def hold(self, stores: Iterable[Path]) -> None:
        """Hold exactly these stores, and let go of the others."""
        wanted = list(stores)
        for path in self._leases.keys() - set(wanted):
            self._leases.pop(path).release()
        for path in wanted:
            if path not in self._leases:
                self._leases[path] = Lease(path)


class Room(NamedTuple):
    """How many wanted stores have room, from the first on, and what was dropped."""

    fitting: int
    dropped: list[Store]


def make_room(
    cache: Path,
    limit: int,
    wanted: Sequence[WantedStore] = (),
    later: Sequence[Path] = (),
) -> Room:
    """Drop stores until those that are wanted now fit, or as many of them as do.

    First go the stores of which the run needs nothing any more, those that were not
    used for longest before the others; then those that it needs last. What another
    process holds stays, and so does the first one that is wanted, whatever the limit.

    Args:
        cache: folder of all stores.
        limit: bytes that all of them together may have.
        wanted: stores to read and build now, in the order in which they are needed.
        later: stores that are needed after these.

    Raises:
        DatasetError: a file cannot be deleted.
    """
    stores = {store.path: store for store in list_stores(cache)}
    sizes = {path: store.size for path, store in stores.items()}
    coming = {one.path: max(0, one.size - sizes.get(one.path, 0)) for one in wanted}
    total = sum(coming.values()) + sum(sizes.values())
    fitting, dropped = len(wanted), []
    for path in _least_needed([*coming, *later], stores):
        if total <= limit:
            break
        if path in coming:
            fitting -= 1
            total -= coming[path]
        if path in stores and drop_unneeded(stores[path]):
            total -= stores[path].size
            dropped.append(stores[path])
    return Room(fitting, dropped)


def _least_needed(planned: Sequence[Path], stores: dict[Path, Store]) -> Iterator[Path]:
    """Yield what can go, the least needed first; `stores` has the last used first."""
    known = set(planned)
    yield from (path for path in reversed(stores) if path not in known)
    # Without the first nothing could be evaluated: for it the limit gives way.
    yield from reversed(planned[1:])
