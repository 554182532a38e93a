"""What is counted of datasets, computed again in plain loops."""

from __future__ import annotations

import hashlib
import math
import os
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from repro.data.arrays import ArrayReader
from repro.data.class_names import wordnet_names
from repro.data.dataset import (
    Dataset,
    count_strata,
    first_strata,
    index_dataset,
)
from repro.data.examination import _uneven
from repro.data.folders import FolderReader, _stopped_at
from repro.data.geometry import _reason
from repro.data.layout import DECODED_AT_ONCE, stored_bytes
from repro.data.pages import pages_of
from repro.data.parquet import ParquetReader
from repro.data.readers import common_size
from repro.errors import DatasetError, NotAvailableError
from repro.files import stamp_of
from repro.published import DatasetSpec

from .shards import WORDS, rows, write_parquet
from .small_imagenet import spec

OWN = DatasetSpec(
    id="own", title="Own", folder="val", classes=("cat", "dog", "fox", "owl"), images=8
)
SIZES = st.lists(st.integers(1, 60), min_size=1, max_size=6)


def dataset_of(sizes: list[int]) -> Dataset:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    names = tuple(f"{number}.png" for number in range(len(labels)))
    return Dataset(
        name="own",
        root=Path("nowhere"),
        classes=tuple(map(str, range(len(sizes)))),
        files=names,
        digests=names,
        sizes=(1,) * len(names),
        labels=labels.astype(np.int64),
    )


@given(SIZES, st.one_of(st.none(), st.integers(1, 400)))
def test_no_more_strata_are_taken_than_a_limit_needs(
    sizes: list[int], limit: int | None
) -> None:
    dataset = dataset_of(sizes)
    chosen = first_strata(dataset, limit)
    assert chosen == list(range(len(chosen)))
    number = [sum(len(dataset.strata[n]) for n in chosen[:k]) for k in range(99)]
    if limit is None or limit > len(dataset.files):
        assert len(chosen) == len(dataset.strata)
    else:
        assert number[len(chosen)] >= limit > number[len(chosen) - 1]


@given(SIZES)
def test_each_stratum_takes_its_share_of_each_class_in_turn(sizes: list[int]) -> None:
    dataset = dataset_of(sizes)
    number = len(dataset.strata)
    wanted: list[list[int]] = [[] for _ in range(number)]
    place = 0
    for label, size in enumerate(sizes):
        # Where a small class begins is drawn, the same for everybody.
        drawn = int(hashlib.sha256(str(label).encode()).hexdigest()[:16], 16)
        for n in range(size):
            at = n * number // size + (drawn if size < number else 0)
            wanted[at % number].append(place)
            place += 1
    assert [members.tolist() for members in dataset.strata] == wanted


@given(SIZES)
def test_the_partition_is_the_digest_of_all_strata_in_turn(sizes: list[int]) -> None:
    dataset = dataset_of(sizes)
    text = b""
    for members in dataset.strata:
        text += f"{len(members)}\n".encode()
        for place in members.tolist():
            text += place.to_bytes(8, "little")
    assert dataset.partition == hashlib.sha256(text).hexdigest()
    assert len(dataset.strata) == count_strata(sum(sizes), max(sizes))


@given(st.lists(st.integers(0, 4), min_size=4, max_size=4))
def test_a_class_is_uneven_where_most_of_them_have_their_images(
    counts: list[int],
) -> None:
    named = dict(zip(OWN.classes, counts, strict=True))
    wrong = [name for name in OWN.classes if named[name] != 2]
    said = _uneven(OWN, named)
    assert said.startswith(f"Class {wrong[0]} has" if len(wrong) in (1, 2) else "")
    assert bool(said) == (len(wrong) in (1, 2))
    assert _uneven(msgspec.structs.replace(OWN, images=9), named) == ""


def test_rows_of_parquet_are_listed_by_their_names(tmp_path: Path) -> None:
    write_parquet(tmp_path / "val", rows()[::-1])
    reader = ParquetReader()
    root = reader.find(spec(), tmp_path)
    assert root is not None
    listed = reader.list(spec(), root, tmp_path)
    for images in listed.images.values():
        names = [image.name for image in images]
        assert len(names) == 3
        assert names == sorted(names)


def _zigzag(number: int) -> bytes:
    left, found = (number << 1) ^ (number >> 63), b""
    while left > 127:
        found, left = found + bytes([left & 127 | 128]), left >> 7
    return found + bytes([left])


def _page(values: int, size: int = 4) -> bytes:
    """Write a page of four bytes of zeros that says how many values it has."""
    about = b"\x15" + _zigzag(values) + b"\x15" + _zigzag(0) + b"\0"
    head = b"\x15" + _zigzag(0) + b"\x15" + _zigzag(size) + b"\x15" + _zigzag(4)
    return head + b"\x2c" + about + b"\0" + bytes(4)


def _pages(file: Path, promised: int, *values: int, size: int = 4) -> list[int]:
    content = b"PAR1" + b"".join(_page(count, size) for count in values)
    file.write_bytes(content)
    column = SimpleNamespace(
        dictionary_page_offset=None,
        data_page_offset=4,
        total_compressed_size=len(content) - 4,
        num_values=promised,
        compression="UNCOMPRESSED",
    )
    found = pages_of(file, stamp_of(file.stat()), column, 0)
    return [page.values for page in found]


def test_pages_are_read_until_their_column_has_its_values_or_ends(
    tmp_path: Path,
) -> None:
    file = tmp_path / "a.parquet"
    assert _pages(file, 3, 1, 2) == [1, 2]
    assert _pages(file, 1, 1, 1) == [1]
    assert _pages(file, 9, 0, 1, 2) == [0, 1, 2]
    for values in (-1, 4):
        with pytest.raises(ValueError, match=f"a page promises {values} values"):
            _pages(file, 3, values, 1)


def test_a_page_of_less_than_nothing_is_none(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    assert _pages(file, 1, 1, size=0) == [1]
    with pytest.raises(ValueError, match="a page has a head that is none"):
        _pages(file, 1, 1, size=-1)


def test_folders_are_named_by_their_images_where_all_classes_have_one(
    tmp_path: Path,
) -> None:
    for place, name in enumerate(spec().classes):
        folder = tmp_path / f"folder{place}"
        folder.mkdir()
        for number in range(3):
            (folder / f"x{number}_{name}.JPEG").write_bytes(b"x")
    assert FolderReader().find(spec(), tmp_path) == tmp_path
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    assert FolderReader().find(spec(), tmp_path) is None


def test_wordnet_names_its_ids_and_nothing_else() -> None:
    known = wordnet_names(["n01440764", "n01443537"])
    assert known == ("tench, Tinca tinca", "goldfish, Carassius auratus")
    assert wordnet_names(["n01440764", "goldfish"]) == ()
    assert wordnet_names(["n01440764", "n00000000"]) == ()
    assert wordnet_names(["cat"]) == ()


def test_images_that_are_not_read_are_named_only_where_some_are_missing(
    tmp_path: Path,
) -> None:
    # More than the integers that Python keeps one object of.
    whole = msgspec.structs.replace(OWN, images=400)
    for name in OWN.classes:
        (tmp_path / "val" / name).mkdir(parents=True)
        for number in range(100):
            (tmp_path / "val" / name / f"{number}.png").write_text(f"{name} {number}")
    (tmp_path / "val" / "cat" / "more.heic").write_bytes(b"x")
    assert len(index_dataset(whole, tmp_path).files) == 400
    (tmp_path / "val" / "cat" / "7.png").unlink()
    with pytest.raises(DatasetError, match=r"1 file there ends in \.heic"):
        index_dataset(whole, tmp_path)


def test_of_a_part_it_is_said_where_it_should_be(tmp_path: Path) -> None:
    said = rf"of Own: {tmp_path}/val does not exist. .* holds val/<class>/<image>"
    with pytest.raises(NotAvailableError, match=said):
        index_dataset(OWN, tmp_path, part=True)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(13, os.strerror(13)), "Permission denied"),
        (OSError("broken"), "broken"),
        (ValueError("wrong"), "wrong"),
        (ValueError(), "ValueError"),
    ],
)
def test_why_an_image_cannot_be_decoded_is_said_in_words(
    error: Exception, said: str
) -> None:
    assert _reason(error, 5) == said


@example(widths=[2, 3] * 55)
@given(widths=st.lists(st.sampled_from([2, 3]), min_size=1, max_size=120))
def test_images_have_a_size_in_common_where_all_that_are_opened_have_it(
    widths: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    for width in (2, 3):
        if not (file := folder / f"{width}.png").exists():
            Image.new("L", (width, 5)).save(file)
    places = [str(folder / f"{width}.png") for width in widths]
    step = math.ceil(len(widths) / 100)
    opened = {widths[place] for place in range(0, len(widths), step)}
    wanted = (opened.pop(), 5) if len(opened) == 1 else None
    assert common_size(places) == wanted


@pytest.mark.parametrize(
    ("images", "strata"),
    [(50_000, 50), (10_000, 10), (9_000, 10), (40_000, 40), (100_400, 100)],
)
def test_a_stratum_is_about_a_thousand_images_of_ten_at_least(
    images: int, strata: int
) -> None:
    assert count_strata(images, images) == strata
    for largest in (7, 1):
        assert count_strata(images, largest) == largest
    assert count_strata(0, 0) == 1


def test_a_stratum_of_imagenet_is_decoded_at_once_for_several_geometries() -> None:
    stratum = 1000 * 3 * 224 * 224
    assert 5 * stratum < DECODED_AT_ONCE < 2**31


def test_a_store_takes_the_bytes_of_its_pixels() -> None:
    for images in (0, 1, 7):
        pixels = np.empty((images, 3, 20, 30), np.uint8)
        assert stored_bytes((20, 30), images) == pixels.nbytes


def test_a_file_of_arrays_is_found_where_it_is_named_itself(tmp_path: Path) -> None:
    arrays, text = tmp_path / "digits.npz", tmp_path / "digits.txt"
    np.savez(arrays, x_test=np.zeros((8, 5, 5), np.uint8), y_test=np.arange(8) % 4)
    text.write_text("none")
    reader = ArrayReader()
    assert reader.find(OWN, arrays) == arrays
    assert reader.find(OWN, text) is None
    named = msgspec.structs.replace(OWN, folder="digits.npz")
    assert reader.find(named, tmp_path) == arrays


@given(st.lists(st.integers(0, 3), min_size=1, max_size=4))
def test_copying_has_stopped_at_the_one_folder_that_is_begun(counts: list[int]) -> None:
    named = dict(zip(OWN.classes, counts, strict=False))
    begun = [name for name, count in named.items() if count == 1]
    others = [count for count in counts if count != 1]
    # Two others at least are whole, and one more class has no folder at all.
    is_so = len(begun) == 1 and others == [2, 2]
    assert _stopped_at(OWN, named) == (begun[0] if is_so else "")


def test_labels_of_parquet_are_each_once_beside_all_their_names(tmp_path: Path) -> None:
    write_parquet(tmp_path / "val", rows(), WORDS)
    labels, names = ParquetReader().labels(spec(), tmp_path / "val")
    seen = [str(label) for _, _, label in rows()]
    assert labels == list(dict.fromkeys(seen))
    assert names == list(WORDS)
