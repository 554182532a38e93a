"""List, check and drop pixel stores."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import msgspec

from repro.data.layout import (
    DESCRIPTION,
    PIXELS,
    StoreFolder,
    StoreIdentity,
    StratumRecord,
)
from repro.data.leases import unheld
from repro.errors import DatasetError
from repro.files import PART_SUFFIX

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
    """Compare the pixels with their checksums; a sentence for each damaged stratum."""
    folder = StoreFolder(store.path, store.identity)
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


def make_room(cache: Path, limit: int) -> list[Store]:
    """Drop the stores that were not used for longest until the rest fits.

    Args:
        cache: folder of all stores.
        limit: bytes that all of them together may have.

    Returns:
        What was dropped. A store that a process holds stays.

    Raises:
        DatasetError: a file cannot be deleted.
    """
    stores = list_stores(cache)
    total = sum(store.size for store in stores)
    dropped = []
    for store in reversed(stores):
        if total > limit and drop_unneeded(store):
            total -= store.size
            dropped.append(store)
    return dropped


def remove_parts(cache: Path) -> None:
    """Delete what killed processes left, unless somebody may be writing it."""
    for part in cache.glob(f"*/**/*{PART_SUFFIX}"):
        with contextlib.suppress(OSError):
            if time.time() - part.stat().st_mtime > IN_USE_SECONDS:
                part.unlink()


def _describe(description: Path) -> Store | None:
    """Read what a store is; None where it has just been dropped or is none."""
    try:
        identity = msgspec.json.decode(description.read_bytes(), type=StoreIdentity)
        used = description.stat().st_mtime
        sizes = {f.name: f.stat().st_size for f in description.parent.iterdir()}
        records = sorted(description.parent.glob("[0-9]*.json"))
        images = [_images_of(record) for record in records]
    except (OSError, ValueError):
        return None
    return Store(
        path=description.parent,
        identity=identity,
        strata=len(records),
        images=sum(images),
        size=sum(sizes.values()),
        used=used,
    )


def _images_of(record: Path) -> int:
    return msgspec.json.decode(record.read_bytes(), type=StratumRecord).shape[0]
