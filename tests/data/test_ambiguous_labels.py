"""Where shards and tables can be understood in two ways, nothing is guessed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from repro.data import parquet
from repro.data.digests import find_digests
from repro.data.label_tables import read_table
from repro.data.listing import Listing, digest_of, read_image
from repro.data.parquet import ParquetReader
from repro.data.shards import WebDatasetReader
from repro.errors import DatasetError

from .shards import Rows, table, tar_of
from .small_imagenet import CLASSES, photograph, spec

LABELS = [0, 1, 2, 3]


def some(number: int, begin: int = 0) -> list[tuple[str, bytes, int]]:
    return [
        (f"{place}.jpg", photograph(begin + place), LABELS[place % 4])
        for place in range(number)
    ]


def shard(
    data: Path, found: Rows, number: int = 0, of: int = 1, names: tuple[str, ...] = ()
) -> Path:
    (data / "val").mkdir(parents=True, exist_ok=True)
    file = data / "val" / f"val-{number:05}-of-{of:05}.parquet"
    pq.write_table(table(found, names), file)
    return file


def listed_parquet(data: Path) -> Listing:
    return ParquetReader().list(spec(), data / "val", data)


def listed_webdataset(data: Path) -> Listing:
    return WebDatasetReader().list(spec(), data / "val", data)


def test_a_page_remembers_its_images_by_their_rows_in_their_shard(
    tmp_path: Path,
) -> None:
    """The shard before it may be written again, with another number of rows."""
    unnamed = [("", content, 0) for _, content, _ in some(6)]
    first = shard(tmp_path, unnamed[:3], 0, 2)
    second = shard(tmp_path, unnamed[3:], 1, 2)
    for file in (first, second):
        os.utime(file, ns=(10**18, 10**18))
    before = {
        (image.name, image.stamp): str(image.place)
        for image in listed_parquet(tmp_path).images[CLASSES[0]]
    }
    pq.write_table(table(unnamed[:2]), first)
    for image in listed_parquet(tmp_path).images[CLASSES[0]]:
        # Where both are the same, the digest that was remembered is believed.
        remembered = before.get((image.name, image.stamp), str(image.place))
        assert remembered == str(image.place)


def test_labels_are_not_counted_where_a_shard_names_them_in_another_order(
    tmp_path: Path,
) -> None:
    shard(tmp_path, some(8), names=(*reversed(CLASSES), "one more"))
    found = listed_parquet(tmp_path)
    assert all(
        image.place is not None
        and read_image(image.place) in {c for _, c, n in some(8) if n == 3 - at}
        for at, class_ in enumerate(CLASSES)
        for image in found.images[class_]
    )


def test_a_label_without_a_name_is_not_counted_where_others_have_one(
    tmp_path: Path,
) -> None:
    shard(tmp_path, some(8), names=tuple(reversed(CLASSES[1:])))
    with pytest.raises(DatasetError, match="names the label 3 ''"):
        listed_parquet(tmp_path)


def test_classes_that_are_numbers_are_those_of_the_labels_and_that_is_said(
    tmp_path: Path,
) -> None:
    shard(tmp_path, some(8), names=("cat", "dog", "eel", "fox"))
    numbered = msgspec.structs.replace(spec(), classes=("0", "1", "2", "3"))
    found = ParquetReader().list(numbered, tmp_path / "val", tmp_path)
    assert [len(images) for images in found.images.values()] == [2, 2, 2, 2]
    (said,) = found.assumed
    assert said.endswith("names them 'cat' and so on")


def test_shards_that_name_labels_in_two_orders_are_refused(tmp_path: Path) -> None:
    shard(tmp_path, some(4), 0, 2, CLASSES)
    shard(tmp_path, some(4, 4), 1, 2, tuple(reversed(CLASSES)))
    said = (
        r"val-00001-of-00002.parquet names its labels otherwise than val-00000-of-00002"
    )
    with pytest.raises(DatasetError, match=said):
        listed_parquet(tmp_path)


def with_columns(data: Path, *columns: str) -> None:
    (data / "val").mkdir()
    whole = {name: table(some(4, at), column=name) for at, name in enumerate(columns)}
    made = {name: whole[name][name] for name in columns}
    pq.write_table(
        pa.table({**made, "label": whole[columns[0]]["label"]}),
        data / "val" / "val.parquet",
    )


def test_of_several_columns_the_one_called_image_is_read(tmp_path: Path) -> None:
    with_columns(tmp_path, "thumbnail", "image")
    (image,) = listed_parquet(tmp_path).images[CLASSES[0]]
    assert image.place is not None
    assert read_image(image.place) == photograph(1)


def test_of_several_columns_of_images_none_is_guessed(tmp_path: Path) -> None:
    with_columns(tmp_path, "left", "right")
    with pytest.raises(DatasetError, match=r"left.bytes, right.bytes"):
        listed_parquet(tmp_path)


def test_two_files_of_one_shard_are_refused(tmp_path: Path) -> None:
    file = shard(tmp_path, some(4))
    pq.write_table(table(some(4, 4)), file.with_stem(f"{file.stem}-0123456789abcdef"))
    with pytest.raises(DatasetError, match="shard 0 is there twice"):
        listed_parquet(tmp_path)


@pytest.mark.parametrize(
    "members",
    [
        {"a.jpg": b"1", "a.mask.png": b"2", "a.cls": b"0"},
        {"a.mask.png": b"2", "a.jpg": b"1", "a.cls": b"0"},
    ],
)
def test_the_image_of_a_key_is_not_another_one_of_the_sample(
    members: dict[str, bytes], tmp_path: Path
) -> None:
    tar_of(tmp_path / "val" / "val-00.tar", members)
    (image,) = listed_webdataset(tmp_path).images[CLASSES[0]]
    assert image.place is not None
    assert read_image(image.place) == b"1"


@pytest.mark.parametrize(
    "members",
    [
        {"a.1.jpg": b"1", "a.1.cls": b"0", "a.2.jpg": b"2", "a.2.cls": b"1"},
        {"a.jpg": b"1", "a.png": b"2", "a.cls": b"0"},
    ],
)
def test_several_images_of_one_key_are_refused(
    members: dict[str, bytes], tmp_path: Path
) -> None:
    tar_of(tmp_path / "val" / "val-00.tar", members)
    with pytest.raises(DatasetError, match="has several images of the key 'a'"):
        listed_webdataset(tmp_path)


def test_the_column_of_files_is_the_one_that_says_so(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text(f"id,image,label\n0,1.jpg,{CLASSES[1]}\n1,0.jpg,{CLASSES[0]}\n")
    found = read_table(spec(), file)
    assert found.class_of("0.jpg") == CLASSES[0]
    assert found.class_of("1.jpg") == CLASSES[1]


def test_an_image_with_several_boxes_is_of_their_one_class(tmp_path: Path) -> None:
    file = tmp_path / "LOC_val_solution.csv"
    boxes = f"{CLASSES[1]} 85 1 499 272 {CLASSES[1]} 5 6 7 8 "
    file.write_text(f"ImageId,PredictionString\na,{CLASSES[0]} 1 2 3 4 \nb,{boxes}\n")
    assert read_table(spec(), file).rows == {"a": CLASSES[0], "b": CLASSES[1]}


def test_numbers_that_are_names_and_places_of_other_classes_are_refused(
    tmp_path: Path,
) -> None:
    """Folders of numbers are sorted as text by those who write shards of them."""
    numbered = msgspec.structs.replace(spec(), classes=("1", "2", "10", "0"))
    tar_of(tmp_path / "val" / "val-00.tar", {"a.jpg": b"1", "a.cls": b"2"})
    with pytest.raises(DatasetError, match="may be names of classes or their places"):
        WebDatasetReader().list(numbered, tmp_path / "val", tmp_path)


def test_images_keep_names_of_their_own(tmp_path: Path) -> None:
    found = [("00000001", photograph(0), 0), ("", photograph(1), 0)]
    shard(tmp_path, found)
    listing = listed_parquet(tmp_path)
    digests = find_digests(listing, None)
    assert set(digests.values()) == {digest_of(content) for _, content, _ in found}


@pytest.mark.parametrize("name", ["label", "labels", "fine_label", "class", "target"])
def test_labels_have_one_of_several_names(name: str, tmp_path: Path) -> None:
    (tmp_path / "val").mkdir()
    made = table(some(4)).rename_columns(["image", name])
    pq.write_table(made, tmp_path / "val" / "val.parquet")
    found = listed_parquet(tmp_path).images
    assert [len(images) for images in found.values()] == [1, 1, 1, 1]


@pytest.mark.parametrize("row", [0, 3, 5])
def test_a_row_without_a_label_is_named_by_its_number_in_the_shard(
    row: int, tmp_path: Path
) -> None:
    (tmp_path / "val").mkdir()
    labels = pa.array([None if number == row else 0 for number in range(6)], pa.int64())
    made = table(some(6)).set_column(1, "label", labels)
    pq.write_table(made, tmp_path / "val" / "val.parquet", row_group_size=2)
    with pytest.raises(DatasetError, match=f"row {row} has no label; restore it"):
        listed_parquet(tmp_path)


def test_rows_are_named_by_their_place_where_paths_are_missing(tmp_path: Path) -> None:
    shard(tmp_path, [("x/1.jpg", photograph(0), 0), ("", photograph(1), 0)], 0, 2)
    shard(tmp_path, [("", photograph(2), 0), ("y/1.jpg", photograph(3), 1)], 1, 2)
    found = listed_parquet(tmp_path).images
    names = [image.name for images in found.values() for image in images]
    first, second = CLASSES[:2]
    assert names == [
        f"{first}/00000001",
        f"{first}/00000002",
        f"{first}/1.jpg",
        f"{second}/1.jpg",
    ]
    places = [str(image.place) for image in found[first]]
    assert [place.rpartition("-of-")[2] for place in places] == [
        "00002.parquet, row 1",
        "00002.parquet, row 0",
        "00002.parquet, row 0",
    ]


def test_texts_may_be_labels_in_any_row_group(tmp_path: Path) -> None:
    (tmp_path / "val").mkdir()
    labels = pa.array([CLASSES[number % 4] for number in range(6)])
    made = table(some(6)).set_column(1, "label", labels)
    pq.write_table(made, tmp_path / "val" / "val.parquet", row_group_size=4)
    found = listed_parquet(tmp_path)
    assert [len(images) for images in found.images.values()] == [2, 2, 1, 1]
    assert found.layout == "in 1 shard of parquet"


def test_images_that_are_lists_are_not_one_a_row(tmp_path: Path) -> None:
    (tmp_path / "val").mkdir()
    kind = pa.struct({"bytes": pa.list_(pa.binary())})
    images = pa.array([{"bytes": [b"x", b"y"]}], kind)
    made = pa.table({"image": images, "label": [0]})
    pq.write_table(made, tmp_path / "val" / "val.parquet")
    with pytest.raises(DatasetError, match=r"has the columns image\.bytes\.list"):
        listed_parquet(tmp_path)
    numbers = pa.array([{"bytes": 1}], pa.struct({"bytes": pa.int64()}))
    made = pa.table({"image": numbers, "label": [0]})
    pq.write_table(made, tmp_path / "val" / "val.parquet")
    with pytest.raises(DatasetError, match=r"image.bytes is not one value a row"):
        listed_parquet(tmp_path)


def test_an_image_of_a_damaged_page_cannot_be_read(tmp_path: Path) -> None:
    file = shard(tmp_path, some(4))
    (image, *_) = listed_parquet(tmp_path).images[CLASSES[0]]
    assert image.place is not None
    content = bytearray(file.read_bytes())
    content[40:400] = bytes(360)
    file.write_bytes(content)
    with pytest.raises(DatasetError, match=r"parquet, row 0 cannot be read: "):
        read_image(image.place)


def test_parquet_without_pyarrow_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = shard(tmp_path, some(4))
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    said = rf"{file} is read with pyarrow, which is not installed; install pytest-repro"
    with pytest.raises(DatasetError, match=said):
        listed_parquet(tmp_path)


@pytest.mark.parametrize(
    "written",
    [
        "none",
        "[]",
        "{}",
        '{"info": null}',
        '{"info": {"features": {}}}',
        '{"info": {"features": {"label": {}}}}',
        '{"info": {"features": {"label": {"names": 3}}}}',
        "[" * 100_000,
    ],
)
def test_what_names_no_labels_in_the_way_of_the_hub_names_none(
    written: str, tmp_path: Path
) -> None:
    (tmp_path / "val").mkdir()
    made = table(some(4)).replace_schema_metadata({"huggingface": written})
    pq.write_table(made, tmp_path / "val" / "val.parquet")
    (said,) = listed_parquet(tmp_path).assumed
    assert "taken as places in the list of classes, from 0" in said


@pytest.mark.parametrize("few", [3, 8, 9])
@pytest.mark.parametrize("size", [1, 4, 10, 12, 13, 20])
def test_no_image_takes_less_than_sixteen_bytes_where_there_are_many(
    size: int, few: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "_FEW_ROWS", few)
    found = [(f"{n}.jpg", bytes([n]) * size, 0) for n in range(8)]
    (tmp_path / "val").mkdir()
    file = tmp_path / "val" / "val.parquet"
    pq.write_table(table(found), file, compression="none", use_dictionary=False)
    stored = pq.ParquetFile(file).metadata.row_group(0).column(0).total_compressed_size
    if few < 8 and stored < 8 * 16:
        said = f"promises 8 images in {stored:,} bytes"
        with pytest.raises(DatasetError, match=said):
            listed_parquet(tmp_path)
    else:
        assert len(listed_parquet(tmp_path).images[CLASSES[0]]) == 8
