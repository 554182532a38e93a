"""What is just allowed, and which of several readings of a folder is taken."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.data import arrays
from repro.data.array_files import ArrayPlace
from repro.data.arrays import _images
from repro.data.examination import repeated_names
from repro.data.labels import list_share
from repro.data.pages import _numbers
from repro.data.readers import recognise
from repro.data.shards import find_shards, list_shards
from repro.errors import DatasetError
from repro.published import DatasetSpec
from repro.published.known_files import make_list

SPEC = DatasetSpec(
    id="own",
    title="Own",
    folder="val",
    classes=("cat", "dog", "fox", "owl"),
    images=8,
)


RUNS = st.lists(st.tuples(st.integers(1, 300), st.integers(0, 2**9 - 1)), max_size=6)


@given(RUNS, st.integers(9, 16))
def test_numbers_are_read_of_runs_and_of_packed_groups(
    runs: list[tuple[int, int]], width: int
) -> None:
    content, wanted = b"", []
    for number, value in runs:
        content += written(number << 1) + value.to_bytes(2, "little")
        wanted += [value] * number
        # Eight numbers, one of which differs.
        group = [value, *[7] * 7]
        bits = sum(one << width * place for place, one in enumerate(group))
        content += written(1 << 1 | 1) + bits.to_bytes(width, "little")
        wanted += group
    for count in (len(wanted), max(len(wanted) - 3, 0)):
        assert list(_numbers(content, 0, width, count)) == wanted[:count]


def written(number: int) -> bytes:
    """Write an integer of seven bits a byte."""
    head = [number & 127 | 128] if number > 127 else [number]
    return bytes(head) + (written(number >> 7) if number > 127 else b"")


@pytest.mark.parametrize(
    "axes", ["NHW", "NHW1", "N1HW", "NHWC", "NCHW"], ids=lambda axes: axes
)
def test_channels_are_found_where_they_are(
    monkeypatch: pytest.MonkeyPatch, axes: str
) -> None:
    grey = np.arange(2 * 4 * 5, dtype=np.uint8).reshape(2, 4, 5)
    colours = np.stack([grey, grey + 1, grey + 2], axis=-1)
    written = {
        "NHW": grey,
        "NHW1": grey[..., None],
        "N1HW": grey[:, None],
        "NHWC": colours,
        "NCHW": colours.transpose(0, 3, 1, 2),
    }
    monkeypatch.setattr(arrays, "read_array", lambda _: written[axes])
    wanted = colours if "C" in axes else grey
    assert np.array_equal(_images(ArrayPlace(Path("a.npz"))), wanted)


@pytest.mark.parametrize("shape", [(2, 4, 5, 2), (2, 2, 4, 5), (2, 3, 5, 3)])
def test_channels_that_may_be_anywhere_are_refused(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...]
) -> None:
    monkeypatch.setattr(arrays, "read_array", lambda _: np.zeros(shape, np.uint8))
    with pytest.raises(DatasetError, match="where the three channels are"):
        _images(ArrayPlace(Path("a.npz")))


def shards(folder: Path, *numbers: int) -> list[Path]:
    folder.mkdir()
    files = [folder / f"val-{number:06}.tar" for number in numbers]
    for file in files:
        file.touch()
    return files


def test_shards_without_a_total_end_with_the_last_that_is_there(tmp_path: Path) -> None:
    files = shards(tmp_path / "all", 2, 3, 4, 5)
    assert list_shards(SPEC, tmp_path / "all", ".tar") == files
    for missing in (3, 4):
        rest = [number for number in (2, 3, 4, 5) if number != missing]
        shards(tmp_path / str(missing), *rest)
        with pytest.raises(DatasetError, match=f"shard {missing} is missing"):
            list_shards(SPEC, tmp_path / str(missing), ".tar")


def test_how_many_more_shards_are_missing_is_said(tmp_path: Path) -> None:
    for last, more in ((2, 0), (3, 1), (6, 4)):
        shards(tmp_path / str(last), 0, last)
        said = f"shard 1 is missing, and {more} more"
        with pytest.raises(DatasetError, match=said):
            list_shards(SPEC, tmp_path / str(last), ".tar")


@pytest.mark.parametrize("name", ["val.parquet", "val.tar", "val.zip"])
def test_a_dataset_may_be_one_shard_of_the_right_kind(
    tmp_path: Path, name: str
) -> None:
    spec = msgspec.structs.replace(SPEC, folder=name)
    (tmp_path / name).touch()
    wanted = tmp_path / name if name.endswith(".tar") else None
    assert find_shards(spec, tmp_path, ".tar") == wanted
    assert find_shards(spec, tmp_path / name, ".tar") == wanted


def folders(path: Path, classes: tuple[str, ...], images: int) -> Path:
    for number, class_ in enumerate(classes):
        (path / class_).mkdir(parents=True)
        for place in range(images):
            (path / class_ / f"{class_}{number}{place}.png").touch()
    return path


def test_folders_are_the_dataset_that_has_most_of_their_classes(tmp_path: Path) -> None:
    path = folders(tmp_path / "some", SPEC.classes, 2)
    fewer = msgspec.structs.replace(SPEC, id="fewer", classes=("cat", "dog"))
    others = msgspec.structs.replace(SPEC, id="others", classes=("cat", "yak"))
    for specs in ([SPEC, fewer, others], [others, fewer, SPEC]):
        (found,) = recognise(path, specs)
        assert found.spec.id == "own"


def test_of_datasets_with_the_same_classes_the_number_of_images_tells(
    tmp_path: Path,
) -> None:
    path = folders(tmp_path / "some", SPEC.classes, 2)
    for numbers in ((8, 5), (8, 13), (10, 3), (6, 3), (9, 800)):
        near, far = (
            msgspec.structs.replace(SPEC, id=str(number), images=number)
            for number in numbers
        )
        for specs in ([near, far], [far, near]):
            (found,) = recognise(path, specs)
            assert found.spec is near


@pytest.mark.parametrize("number", range(5))
def test_half_of_the_classes_are_common_to_folders_and_dataset(
    number: int, tmp_path: Path
) -> None:
    path = folders(tmp_path / "some", SPEC.classes[:number], 1)
    path.mkdir(exist_ok=True)
    if number >= 2:
        (found,) = recognise(path, [SPEC])
        assert (found.spec, found.data) == (SPEC, tmp_path)
        return
    with pytest.raises(DatasetError, match="is laid out like none of own: they are"):
        recognise(path, [SPEC])
    with pytest.raises(DatasetError, match="is laid out like none of : they are"):
        recognise(path, [])


def test_of_datasets_with_the_same_classes_a_list_of_files_tells(
    tmp_path: Path,
) -> None:
    path = folders(tmp_path / "some", SPEC.classes, 2)
    names = [f"{file.parent.name}/{file.name}" for file in path.rglob("*.png")]
    pairs = [(name.partition("/")[0], name.partition("/")[2]) for name in names]
    whole, part, other = (
        msgspec.structs.replace(
            SPEC, id=called, files=make_list(called, "here", ".*", listed)
        )
        for called, listed in (
            ("whole", pairs),
            ("part", pairs[:6]),
            ("other", [("cat", "x.png")]),
        )
    )
    for specs in ([other, part, whole], [whole, part, other], [part, whole]):
        (found,) = recognise(path, specs)
        assert found.spec is whole
    (found,) = recognise(path, [other, part])
    assert found.spec is part


def test_the_share_of_a_list_is_that_of_the_images_it_has() -> None:
    names = [f"cat/{number}.png" for number in range(4)]
    files = make_list("Own", "here", ".*", [("cat", name) for name in names])
    spec = msgspec.structs.replace(SPEC, files=files)
    assert list_share(spec, names) == 1
    assert list_share(spec, [*names, "cat/x.png", *["cat/y.png"] * 3]) == 0.5
    assert list_share(spec, ["cat/x.png"]) == 0
    assert list_share(spec, []) == list_share(SPEC, ["cat/x.png"]) == 1


def test_a_name_of_one_image_in_two_classes_is_repeated() -> None:
    first, second = (f"ILSVRC2012_val_{number:08}.JPEG" for number in (1, 2))
    names = [f"a/{first}", f"b/{first}", f"a/{second}", f"a/{second}"]
    assert repeated_names(names) == [first]
    assert repeated_names(["a/1.png", "b/1.png"]) == []
