"""What images in arrays and shards tell by themselves, before a release names them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from repro.data.readers import Outline, outline

from .shards import WORDS, rows, tar_of, write_parquet, write_webdataset
from .small_imagenet import CLASSES, photograph

#: Photographs are as wide and high as `photograph` makes them.
SIZE = (20, 24)
PIXELS = np.zeros((6, 9, 7), np.uint8)


@pytest.mark.parametrize(
    ("names", "classes"), [(WORDS, WORDS), ((), ("0", "1", "2", "3"))]
)
@pytest.mark.parametrize("below", [".", "data"])
def test_parquet_tells_its_classes_by_their_names_or_numbers(
    tmp_path: Path, below: str, names: tuple[str, ...], classes: tuple[str, ...]
) -> None:
    write_parquet(tmp_path / "new" / below, rows(), names)
    assert outline(tmp_path / "new") == Outline(classes, 12, SIZE)


def test_one_shard_is_looked_into_by_its_own_name(tmp_path: Path) -> None:
    write_parquet(tmp_path, rows(), WORDS)
    shard = sorted(tmp_path.iterdir())[0]
    assert outline(shard) == Outline(WORDS, 4, SIZE)


def test_webdataset_tells_its_classes_in_the_order_of_their_names(
    tmp_path: Path,
) -> None:
    write_webdataset(
        tmp_path / "new", rows(), lambda label: {"cls": CLASSES[label].encode()}
    )
    assert outline(tmp_path / "new") == Outline(CLASSES, 12, SIZE)


def test_numbers_between_two_labels_are_classes_too(tmp_path: Path) -> None:
    members = {"a.jpg": photograph(1), "a.cls": b"3", "b.jpg": photograph(2)}
    tar_of(tmp_path / "new" / "0.tar", {**members, "b.cls": b"1"})
    assert outline(tmp_path / "new") == Outline(("0", "1", "2", "3"), 2, SIZE)


def test_images_of_two_sizes_and_ones_that_are_none_have_no_size(
    tmp_path: Path,
) -> None:
    small = io.BytesIO()
    Image.new("L", (9, 7)).save(small, "PNG")
    members = {"a.png": b"none", "a.cls": b"0", "b.png": small.getvalue()}
    members["b.cls"] = b"0"
    tar_of(tmp_path / "new" / "0.tar", members)
    assert outline(tmp_path / "new") == Outline(("0",), 2, (9, 7))
    members["a.png"] = photograph(1)
    tar_of(tmp_path / "new" / "0.tar", members)
    assert outline(tmp_path / "new") == Outline(("0",), 2, None)


def test_colours_have_a_width_and_a_height_too(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 9, 7, 3), np.uint8), y=np.arange(2))
    assert outline(tmp_path / "a.npz") == Outline(("0", "1"), 2, (7, 9))


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (np.array([2, 0, 2, 0, 2, 0]), ("0", "1", "2")),
        (np.array(["fox", "cat"] * 3), ("cat", "fox")),
    ],
)
def test_arrays_tell_their_classes_and_the_width_before_the_height(
    tmp_path: Path, labels: np.ndarray, classes: tuple[str, ...]
) -> None:
    file = tmp_path / "new" / "digits.npz"
    file.parent.mkdir()
    np.savez(file, x_test=PIXELS, y_test=labels)
    assert outline(file.parent) == outline(file) == Outline(classes, 6, (7, 9))


def test_class_folders_count_whatever_arrays_lie_beside_them(tmp_path: Path) -> None:
    np.savez(tmp_path / "features.npz", x_test=PIXELS, y_test=np.arange(6))
    assert outline(tmp_path) is not None
    (tmp_path / "cat").mkdir()
    assert outline(tmp_path) is None


def test_what_is_neither_arrays_nor_shards_has_no_outline(tmp_path: Path) -> None:
    assert outline(tmp_path) is None
    (tmp_path / "read.txt").write_text("none")
    assert outline(tmp_path) is None
    assert outline(tmp_path / "read.txt") is None
