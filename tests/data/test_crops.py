"""Where images changed, only these are decoded again."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from repro.data import geometry as geometry_module
from repro.data.crops import EarlierCrops
from repro.data.dataset import Dataset, index_dataset
from repro.data.geometry import Pixels
from repro.data.layout import DESCRIPTION, StoreIdentity, store_identity
from repro.data.pixels import PixelStore
from repro.published import Geometry, parse_geometry
from tests.stand_ins import dataset_spec, make_photographs, photograph

SMALL = parse_geometry("rgb|resize(24,bilinear)|center_crop(20)")
SQUARE = parse_geometry("rgb|resize(16,bicubic)|center_crop(16)")
CLASSES = ("ant", "bee", "cat")
IMAGES = 45


class Folder:
    """Photographs on disk, a cache, and which of them were decoded since asked last."""

    def __init__(self, path: Path, decoded: list[str]) -> None:
        self.data, self.cache = path / "data", path / "cache"
        self._decoded = decoded
        make_photographs(self.data / "val", CLASSES, IMAGES // len(CLASSES), (40, 30))

    def index(self) -> Dataset:
        return index_dataset(
            dataset_spec(CLASSES, IMAGES), self.data, cache=self.cache, part=True
        )

    def pixels(self, geometry: Geometry, *others: Geometry) -> dict[str, Pixels]:
        """Give the crop of each image from the store."""
        dataset = self.index()
        store = PixelStore(dataset, geometry, self.cache, 2, others)
        found = dict(store.iterate(range(len(dataset.strata))))
        return {
            dataset.files[index]: crop
            for stratum, members in enumerate(dataset.strata)
            for index, crop in zip(members.tolist(), found[stratum], strict=True)
        }

    def decoded(self) -> list[str]:
        names = sorted(self._decoded)
        self._decoded.clear()
        return names

    def change(self, name: str, seed: int) -> Path:
        file = self.data / "val" / name
        photograph(seed, 40, 30).save(file)
        return file


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    decode = geometry_module.decode
    decoded: list[str] = []

    def noted(path: Path, digest: str | None = None) -> object:
        decoded.append("/".join(path.parts[-2:]))
        return decode(path, digest)

    monkeypatch.setattr(geometry_module, "decode", noted)
    return Folder(tmp_path, decoded)


def directly(folder: Folder, geometry: Geometry) -> dict[str, Pixels]:
    """Decode every image with nothing kept."""
    dataset = folder.index()
    crops = {}
    for index, file in enumerate(dataset.files):
        crops[file] = np.empty((3, *geometry.output_size), np.uint8)
        dataset.planar_pixels(index, [geometry], [crops[file]])
    folder.decoded()
    return crops


def assert_equal(found: dict[str, Pixels], expected: dict[str, Pixels]) -> None:
    assert set(found) == set(expected)
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_a_changed_image_is_decoded_again_and_only_it(folder: Folder) -> None:
    folder.pixels(SMALL, SQUARE)
    assert len(folder.decoded()) == IMAGES
    for seed, name in ((900, "ant/003.jpg"), (901, "cat/000.jpg")):
        folder.change(name, seed)
        found = folder.pixels(SMALL, SQUARE)
        assert folder.decoded() == [name]
        assert_equal(found, directly(folder, SMALL))
        assert_equal(folder.pixels(SQUARE), directly(folder, SQUARE))


def test_an_image_that_is_back_needs_no_decode_at_all(folder: Folder) -> None:
    file = folder.data / "val/bee/001.jpg"
    before = file.read_bytes()
    first = folder.pixels(SMALL)
    folder.change("bee/001.jpg", 900)
    folder.pixels(SMALL)
    file.write_bytes(before)
    folder.decoded()
    assert_equal(folder.pixels(SMALL), first)
    assert folder.decoded() == []


def touched(file: Path) -> None:
    os.utime(file)


def renamed(file: Path) -> None:
    file.rename(file.with_name("another name.png"))


@pytest.mark.parametrize("change", [touched, renamed])
def test_the_same_bytes_are_not_decoded_again(
    change: Callable[[Path], None], folder: Folder
) -> None:
    folder.pixels(SMALL)
    folder.decoded()
    change(folder.data / "val/bee/001.jpg")
    folder.pixels(SMALL)
    assert folder.decoded() == []


def test_an_image_of_another_class_is_not_decoded_again(folder: Folder) -> None:
    folder.pixels(SMALL)
    folder.decoded()
    root = folder.data / "val"
    (root / "ant/003.jpg").rename(root / "bee/new.jpg")
    found = folder.pixels(SMALL)
    assert folder.decoded() == []
    assert_equal(found, directly(folder, SMALL))


def test_another_geometry_or_decoder_has_crops_of_its_own(folder: Folder) -> None:
    folder.pixels(SMALL)
    folder.pixels(SQUARE)
    assert len(folder.decoded()) == 2 * IMAGES
    identity = store_identity(folder.index(), SMALL)
    for description in folder.cache.rglob(DESCRIPTION):
        found = msgspec.json.decode(description.read_bytes(), type=StoreIdentity)
        other = msgspec.structs.replace(found, decoder="another Pillow")
        description.write_bytes(msgspec.json.encode(other))
    changed = msgspec.structs.replace(identity, fingerprint="xxh3:other")
    crops = EarlierCrops(folder.cache, changed)
    assert all(crops.find(digest) is None for digest in folder.index().digests)


def test_damage_is_not_copied(folder: Folder) -> None:
    folder.pixels(SMALL)
    for file in folder.cache.rglob("*.npy"):
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
    folder.change("ant/003.jpg", 900)
    assert_equal(folder.pixels(SMALL), directly(folder, SMALL))


def test_a_damaged_description_lends_crops_to_no_other_geometry(folder: Folder) -> None:
    folder.pixels(SMALL)
    (description,) = folder.cache.rglob(DESCRIPTION)
    said = description.read_text().replace("resize(24,", "resize(26,")
    description.write_text(said)
    folder.change("ant/003.jpg", 900)
    other = parse_geometry("rgb|resize(26,bilinear)|center_crop(20)")
    assert_equal(folder.pixels(other), directly(folder, other))
