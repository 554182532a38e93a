"""What is said of a copy: in which words, from how many on, and what is none of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from repro.data.dataset import ReadImages, index_dataset, remembered_dataset
from repro.data.digests import Record
from repro.data.listing import UNKNOWN_SIZE
from repro.errors import DatasetError, NotAvailableError
from repro.published import DatasetSpec

CLASSES = tuple(f"c{number}" for number in range(8))


def spec(**changes: Any) -> DatasetSpec:
    values = {"title": "Own", "folder": "val", "classes": CLASSES, "images": 16}
    return DatasetSpec(id="own", **{**values, **changes})


def written(
    data: Path,
    counts: Sequence[int] = (2,) * 8,
    classes: Sequence[str] = CLASSES,
    suffix: str = "png",
) -> Path:
    for class_, count in zip(classes, counts, strict=False):
        folder = data / "val" / class_
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(count):
            (folder / f"{number}.{suffix}").write_text(f"{class_} {number}")
    return data


def said(data: Path, *, part: bool = False, **changes: Any) -> str:
    index = partial(index_dataset, part=part)
    try:
        index(spec(**changes), data)
    except DatasetError as error:
        return str(error).removeprefix(f"{data}/val: ")
    return ""


def test_a_copy_that_is_whole_has_no_fault(tmp_path: Path) -> None:
    written(tmp_path)
    assert said(tmp_path) == said(tmp_path, part=True) == ""
    # Images in folders of their classes need no other place.
    assert index_dataset(spec(), tmp_path).places == ()
    assert said(tmp_path, images=15).startswith("it holds 16 images; Own has 15. ")
    assert said(tmp_path, images=17).startswith("it holds 16 images; Own has 17. ")


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ((2, 2, 2, 2, 2, 2, 2, 3), "Class c7 has 3 instead of 2. Restore"),
        ((2, 2, 2, 2, 2, 2, 1, 0), "and 1 more class differs. Restore"),
        ((2, 2, 2, 2, 2, 1, 1, 1), "Class c5 has 1 instead of 2, and 2 more classes"),
        ((2, 2, 2, 2, 1, 1, 1, 1), "Class c4 has 1 instead of 2, and 3 more classes"),
        ((2, 2, 2, 1, 1, 1, 1, 1), "Own has 16. Restore the missing files or remove"),
    ],
)
def test_classes_that_differ_are_said_where_most_do_not(
    counts: tuple[int, ...], words: str, tmp_path: Path
) -> None:
    assert words in said(written(tmp_path, counts))


def test_fifty_images_of_each_class_are_wanted_of_wordnet_ids_alone(
    tmp_path: Path,
) -> None:
    ids = [f"n0000000{number}" for number in range(4)]
    for classes, images, counts, is_said in (
        (ids, 200, (49, 51, 50, 50), True),
        (ids, 200, (50, 50, 50, 50), False),
        (("a", "b", "c", "d"), 200, (49, 51, 50, 50), False),
        (ids, 196, (48, 50, 49, 49), False),
        (ids, 204, (50, 52, 51, 51), False),
    ):
        data = tmp_path / f"{classes[0]}-{images}-{counts[0]}"
        written(data, counts, classes)
        found = said(data, classes=tuple(classes), images=images)
        assert bool(found) == is_said, (classes, images)


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ((2, 2, 2, 2, 2, 2, 2, 0), "1 class folder is empty (c7) while others hold"),
        ((2, 2, 2, 2, 2, 2, 0, 0), "2 class folders are empty (c6, c7) while"),
        ((2, 2, 2, 2, 2, 2, 2, 1), ""),
    ],
)
def test_empty_folders_are_named_one_or_several(
    counts: tuple[int, ...], words: str, tmp_path: Path
) -> None:
    found = said(written(tmp_path, counts), part=True)
    assert words in found
    one = "fill or remove it" if "folder is" in words else "fill or remove them"
    assert (one in found) == bool(words)


def test_an_empty_class_is_none_where_the_set_is_whole(tmp_path: Path) -> None:
    written(tmp_path, (3, 3, 2, 2, 2, 2, 2, 0))
    assert said(tmp_path) == ""
    for folder in (tmp_path / "val").iterdir():
        for file in folder.iterdir():
            file.unlink()
    assert "while others hold" not in said(tmp_path)


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        (
            (2, 2, 2, 2, 2, 2, 1),
            "class folder c6 holds 1 of 2 images, 6 others are whole",
        ),
        ((2, 2, 2, 2, 2, 2, 1), "are whole and 1 is missing, as if copying"),
        (
            (2, 2, 1),
            "class folder c2 holds 1 of 2 images, 2 others are whole and 5 are",
        ),
    ],
)
def test_where_copying_stopped_is_said(
    counts: tuple[int, ...], words: str, tmp_path: Path
) -> None:
    assert words in said(written(tmp_path, counts), part=True)


@pytest.mark.parametrize("size", [63, 64, 65])
@pytest.mark.parametrize("is_same", [True, False])
def test_one_image_in_two_classes_has_the_bytes_of_a_picture_at_least(
    size: int, is_same: bool, tmp_path: Path
) -> None:
    written(tmp_path)
    for number, class_ in enumerate(CLASSES[:2]):
        file = tmp_path / "val" / class_ / "fox.png"
        file.write_bytes(bytes([number * (not is_same)]) * size)
        # The times of a copy tell nothing.
        os.utime(file, ns=(10**18, 10**18))
    found = said(tmp_path, images=18)
    is_said = "1 image stands in two classes (fox.png); remove the copies" in found
    assert is_said == (is_same and size >= 64)


def test_an_image_that_lies_twice_in_two_classes_is_named_once(tmp_path: Path) -> None:
    written(tmp_path)
    for class_ in CLASSES[:3]:
        (tmp_path / "val" / class_ / "fox.png").write_bytes(b"x" * 99)
        (tmp_path / "val" / class_ / "gnu.png").write_bytes(b"y" * 99)
    assert "2 images stand in two classes (fox.png, gnu.png)" in said(tmp_path)


def test_files_that_are_no_images_are_counted(tmp_path: Path) -> None:
    written(tmp_path, (1,), suffix="heic")
    words = "1 file there ends in .heic, and images in .jpg, "
    assert words in said(tmp_path, part=True, classes=("c0",), images=1)
    written(tmp_path, (2,), suffix="heic")
    words = "2 files there end in .heic, and images in .jpg, "
    assert words in said(tmp_path, part=True, classes=("c0",), images=1)


@pytest.mark.parametrize("name", [".jpe", ".JP2", ".avif", ".txt"])
def test_images_of_other_kinds_are_said_where_some_are_missing(
    name: str, tmp_path: Path
) -> None:
    written(tmp_path)
    (tmp_path / "val" / "c0" / "0.png").rename(tmp_path / "val" / "c0" / f"0{name}")
    words = f"1 file there ends in {name}, and images in .jpg, "
    assert (words in said(tmp_path)) == (name != ".txt")
    assert said(tmp_path, images=15) == ""


# Class folders ------------------------------------------------------------------------


def other(title: str, classes: Sequence[str]) -> DatasetSpec:
    return spec(title=title, classes=tuple(classes), folder=title)


def test_folders_that_are_too_many_are_to_be_moved(tmp_path: Path) -> None:
    written(tmp_path)
    for names, words in (
        (["more"], "1 is no class of it (more). Move that folder away"),
        (["more", "other"], "2 are no classes of it (more, other). Move those folders"),
    ):
        for name in names:
            (tmp_path / "val" / name).mkdir(exist_ok=True)
        assert words in said(tmp_path)
        assert words in said(tmp_path, part=True)


def test_folders_that_are_missing_are_no_fault_of_a_part(tmp_path: Path) -> None:
    written(tmp_path, (2,) * 6)
    words = "of its 8 class folders 2 are missing (c6, c7). Restore what is missing and"
    assert words in said(tmp_path)
    assert said(tmp_path, part=True) == ""
    (tmp_path / "val" / "more").mkdir()
    words = "2 are missing (c6, c7) and 1 does not belong there (more). Restore"
    assert words in said(tmp_path)


def test_classes_of_another_dataset_are_named(tmp_path: Path) -> None:
    written(tmp_path, (2,) * 3)
    known = [
        spec(),
        other("A", CLASSES[:3]),
        other("B", CLASSES[:2]),
        other("C", CLASSES[2::-1]),
    ]
    with pytest.raises(DatasetError, match=r"\. These are the classes of A or of C"):
        index_dataset(spec(), tmp_path, known)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_class_folders_that_lie_deeper_are_looked_for_in_three(
    number: int, tmp_path: Path
) -> None:
    written(tmp_path / "x", classes=CLASSES[: 2 if number == 1 else 8])
    (tmp_path / "val").mkdir()
    inside = tmp_path / "val" / f"z{number}"
    (tmp_path / "x" / "val").rename(inside)
    for before in range(number):
        (tmp_path / "val" / f"a{before}").mkdir()
    words = f"Class folders lie in {inside}; name it or move them up"
    assert (words in said(tmp_path)) == (number < 3)


def test_one_class_inside_another_is_no_deeper_set(tmp_path: Path) -> None:
    (tmp_path / "val" / "inside" / "c0").mkdir(parents=True)
    assert "Class folders lie in" not in said(tmp_path)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("0", "2", "10"), "they may be places of the list, or ImageNet-V2's; sorted"),
        (("1", "2", "10"), "they may be places of another list; sorted"),
        (("10", "9", "11"), "a line such as 9,c0 for each folder"),
        (("x", "y"), "to be moved"),
    ],
)
def test_folders_that_are_numbers_may_be_places(
    names: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    for name in names:
        (tmp_path / "val" / name).mkdir(parents=True)
    found = said(tmp_path)
    assert (words in found) == (words != "to be moved")
    assert ("Its folders are numbers" in found) == (words != "to be moved")


def test_as_many_other_folders_are_to_be_renamed(tmp_path: Path) -> None:
    names = [f"x{number}" for number in range(8)]
    for name in names[:7]:
        (tmp_path / "val" / name).mkdir(parents=True)
    words = ". Rename them, or write which class each is into a file labels.csv in it"
    assert words not in said(tmp_path)
    (tmp_path / "val" / names[7]).mkdir()
    assert f"{words}, a line <folder>,c0 for each" in said(tmp_path)
    (tmp_path / "val" / names[7]).rename(tmp_path / "val" / "c0")
    assert words not in said(tmp_path)


# Indexing -----------------------------------------------------------------------------


def record_of(data: Path, *, wrong: bool) -> Record:
    files = {
        f"{file.parent.name}/{file.name}": (file.stat().st_size + wrong, "0" * 64)
        for file in (data / "val").rglob("*.png")
    }
    return Record(Path("record"), files)


def test_a_part_is_compared_with_a_record_once_it_is_whole(tmp_path: Path) -> None:
    written(tmp_path)
    for index in (index_dataset, partial(index_dataset, part=True)):
        assert len(index(spec(), tmp_path, (), record_of(tmp_path, wrong=False))) == 16
        with pytest.raises(DatasetError, match="16 files have other bytes"):
            index(spec(), tmp_path, (), record_of(tmp_path, wrong=True))
    record = record_of(tmp_path, wrong=True)
    (tmp_path / "val" / "c0" / "0.png").unlink()
    assert len(index_dataset(spec(), tmp_path, (), record, part=True)) == 15
    with pytest.raises(DatasetError, match="it is not the copy recorded in record"):
        index_dataset(spec(), tmp_path, (), record)


def test_a_dataset_is_remembered_once_all_of_it_was_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, cache = written(tmp_path / "data"), tmp_path / "cache"
    monkeypatch.setattr("repro.files.YOUNG_NANOSECONDS", -(10**9))
    assert remembered_dataset(spec(), None, cache) is None
    assert remembered_dataset(spec(), tmp_path / "nowhere", cache) is None
    assert remembered_dataset(spec(), data, cache) is None
    read = index_dataset(spec(), data, cache=cache)
    found = remembered_dataset(spec(), data, cache)
    assert found is not None
    assert (found.digests, found.files) == (read.digests, read.files)
    (data / "val" / "c0" / "0.png").unlink()
    assert remembered_dataset(spec(), data, cache) is None
    (data / "val" / "more").mkdir()
    assert remembered_dataset(spec(), data, cache) is None


def test_what_is_not_there_is_said_with_what_to_name(tmp_path: Path) -> None:
    with pytest.raises(NotAvailableError, match=r"say where they lie.* publisher"):
        index_dataset(spec(), None)
    with pytest.raises(NotAvailableError, match="get them from https://own"):
        index_dataset(spec(url="https://own"), tmp_path / "nowhere")
    (tmp_path / "val.zip").touch()
    said = rf"{tmp_path}/val does not exist, but val.zip is there: unpack it"
    with pytest.raises(NotAvailableError, match=said):
        index_dataset(spec(), tmp_path)


@pytest.mark.parametrize("digit", ["0", "4", "f"])
def test_a_record_tells_what_is_otherwise_new_or_missing(digit: str) -> None:
    record = Record(
        Path("record"), {"a/1.png": (5, "4" * 64), "a/2.png": (6, "5" * 64)}
    )
    sizes = {"a/1.png": 5, "a/2.png": 6}
    sums = {"a/1.png": digit * 64, "a/2.png": "5" * 64}
    assert record.difference(sizes) == ""
    found = record.difference(sizes, sums)
    assert bool(found) == (digit != "4")
    assert ("1 file has other bytes (a/1.png); restore" in found) == (digit != "4")
    # Of a page of parquet no size is known before it is read.
    unknown = {**sizes, "a/2.png": UNKNOWN_SIZE}
    assert record.difference(unknown) == ""
    assert bool(record.difference(unknown, sums)) == (digit != "4")
    for size in (5, 7):
        found = record.difference({"a/2.png": size, "b/3.png": 1})
        assert (
            "1 file has other bytes (a/2.png), 1 file is missing (a/1.png), " in found
        )
        assert ", 1 file is new (b/3.png); restore the files, or remove that" in found


def test_up_to_three_of_the_same_images_are_named() -> None:
    for number in range(1, 6):
        names = [f"{name}.png" for name in "abcde"[:number]]
        sums = {**dict.fromkeys(names, "same"), "other.png": "other"}
        read = ReadImages(sums, dict.fromkeys(sums, 1), {})
        assert read.identical == ([tuple(names)] if number > 1 else [])
        if number == 1:
            assert read.remarks() == []
            continue
        named = " = ".join(names[:3]) + " = ..." * (number > 3)
        assert read.remarks() == [f"1 image occurs more than once ({named})"]
