"""Which pixel stores a run keeps while all of them have a limit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from repro.data.housekeeping import Store, drop_unneeded, list_stores
from repro.data.leases import Lease


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


def make_room_for(
    cache: Path, limit: int, wanted: Sequence[WantedStore], later: Sequence[Path] = ()
) -> int:
    """Drop stores until those that are wanted now fit, or as many of them as do.

    First go the stores of which the run needs nothing any more, those that were not
    used for longest before the others; then those that it needs last. What another
    process holds stays, and so does the first one that is wanted, whatever the limit.

    Args:
        cache: folder of all stores.
        limit: bytes that all of them together may have.
        wanted: stores to read and build now, in the order in which they are needed.
        later: stores that are needed after these.

    Returns:
        How many of the wanted ones, from the first on, have room.

    Raises:
        DatasetError: a file cannot be deleted.
    """
    stores = {store.path: store for store in list_stores(cache)}
    coming = {
        store.path: max(0, store.size - _size(stores.get(store.path)))
        for store in wanted
    }
    total = sum(coming.values()) + sum(store.size for store in stores.values())
    fitting = len(wanted)
    for path in _least_needed([*coming, *later], stores):
        if total <= limit:
            break
        if path in coming:
            fitting -= 1
            total -= coming[path]
        if path in stores and drop_unneeded(stores[path]):
            total -= stores[path].size
    return fitting


def _least_needed(planned: Sequence[Path], stores: dict[Path, Store]) -> Iterator[Path]:
    """Yield what can go, the least needed first; `stores` has the last used first."""
    known = set(planned)
    yield from (path for path in reversed(stores) if path not in known)
    # Without the first nothing could be evaluated: for it the limit gives way.
    yield from reversed(planned[1:])


def _size(store: Store | None) -> int:
    return store.size if store else 0
