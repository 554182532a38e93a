"""Which files are shards and samples of a dataset, and what their images are called."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from repro.data.parquet import ParquetReader
from repro.data.shards import (
    PackedReader,
    WebDatasetReader,
    find_shards,
    last_unsaid,
    list_shards,
    unique_name,
)
from repro.errors import DatasetError
from repro.published import DatasetSpec

from .shards import tar_of

SPEC = DatasetSpec(
    id="own", title="Own", folder="val", classes=("cat", "dog", "fox"), images=6
)


def touched(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def listed(folder: Path, suffix: str = ".tar") -> list[str]:
    return [file.name for file in list_shards(SPEC, folder, suffix)]


@pytest.mark.parametrize(
    ("there", "wanted"),
    [
        (["val-2.tar", "val-10.tar", "val-1.tar"], None),
        (["a-09.tar", "a-10.tar", "a-11.tar"], ["a-09.tar", "a-10.tar", "a-11.tar"]),
        (["val-0.tar", "test-0.tar", "train-0.tar"], ["val-0.tar"]),
        (["validation-0.tar", "test-0.tar"], ["validation-0.tar"]),
        (["test-0.tar", "my-train-0.tar"], ["test-0.tar"]),
        (["train-0.tar"], ["train-0.tar"]),
        (["val-0.tar", "._val-1.tar", "notes.tar"], ["val-0.tar"]),
        (["a-0-of-2.tar", "a-1-of-2.tar"], ["a-0-of-2.tar", "a-1-of-2.tar"]),
        (["a-0-of-1-0123456789abcdef.tar"], ["a-0-of-1-0123456789abcdef.tar"]),
    ],
)
def test_shards_are_those_of_one_set_in_the_order_of_their_numbers(
    there: list[str], wanted: list[str] | None, tmp_path: Path
) -> None:
    touched(tmp_path, *there)
    if wanted is None:
        with pytest.raises(
            DatasetError, match=r"of 'val' shard 3 is missing, and 6 mo"
        ):
            listed(tmp_path)
    else:
        assert listed(tmp_path) == wanted


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (["a-0.tar", "b-0.tar", "train-0.tar"], "shards of 'a', 'b'; move those that"),
        ([f"{n}-0.tar" for n in "edcba"], "shards of 'a', 'b', 'c', 'd'; move"),
        (["a-0-of-3.tar"], "of 'a' shard 1 is missing, and 1 more"),
        (["a-1-of-2.tar"], "of 'a' shard 0 is missing, and 0 more"),
        (["a-0.tar", "a-00.tar"], "shard 0 is there twice, as a-0.tar and a-00.tar;"),
        (
            ["a-0.tar", "a-00.tar", "a-000.tar"],
            "shard 0 is there twice, as a-0.tar and a-00.tar;",
        ),
    ],
)
def test_shards_that_are_not_one_set_are_refused(
    there: list[str], said: str, tmp_path: Path
) -> None:
    touched(tmp_path, *there)
    with pytest.raises(DatasetError, match=said):
        listed(tmp_path)


def test_one_file_is_a_set_of_parquet_without_a_number(tmp_path: Path) -> None:
    touched(tmp_path, "val.parquet", "val.tar")
    assert listed(tmp_path, ".parquet") == ["val.parquet"]
    assert find_shards(SPEC, tmp_path, ".tar") is None
    assert listed(tmp_path / "val.tar") == ["val.tar"]


@pytest.mark.parametrize("place", ["val", "val/data", ".", "data"])
def test_shards_are_found_in_or_beside_the_folder(place: str, tmp_path: Path) -> None:
    folder = touched(tmp_path / place, "val-0.tar")
    assert find_shards(SPEC, tmp_path, ".tar") == folder
    (folder / "val-0.tar").rename(folder / "any-0.tar")
    # Beside other sets it has to be called as the dataset is.
    wanted = folder if place.startswith("val") else None
    assert find_shards(SPEC, tmp_path, ".tar") == wanted
    (folder / "cat").mkdir()
    assert find_shards(SPEC, tmp_path, ".tar") is None


def test_shards_may_lack_where_no_name_says_how_many_there_are() -> None:
    said = "shards after a-1.tar, whose names do not say how many there are"
    assert last_unsaid([Path("a-0.tar"), Path("a-1.tar")]) == said
    assert last_unsaid([Path("a-0.tar"), Path("a-1-of-2.tar")]) == ""
    assert last_unsaid([Path("val.parquet")]) == ""


def test_a_name_is_given_once() -> None:
    taken: set[str] = set()
    names = [
        unique_name("cat", wanted, taken, "7")
        for wanted in ("a/x.png", "b/x.png", "b/x.png", "x.png", "", "y.png")
    ]
    assert names == ["cat/x.png", "cat/7", "cat/7_", "cat/7__", "cat/7___", "cat/y.png"]
    assert unique_name("dog", "x.png", taken, "7") == "dog/x.png"
    assert unique_name("fox", "", taken, "8") == "fox/8"


# Tars ---------------------------------------------------------------------------------


def images_of(folder: Path, members: dict[str, bytes]) -> dict[str, list[str]]:
    tar_of(folder / "val" / "val-0.tar", members)
    listing = WebDatasetReader().list(SPEC, folder / "val", folder)
    found = {
        class_: [image.name for image in images]
        for class_, images in listing.images.items()
        if images
    }
    return {**found, **({"": list(listing.unlabelled)} if listing.unlabelled else {})}


def test_the_surest_of_several_labels_counts(tmp_path: Path) -> None:
    labels = {"cls": b"cat", "json": b'{"label": "dog"}', "txt": b"fox"}
    for kind, said in zip(labels, SPEC.classes, strict=True):
        members = {"a.png": b"x", **{f"a.{k}": labels[k] for k in labels}}
        assert images_of(tmp_path, members) == {said: [f"{said}/a.png"]}
        labels[kind] = b"{}" if kind == "json" else b""
    assert images_of(tmp_path, members | {"a.txt": b""}) == {"": ["a.png"]}


@pytest.mark.parametrize(
    ("label", "class_"),
    [("dog", "dog"), (2, "fox"), (True, ""), (1.5, ""), (None, ""), ({}, ""), ([], "")],
)
def test_a_label_in_json_is_a_name_or_a_number(
    label: object, class_: str, tmp_path: Path
) -> None:
    members = {"a.png": b"x", "a.json": json.dumps({"label": label}).encode()}
    if label is True:
        with pytest.raises(DatasetError, match="has the label 'True', which is no"):
            images_of(tmp_path, members)
        return
    wanted = {class_: [f"{class_}/a.png"]} if class_ else {"": ["a.png"]}
    assert images_of(tmp_path, members) == wanted
    members["a.json"] = json.dumps([label]).encode()
    assert images_of(tmp_path, members) == {"": ["a.png"]}


def test_a_sample_has_one_image_which_has_the_key_alone(tmp_path: Path) -> None:
    one = {"x/a.png": b"x", "x/a.mask.png": b"y", "x/a.cls": b"cat"}
    assert images_of(tmp_path, one) == {"cat": ["cat/a.png"]}
    bare = {"x/a.left.png": b"x", "x/a.cls": b"cat"}
    assert images_of(tmp_path, bare) == {"cat": ["cat/a.left.png"]}
    for name in ("x/a.jpg", "x/a.webp"):
        with pytest.raises(DatasetError, match=r"of the key 'x/a', x/a.png and x/a"):
            images_of(tmp_path, one | {name: b"z"})
    upper = {"a.PNG": b"x", "a.CLS": b"dog", "b.png": b"y"}
    assert images_of(tmp_path, upper) == {"dog": ["dog/a.PNG"], "": ["b.png"]}


def test_images_without_a_label_are_passed_over_and_named(tmp_path: Path) -> None:
    members = {"a.png": b"x", "b.png": b"y", "b.cls": b"fox", "c.png": b"z"}
    assert images_of(tmp_path, members) == {
        "fox": ["fox/b.png"],
        "": ["a.png", "c.png"],
    }
    labels = WebDatasetReader().labels(SPEC, tmp_path / "val")
    assert labels == (["fox"], [])
    listing = WebDatasetReader().list(SPEC, tmp_path / "val", tmp_path)
    (said,) = WebDatasetReader().faults(SPEC, listing)
    assert said.startswith("2 images have no label (a.png, c.png): no .cls, .txt or")


@pytest.mark.parametrize("before", [0, 7, 8])
def test_a_tar_is_one_of_samples_where_a_label_is_among_the_first(
    before: int, tmp_path: Path
) -> None:
    members = {f"{n}.png": b"x" for n in range(before)} | {"0.cls": b"cat"}
    tar_of(tmp_path / "val" / "val-0.tar", members)
    wanted = tmp_path / "val" if before < 8 else None
    assert WebDatasetReader().find(SPEC, tmp_path) == wanted


def test_a_damaged_tar_in_a_folder_of_shards_is_one_of_them(tmp_path: Path) -> None:
    touched(tmp_path / "val")
    (tmp_path / "val" / "val-0.tar").write_bytes(b"damaged")
    assert WebDatasetReader().find(SPEC, tmp_path) == tmp_path / "val"
    assert WebDatasetReader().find(SPEC, tmp_path / "val" / "val-0.tar") is None


def test_class_folders_in_a_tar_may_lie_below_others(tmp_path: Path) -> None:
    members = {"x/val/dog/2.png": b"x", "x/val/dog/1.png": b"y", "cat/more/1.png": b"z"}
    tar_of(tmp_path / "val.tar", members)
    found = PackedReader().find(SPEC, tmp_path)
    assert found == tmp_path / "val.tar"
    listing = PackedReader().list(SPEC, found, tmp_path)
    assert {c: [i.name for i in images] for c, images in listing.images.items()} == {
        "cat": ["cat/more/1.png"],
        "dog": ["dog/1.png", "dog/2.png"],
        "fox": [],
    }
    (tmp_path / "val").mkdir()
    assert PackedReader().find(SPEC, tmp_path) is None
    # A file that is called as a class is none.
    tar_of(tmp_path / "val.tar", {"x/cat": b"", "x/dog.png": b"x", "y/cat.png": b"x"})
    with pytest.raises(
        DatasetError, match=r"2 images are \(x/dog.png, y/cat.png\) in n"
    ):
        PackedReader().list(SPEC, found, tmp_path)


def test_a_tar_says_how_large_its_images_are(tmp_path: Path) -> None:
    tar_of(tmp_path / "val.tar", {"cat/1.png": b"x" * 700, "cat/2.png": b"y"})
    listing = PackedReader().list(SPEC, tmp_path / "val.tar", tmp_path)
    one, other = listing.images["cat"]
    assert (one.size, other.size) == (700, 1)
    assert one.stamp.modified == other.stamp.modified
    assert msgspec.structs.replace(one.stamp, size=1) != other.stamp
    assert (str(one.place), str(other.place)) == (
        f"{tmp_path}/val.tar:cat/1.png",
        f"{tmp_path}/val.tar:cat/2.png",
    )


def test_parquet_of_no_folder_is_not_found(tmp_path: Path) -> None:
    assert ParquetReader().find(SPEC, tmp_path / "nowhere") is None
