"""Within a limit stores go in the order in which they are needed least."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from repro.data.housekeeping import (
    HeldStores,
    Lease,
    WantedStore,
    list_stores,
    make_room,
)
from repro.data.layout import StoreFolder, StoreIdentity, store_path

SIZE = 1000


def place(cache: Path, name: str) -> tuple[Path, StoreIdentity]:
    identity = StoreIdentity(
        dataset="d", fingerprint="f", partition="p", geometry=name, decoder="x"
    )
    return store_path(cache, identity), identity


def path(cache: Path, name: str) -> Path:
    return place(cache, name)[0]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Four stores of 1,000 bytes, `a` not used for longest."""
    for age, name in enumerate("dcba"):
        folder, identity = place(tmp_path, name)
        StoreFolder(folder, identity).describe()
        described = (folder / "store.json").stat().st_size
        (folder / "0000.npy").write_bytes(bytes(SIZE - described))
        then = time.time() - age * 3600
        os.utime(folder / "store.json", (then, then))
    return tmp_path


def room(
    cache: Path, stores: int, wanted: str, later: Sequence[str] = ()
) -> tuple[str, int]:
    """Make room for wanted stores within a limit of that many; tell what stayed."""
    sizes = [WantedStore(path(cache, name), SIZE) for name in wanted]
    found = make_room(
        cache, stores * SIZE, sizes, [path(cache, name) for name in later]
    )
    return "".join(
        sorted(s.identity.geometry for s in list_stores(cache))
    ), found.fitting


def test_what_fits_stays(cache: Path) -> None:
    assert room(cache, 6, "xy") == ("abcd", 2)


def test_what_the_run_does_not_need_goes_first_the_last_used_last(cache: Path) -> None:
    assert room(cache, 5, "xy", "a") == ("acd", 2)
    assert room(cache, 4, "xy", "a") == ("ad", 2)


def test_then_goes_what_is_needed_last(cache: Path) -> None:
    assert room(cache, 3, "xy", "abcd") == ("a", 2)


def test_a_store_that_is_there_and_wanted_needs_no_room_of_its_own(
    cache: Path,
) -> None:
    assert room(cache, 4, "abcd") == ("abcd", 4)
    assert room(cache, 3, "abcd") == ("abc", 3)


def test_as_many_are_wanted_as_fit(cache: Path) -> None:
    assert room(cache, 2, "xyz") == ("", 2)


def test_the_first_one_is_kept_whatever_the_limit(cache: Path) -> None:
    assert room(cache, 0, "ax", "b") == ("a", 1)


def test_what_another_process_holds_stays_and_takes_its_room(cache: Path) -> None:
    lease = Lease(path(cache, "b"))
    assert room(cache, 2, "xyz") == ("b", 1)
    lease.release()
    assert room(cache, 2, "xyz") == ("", 2)


def test_held_stores_are_those_that_were_named_last(cache: Path) -> None:
    held = HeldStores()
    held.hold([path(cache, "a"), path(cache, "b")])
    held.hold([path(cache, "b"), path(cache, "c")])
    assert room(cache, 0, "x") == ("bc", 1)
