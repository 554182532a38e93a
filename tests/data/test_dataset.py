from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from repro.data.dataset import Dataset, index_dataset
from repro.data.listing import digest_of
from repro.errors import DatasetError, NotAvailableError
from tests.stand_ins import dataset_spec

CLASSES = ("n03", "n01", "n02")


def make_files(root: Path, counts: dict[str, int]) -> None:
    """Write files that have an image's name, all different."""
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for number in range(count):
            (root / name / f"{number:05d}.JPEG").write_text(f"{name} {number:3}")


def dataset_of(counts: Sequence[int]) -> Dataset:
    """Make an index of that many images a class, without files."""
    labels = np.repeat(np.arange(len(counts)), counts)
    files = sorted(
        (f"c{label}/{place}.jpg" for place, label in enumerate(labels.tolist())),
        key=lambda file: (int(file[1 : file.index("/")]), digest_of(file.encode())),
    )
    return Dataset(
        name="made up",
        root=Path("nowhere"),
        classes=tuple(f"c{label}" for label in range(len(counts))),
        files=tuple(files),
        digests=tuple(digest_of(file.encode()) for file in files),
        sizes=(1,) * len(files),
        labels=labels.astype(np.int64),
    )


def in_strata(dataset: Dataset) -> np.ndarray:
    """Count the images of each class in each stratum: `[strata, classes]`."""
    return np.array(
        [
            np.bincount(dataset.labels[members], minlength=len(dataset.classes))
            for members in dataset.strata
        ]
    )


def test_labels_follow_the_spec_and_images_their_digests(tmp_path: Path) -> None:
    make_files(tmp_path / "val", {"n01": 4, "n02": 1, "n03": 4})
    dataset = index_dataset(dataset_spec(CLASSES, 9), tmp_path)
    assert dataset.labels.tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 2]
    assert [file.partition("/")[0] for file in dataset.files] == (
        ["n03"] * 4 + ["n01"] * 4 + ["n02"]
    )
    assert list(dataset.digests[:4]) == sorted(dataset.digests[:4])
    for file, size, digest in zip(
        dataset.files, dataset.sizes, dataset.digests, strict=True
    ):
        content = (dataset.root / file).read_bytes()
        assert size == len(content)
        assert digest == xxhash.xxh3_128_hexdigest(content)


def test_numbered_folders_are_labelled_by_number_not_by_spelling(
    tmp_path: Path,
) -> None:
    classes = tuple(str(number) for number in range(1000))
    make_files(tmp_path / "val", dict.fromkeys(sorted(classes), 1))
    dataset = index_dataset(dataset_spec(classes, 1000), tmp_path)
    for file, label in zip(dataset.files, dataset.labels.tolist(), strict=True):
        assert file.startswith(f"{label}/")


def test_images_in_a_folder_of_each_class_folder_count_and_other_files_do_not(
    tmp_path: Path,
) -> None:
    make_files(tmp_path / "val", {f"{name}/images": 2 for name in CLASSES})
    (tmp_path / "val/n01/README.txt").touch()
    (tmp_path / "val/labels.csv").touch()
    dataset = index_dataset(dataset_spec(CLASSES, 6), tmp_path)
    assert "n01/images/00001.JPEG" in dataset.files


def test_a_copy_in_another_place_has_the_same_fingerprint(tmp_path: Path) -> None:
    prints = set()
    for place in ("a", "b"):
        make_files(tmp_path / place / "val", {"n01": 3, "n02": 3, "n03": 3})
        dataset = index_dataset(dataset_spec(CLASSES, 9), tmp_path / place)
        prints.add((dataset.fingerprint, dataset.partition))
    assert len(prints) == 1


def test_other_names_are_the_same_dataset_in_the_same_order(tmp_path: Path) -> None:
    spec = dataset_spec(CLASSES, 30)
    make_files(tmp_path / "val", {"n01": 10, "n02": 10, "n03": 10})
    before = index_dataset(spec, tmp_path)
    for number, file in enumerate((tmp_path / "val").glob("*/*")):
        file.rename(file.with_name(f"{'abcdefghi'[number % 9]}{number}.png"))
    after = index_dataset(spec, tmp_path)
    assert set(after.files).isdisjoint(before.files)
    assert after.fingerprint == before.fingerprint
    assert after.digests == before.digests
    assert after.partition == before.partition


def rewritten(root: Path) -> None:
    file = root / "n01/00001.JPEG"
    before = file.stat()
    file.write_bytes(b"x" * before.st_size)
    assert file.stat().st_size == before.st_size
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def resized(root: Path) -> None:
    (root / "n01/00000.JPEG").write_bytes(b"longer")


def moved_to_another_class(root: Path) -> None:
    (root / "n01/00002.JPEG").rename(root / "n02/00003.JPEG")


@pytest.mark.parametrize("change", [rewritten, resized, moved_to_another_class])
def test_other_images_have_another_fingerprint(
    change: Callable[[Path], None], tmp_path: Path
) -> None:
    make_files(tmp_path / "val", {"n01": 3, "n02": 3, "n03": 3})
    spec = dataset_spec(CLASSES, 9)
    before = index_dataset(spec, tmp_path)
    change(tmp_path / "val")
    assert index_dataset(spec, tmp_path).fingerprint != before.fingerprint


def test_other_labels_have_another_fingerprint(tmp_path: Path) -> None:
    make_files(tmp_path / "val", {"n01": 3, "n02": 3, "n03": 3})
    one = index_dataset(dataset_spec(CLASSES, 9), tmp_path)
    other = index_dataset(dataset_spec(sorted(CLASSES), 9), tmp_path)
    assert one.fingerprint != other.fingerprint


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (
            {"n01": 1, "n03": 1},
            "of its 3 class folders 1 is missing (n02)",
        ),
        (
            {"n01": 1, "n02": 1, "n03": 1, "dog": 1},
            "val: it is not generated photographs: 1 is no class of it (dog)",
        ),
        (
            {"n1": 1, "n2": 1, "n3": 1, "n4": 1},
            "3 are missing (n03, n01, n02) and 4 do not belong there (n1, n2, n3 ...)",
        ),
        (
            {"n01": 3, "n02": 2, "n03": 3},
            "holds 8 images; generated photographs has 9. Class n02 has 2 instead of 3",
        ),
        (
            {"n01": 4, "n02": 3, "n03": 3},
            "holds 10 images; generated photographs has 9. Class n01 has 4 instead",
        ),
        ({"n01": 0, "n02": 0, "n03": 0}, "holds 0 images"),
    ],
)
def test_an_incomplete_copy_is_refused_with_what_is_wrong(
    counts: dict[str, int], message: str, tmp_path: Path
) -> None:
    make_files(tmp_path / "val", counts)
    with pytest.raises(DatasetError) as caught:
        index_dataset(dataset_spec(CLASSES, 9), tmp_path)
    assert message in str(caught.value)


def test_a_part_is_indexed_with_the_labels_of_the_whole(tmp_path: Path) -> None:
    make_files(tmp_path / "val", {"n02": 2})
    dataset = index_dataset(dataset_spec(CLASSES, 9), tmp_path, part=True)
    assert dataset.labels.tolist() == [2, 2]
    assert dataset.classes == CLASSES


def test_missing_images_are_not_available_and_it_says_where_to_get_them(
    tmp_path: Path,
) -> None:
    spec = dataset_spec(CLASSES, 9, url="https://example.org/images")
    for data in (None, tmp_path):
        with pytest.raises(NotAvailableError, match=r"get them from https://example"):
            index_dataset(spec, data)


def test_a_dangling_link_is_named(tmp_path: Path) -> None:
    make_files(tmp_path / "val", {"n01": 1, "n02": 1, "n03": 1})
    (tmp_path / "val/n02/gone.jpg").symlink_to(tmp_path / "elsewhere.jpg")
    with pytest.raises(
        DatasetError, match=r"n02/gone\.jpg is a link to .*, which is not"
    ):
        index_dataset(dataset_spec(CLASSES, 4), tmp_path)


def test_a_folder_that_contains_itself_is_an_error(tmp_path: Path) -> None:
    make_files(tmp_path / "val", {"n01": 1, "n02": 1, "n03": 1})
    (tmp_path / "val/n01/again").symlink_to(tmp_path / "val/n01")
    with pytest.raises(DatasetError, match=r"again is a link to .* in a circle"):
        index_dataset(dataset_spec(CLASSES, 3), tmp_path)


@settings(max_examples=100)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=30).filter(any))
def test_every_image_is_in_exactly_one_stratum_and_none_is_empty(
    counts: list[int],
) -> None:
    dataset = dataset_of(counts)
    assert np.array_equal(
        np.sort(np.concatenate(dataset.strata)), np.arange(len(dataset))
    )
    assert all(len(members) for members in dataset.strata)


@settings(max_examples=100)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=30).filter(any))
def test_every_prefix_of_strata_has_its_share_of_each_class(
    counts: list[int],
) -> None:
    dataset = dataset_of(counts)
    found = np.cumsum(in_strata(dataset), axis=0)
    number = len(dataset.strata)
    share = np.outer(np.arange(1, number + 1), counts) / number
    assert np.abs(found - share).max() < 1


def test_imagenets_strata_hold_one_image_of_every_class() -> None:
    dataset = dataset_of([50] * 1000)
    assert len(dataset.strata) == 50
    assert np.array_equal(in_strata(dataset), np.ones((50, 1000)))


def test_rare_classes_spread_over_the_strata() -> None:
    sizes = [len(members) for members in dataset_of([20, *[1] * 200]).strata]
    assert max(sizes) < 2 * np.mean(sizes)


def test_a_single_image_is_one_stratum() -> None:
    assert [m.tolist() for m in dataset_of([1]).strata] == [[0]]


def test_strata_do_not_follow_the_names_of_files() -> None:
    dataset = dataset_of([50] * 20)
    names = (Path(dataset.files[image]).stem for image in dataset.strata[0].tolist())
    assert len({int(name) % 50 for name in names}) > 30
