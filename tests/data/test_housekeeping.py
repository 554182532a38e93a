from __future__ import annotations

import errno
import fcntl
import os
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest

from repro.data.dataset import Dataset
from repro.data.housekeeping import (
    IN_USE_SECONDS,
    Lease,
    check_store,
    drop_store,
    list_stores,
    make_room,
    remove_parts,
)
from repro.data.pixels import PixelStore
from repro.published import parse_geometry
from tests.stand_ins import photograph_dataset

GEOMETRIES = [parse_geometry(f"rgb|center_crop({side})") for side in (16, 24, 32)]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return photograph_dataset(tmp_path_factory.mktemp("data"), per_class=10)


@pytest.fixture
def cache(photographs: Dataset, tmp_path: Path) -> Path:
    """Three stores; the one of the largest crops was used last."""
    for age, geometry in zip((3, 2, 1), GEOMETRIES, strict=True):
        store = PixelStore(photographs, geometry, tmp_path)
        list(store.iterate(range(len(photographs.strata))))
        (newest,) = list_stores(tmp_path)[:1]
        then = time.time() - age * 3600
        os.utime(newest.path / "store.json", (then, then))
    return tmp_path


def geometries_in(cache: Path) -> list[str]:
    return [store.identity.geometry for store in list_stores(cache)]


def test_stores_are_listed_with_what_they_hold_the_last_used_first(cache: Path) -> None:
    stores = list_stores(cache)
    assert geometries_in(cache) == [str(g) for g in reversed(GEOMETRIES)]
    assert {(store.images, store.strata) for store in stores} == {(30, 10)}
    for store in stores:
        on_disk = sum(file.stat().st_size for file in store.path.iterdir())
        assert store.size == on_disk
    assert stores[0].size > 30 * 3 * 32 * 32


def test_reading_a_store_makes_it_the_last_used(
    photographs: Dataset, cache: Path
) -> None:
    list(PixelStore(photographs, GEOMETRIES[0], cache).iterate([0]))
    assert geometries_in(cache)[0] == str(GEOMETRIES[0])


def test_what_was_not_used_for_longest_is_dropped_until_the_rest_fits(
    cache: Path,
) -> None:
    newest, middle, oldest = list_stores(cache)
    assert make_room(cache, newest.size + middle.size + oldest.size).dropped == []
    assert make_room(cache, newest.size + middle.size).dropped == [oldest]
    assert make_room(cache, newest.size - 1).dropped == [middle, newest]
    assert list_stores(cache) == []


def test_a_store_that_is_held_stays_whatever_the_limit(cache: Path) -> None:
    newest, middle, oldest = list_stores(cache)
    lease = Lease(middle.path)
    assert make_room(cache, 0).dropped == [oldest, newest]
    lease.release()
    assert make_room(cache, 0).dropped == [middle]


def test_without_locks_a_store_that_was_used_just_now_stays(
    photographs: Dataset, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    newest, middle, _ = list_stores(cache)
    PixelStore(photographs, GEOMETRIES[0], cache)
    assert make_room(cache, 0).dropped == [middle, newest]
    assert geometries_in(cache) == [str(GEOMETRIES[0])]


def test_sound_stores_pass_the_check(cache: Path) -> None:
    assert [check_store(store) for store in list_stores(cache)] == [[], [], []]


def test_one_flipped_bit_is_found_by_the_check(cache: Path) -> None:
    store = list_stores(cache)[0]
    file = store.path / "0004.npy"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    (fault,) = check_store(store)
    assert f"{file} has another checksum" in fault


def test_a_damaged_description_is_found_by_the_check(cache: Path) -> None:
    store = list_stores(cache)[0]
    file = store.path / "store.json"
    file.write_text(file.read_text().replace("Pillow 1", "Pillow 0"))
    assert check_store(list_stores(cache)[0]) == [f"{file} is not as it was written"]


def test_a_store_of_an_earlier_layout_is_made_anew_and_can_be_dropped(
    photographs: Dataset, cache: Path
) -> None:
    old = list_stores(cache)[0]
    record = '{"shape":[3,3,32,32],"sha256":"00"}'
    for file in old.path.glob("[0-9]*.json"):
        file.write_text(record)
    identity = msgspec.structs.replace(old.identity, layout=1)
    described = msgspec.to_builtins(identity)
    del described["layout"]
    (old.path / "store.json").write_bytes(msgspec.json.encode(described))
    moved = old.path.with_name(identity.key)
    old.path.rename(moved)
    store = PixelStore(photographs, GEOMETRIES[2], cache)
    assert not store.is_ready(0)
    (found,) = [s for s in list_stores(cache) if s.path == moved]
    assert found.images == 30
    assert "is of an earlier version" in check_store(found)[0]
    assert moved in [dropped.path for dropped in make_room(cache, 0).dropped]


def test_a_stratum_that_cannot_be_read_is_found_by_the_check(cache: Path) -> None:
    store = list_stores(cache)[0]
    (store.path / "0004.npy").write_bytes(b"")
    (fault,) = check_store(store)
    assert "0004.npy cannot be read" in fault


def test_a_dropped_store_is_made_again_with_the_same_pixels(
    photographs: Dataset, cache: Path
) -> None:
    store = PixelStore(photographs, GEOMETRIES[2], cache)
    before = {number: np.array(p) for number, p in store.iterate(range(10))}
    for dropped in list_stores(cache):
        drop_store(dropped)
    assert not list_stores(cache)
    for number, pixels in store.iterate(range(10)):
        assert np.array_equal(pixels, before[number])


def test_dropping_a_store_twice_is_no_error(cache: Path) -> None:
    store = list_stores(cache)[0]
    drop_store(store)
    drop_store(store)
    assert not store.path.exists()


def test_what_killed_processes_left_is_removed_unless_it_may_be_written_now(
    cache: Path,
) -> None:
    folder = list_stores(cache)[0].path
    old, new = folder / "0001.npy.a.part", folder / "0001.npy.b.part"
    for part in (old, new):
        part.write_bytes(b"half")
    then = time.time() - IN_USE_SECONDS - 1
    os.utime(old, (then, then))
    remove_parts(cache)
    assert not old.exists()
    assert new.exists()
