"""What is remembered of images, and when it is not believed."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest
import xxhash

from repro import files
from repro.data import digests as digests_module
from repro.data import pixels
from repro.data.dataset import Dataset, index_dataset, remembered_dataset
from repro.data.digests import INDEX
from repro.data.listing import ImageLocation, Listing, read_image
from repro.data.readers import find_reader
from repro.errors import DatasetError
from repro.files import DamageWarning, sealed
from repro.published import parse_geometry
from tests.data.small_imagenet import (
    spec,
    validation,
    write,
    write_devkit,
    write_tar,
)
from tests.stand_ins import dataset_spec, photograph_dataset

CLASSES = ("ant", "bee", "cat")
LAYOUTS = ("class folders", "flat folder", "tar")


class Images:
    """Twelve files of a layout, the cache, and which files were read.

    Args:
        path: an empty folder.
        layout: how they lie.
        read: is appended to when a file is read.
    """

    def __init__(self, path: Path, layout: str, read: list[str]) -> None:
        self.data, self.cache, self.read = path / "data", path / "cache", read
        self._layout = layout
        self.content = {f"{n}": f"image {n:3}".encode() for n in range(12)}
        names = list(validation())
        self.files = dict(zip(self.content, names, strict=True))
        if layout != "class folders":
            write_devkit(self.data)
        self.write(self.content)

    def write(self, content: dict[str, bytes]) -> None:
        # Another tick of the clock that files are stamped by.
        time.sleep(0.02)
        self.content = content
        files = {self.files[key]: found for key, found in content.items()}
        if self._layout == "tar":
            write_tar(self.data / "ILSVRC2012_img_val.tar", files)
        elif self._layout == "flat folder":
            write(self.data / "val", {Path(n).name: c for n, c in files.items()})
        else:
            write(self.data / "val", files)

    def index(self, cache: Path | None) -> Dataset:
        self.read.clear()
        return index_dataset(spec(), self.data, cache=cache, part=True)

    def is_right(self, dataset: Dataset) -> bool:
        found = dict(zip(dataset.files, dataset.digests, strict=True))
        return found == {
            self.files[key]: xxhash.xxh3_128_hexdigest(content)
            for key, content in self.content.items()
        }


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """List the files that are read for their digests."""
    seen: list[str] = []

    def noted(place: ImageLocation, digest: str | None = None) -> bytes:
        seen.append(str(place))
        return read_image(place, digest)

    monkeypatch.setattr(digests_module, "read_image", noted)
    return seen


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Believe files of this very moment, as if two seconds had passed."""
    monkeypatch.setattr("repro.files.YOUNG_NANOSECONDS", -(10**9))


@pytest.fixture(params=LAYOUTS)
def images(request: pytest.FixtureRequest, tmp_path: Path, read: list[str]) -> Images:
    return Images(tmp_path, request.param, read)


@pytest.mark.usefixtures("settled")
def test_what_is_remembered_is_not_read_again(images: Images) -> None:
    first = images.index(images.cache)
    assert len(images.read) == 12
    assert images.is_right(first)
    second = images.index(images.cache)
    assert images.read == []
    assert second.digests == first.digests


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("remembers", [True, False], ids=["cache", "none"])
def test_other_bytes_of_the_same_name_size_and_time_are_found(
    images: Images, remembers: bool
) -> None:
    cache = images.cache if remembers else None
    first = images.index(cache)
    before, stamps = images.content, stamps_below(images.data)
    images.write(before | {"4": b"another4 "})
    restore(stamps)
    assert stamps_below(images.data) == stamps
    changed = images.index(cache)
    assert images.is_right(changed)
    assert changed.fingerprint != first.fingerprint
    assert images.is_right(images.index(cache))
    images.write(before)
    restore(stamps)
    again = images.index(cache)
    assert images.is_right(again)
    assert again.fingerprint == first.fingerprint


def stamps_below(folder: Path) -> dict[Path, tuple[int, int]]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {f: (f.stat().st_size, f.stat().st_mtime_ns) for f in files}


def restore(stamps: dict[Path, tuple[int, int]]) -> None:
    for file, (_, modified) in stamps.items():
        os.utime(file, ns=(modified, modified))


def test_what_is_written_while_it_is_read_is_not_believed(
    tmp_path: Path, read: list[str]
) -> None:
    """Times are coarse: a second write in the same tick leaves no trace."""
    images = Images(tmp_path, "class folders", read)
    images.index(images.cache)
    images.index(images.cache)
    assert len(images.read) == 12
    time.sleep(files.YOUNG_NANOSECONDS / 1e9 + 0.1)
    images.index(images.cache)
    assert len(images.read) == 12
    images.index(images.cache)
    assert images.read == []


def touched(file: Path) -> None:
    os.utime(file)


def replaced_by_a_copy(file: Path) -> None:
    stamp = file.stat()
    copy = file.with_name("copy")
    shutil.copy2(file, copy)
    copy.replace(file)
    assert file.stat().st_mtime_ns == stamp.st_mtime_ns


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("change", [touched, replaced_by_a_copy])
def test_a_touched_file_is_read_again_and_only_it(
    change: Callable[[Path], None], tmp_path: Path, read: list[str]
) -> None:
    images = Images(tmp_path, "class folders", read)
    first = images.index(images.cache)
    file = images.data / "val" / images.files["3"]
    change(file)
    assert images.index(images.cache).fingerprint == first.fingerprint
    assert read == [str(file)]


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize(
    ("damage", "warns"),
    [
        (lambda _: b"", True),
        (lambda _: b"no index", True),
        # A digest that was never seen would make another dataset of it.
        (lambda content: content[:-40] + b"\0" + content[-39:], True),
        (
            lambda _: sealed(msgspec.msgpack.encode({"version": 2, "images": {}})),
            False,
        ),
    ],
    ids=["empty", "damaged", "a byte", "later"],
)
def test_a_damaged_or_later_index_is_made_again(
    damage: Callable[[bytes], bytes], warns: bool, tmp_path: Path, read: list[str]
) -> None:
    images = Images(tmp_path, "class folders", read)
    images.index(images.cache)
    (file,) = (images.cache / INDEX).glob("*.msgpack")
    file.write_bytes(damage(file.read_bytes()))
    said = pytest.warns(DamageWarning) if warns else contextlib.nullcontext()
    with said:
        assert images.is_right(images.index(images.cache))
    assert len(read) == 12
    images.index(images.cache)
    assert read == []


def test_without_a_cache_to_write_to_everything_is_read(
    tmp_path: Path, read: list[str]
) -> None:
    images = Images(tmp_path, "class folders", read)
    (tmp_path / "file").touch()
    for _ in range(2):
        assert images.is_right(images.index(tmp_path / "file" / "cache"))
        assert len(read) == 12


@pytest.mark.usefixtures("settled")
def test_what_is_remembered_is_known_without_reading(
    tmp_path: Path, read: list[str]
) -> None:
    images = Images(tmp_path, "class folders", read)
    whole = spec()
    assert remembered_dataset(whole, images.data, images.cache) is None
    known = images.index(images.cache)
    read.clear()
    found = remembered_dataset(whole, images.data, images.cache)
    assert found is not None
    assert found.fingerprint == known.fingerprint
    (images.data / "val" / images.files["3"]).touch()
    assert remembered_dataset(whole, images.data, images.cache) is None
    assert read == []


@pytest.mark.usefixtures("settled")
def test_a_part_of_a_folder_does_not_make_the_whole_forgotten(
    tmp_path: Path, read: list[str]
) -> None:
    images = Images(tmp_path, "class folders", read)
    root, first = images.data / "val", spec().classes[:1]
    whole = find_reader("folders").list(spec(), root, images.data)
    part = Listing(root, whole.layout, {name: whole.images[name] for name in first})
    images.index(images.cache)
    assert len(digests_module.find_digests(part, images.cache)) == 3
    images.index(images.cache)
    digests_module.find_digests(part, images.cache)
    assert read == []


def test_an_image_that_cannot_be_read_is_named(tmp_path: Path, read: list[str]) -> None:
    images = Images(tmp_path, "class folders", read)
    file = images.data / "val" / images.files["3"]
    file.unlink()
    file.symlink_to(tmp_path)
    with pytest.raises(DatasetError, match=f"{file}"):
        images.index(None)


GEOMETRY = parse_geometry("rgb|resize(24,bilinear)|center_crop(20)")


@pytest.mark.parametrize("kept", [True, False], ids=["store", "stream"])
def test_a_file_that_changes_after_it_was_indexed_is_named(
    kept: bool, tmp_path: Path
) -> None:
    dataset = photograph_dataset(tmp_path / "data", CLASSES, 4)
    # Of the same class: an image that stands in two is an error of its own.
    file, other, *_ = [dataset.root / name for name in dataset.files[4:]]
    file.write_bytes(other.read_bytes())
    strata: Sequence[int] = range(len(dataset.strata))
    if kept:
        store = pixels.PixelStore(dataset, GEOMETRY, tmp_path / "cache")
        decoded = store.iterate(strata)
    else:
        decoded = pixels.stream(dataset, GEOMETRY, strata)
    with pytest.raises(DatasetError, match=f"{file} has changed since .* run again"):
        list(decoded)
    again = index_dataset(dataset_spec(CLASSES, 12), tmp_path / "data", part=True)
    assert len(list(pixels.stream(again, GEOMETRY, range(len(again.strata))))) > 0
