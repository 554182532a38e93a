"""What devkits and file names say of labels, and which one reason wrong ones have."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from repro.data.labels import label_faults, list_share
from repro.data.validation import DEVKIT, GROUND_TRUTH, META, Devkit, find_devkit
from repro.errors import DatasetError
from repro.published import DatasetSpec, make_list

from .small_imagenet import CLASSES, DEVKIT_ORDER, truth, write_devkit

KIT = Devkit(Path("devkit"), ("a", "b", "c"))


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("more", ["", "_n01440764"])
def test_a_devkit_has_a_class_for_each_number_from_one(number: int, more: str) -> None:
    name = f"ILSVRC2012_val_{number:08d}{more}.JPEG"
    if 1 <= number <= 3:
        assert KIT.class_of(name) == "abc"[number - 1]
        return
    with pytest.raises(DatasetError, match=f"images 1 to 3, .* an image {name}"):
        KIT.class_of(name)


@pytest.mark.parametrize("name", ["cat.JPEG", "ILSVRC2012_val_1.JPEG"])
def test_a_devkit_has_no_class_of_other_names(name: str) -> None:
    with pytest.raises(DatasetError, match="devkit and images do not belong together"):
        KIT.class_of(name)


PLACES = (
    ".",
    "data",
    "devkit/data",
    "ILSVRC2012_devkit_t12/data",
    "ILSVRC2012_devkit_t12",
)


@pytest.mark.parametrize("place", PLACES)
def test_a_devkit_is_found_where_it_was_unpacked(place: str, tmp_path: Path) -> None:
    write_devkit(tmp_path, packed=False)
    inside = tmp_path / "ILSVRC2012_devkit_t12" / "data"
    there = tmp_path / "there" / place
    there.mkdir(parents=True)
    (inside / META).rename(there / META)
    folders = (tmp_path / "nowhere", tmp_path / "there")
    assert find_devkit(folders) is None
    (inside / GROUND_TRUTH).rename(there / GROUND_TRUTH)
    found = find_devkit(folders)
    assert found is not None
    assert found.source == there
    assert found.classes == tuple(DEVKIT_ORDER[id_ - 1] for id_ in truth())


def archive_of(folder: Path, *names: str, kind: bytes = tarfile.REGTYPE) -> Path:
    write_devkit(folder, packed=False)
    with tarfile.open(folder / DEVKIT, "w:gz") as archive:
        for name in names:
            file = folder / "ILSVRC2012_devkit_t12" / "data" / name
            entry = archive.gettarinfo(file, f"any/{name}")
            entry.type = kind
            with file.open("rb") as stream:
                archive.addfile(entry, stream if kind == tarfile.REGTYPE else None)
    return folder / DEVKIT


def test_a_devkit_is_read_from_its_archive(tmp_path: Path) -> None:
    archive = archive_of(tmp_path, META, GROUND_TRUTH)
    (tmp_path / "packed").mkdir()
    moved = archive.rename(tmp_path / "packed" / DEVKIT)
    found = find_devkit([moved.parent])
    assert found is not None
    assert (found.source, len(found.classes)) == (moved, len(truth()))


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        ((META,), tarfile.REGTYPE),
        ((GROUND_TRUTH,), tarfile.REGTYPE),
        ((META, GROUND_TRUTH), tarfile.DIRTYPE),
    ],
)
def test_an_archive_that_lacks_a_file_is_not_the_devkit(
    names: Sequence[str], kind: bytes, tmp_path: Path
) -> None:
    archive = archive_of(tmp_path, *names, kind=kind)
    (tmp_path / "packed").mkdir()
    moved = archive.rename(tmp_path / "packed" / DEVKIT)
    with pytest.raises(DatasetError, match=f"lacks {GROUND_TRUTH} or {META}"):
        find_devkit([moved.parent])


@pytest.mark.parametrize("keep", [0, 30, -200])
def test_an_archive_that_is_cut_off_cannot_be_read(keep: int, tmp_path: Path) -> None:
    archive = archive_of(tmp_path, META, GROUND_TRUTH)
    (tmp_path / "packed").mkdir()
    moved = tmp_path / "packed" / DEVKIT
    moved.write_bytes(archive.read_bytes()[:keep] if keep else b"no archive")
    with pytest.raises(DatasetError, match=r"cannot be read: .*Download it again"):
        find_devkit([moved.parent])


# Reasons ------------------------------------------------------------------------------


def spec(classes: Sequence[str], pairs: Sequence[tuple[str, str]] = ()) -> DatasetSpec:
    return DatasetSpec(
        id="val",
        title="Val",
        folder="val",
        classes=tuple(classes),
        images=24,
        files=make_list("Val", "here", ".*", list(pairs)) if pairs else None,
    )


NUMBERED = [str(number) for number in range(12)]
PAIRS = [(class_, f"{class_}-{n}.png") for class_ in NUMBERED for n in range(2)]


def faults(folder_of: Callable[[int, str], str]) -> str:
    """Say what is wrong where each image lies in another folder."""
    names = [f"{folder_of(n, c)}/{file}" for n, (c, file) in enumerate(PAIRS)]
    return "; ".join(label_faults(spec(NUMBERED, PAIRS), names, None))


def turned(by: int) -> Callable[[int, str], str]:
    return lambda _, class_: NUMBERED[(int(class_) + by) % 12]


@pytest.mark.parametrize("by", [1, 2, 5, -1, -2, -5])
def test_folders_that_are_turned_hold_the_class_so_far_away(by: int) -> None:
    # What lies in the folder of a class is of the one that many places before it.
    side = "before" if by > 0 else "after"
    said = faults(turned(by))
    assert said.startswith("24 images lie (")
    assert f"every folder holds the class {abs(by)} {side} it in the list" in said


def test_images_that_lie_right_have_no_fault() -> None:
    assert faults(turned(0)) == ""


def swapped(*pairs: tuple[int, int]) -> Callable[[int, str], str]:
    other = {str(a): str(b) for one in pairs for a, b in (one, one[::-1])}
    return lambda _, class_: other.get(class_, class_)


@pytest.mark.parametrize("number", range(1, 7))
def test_one_reason_is_given_from_half_of_the_images_on(number: int) -> None:
    said = faults(swapped(*((2 * n, 2 * n + 1) for n in range(number))))
    assert said.startswith(f"{4 * number} images lie (")
    assert ("every folder holds one other class" in said) == (number >= 3)
    assert ("; sort them anew" in said) == (number < 3)


def test_two_images_have_one_reason_and_one_has_none() -> None:
    for wrong in (1, 2):
        names = ["1/0-0.png", "1/0-1.png"][:wrong]
        (said,) = label_faults(spec(NUMBERED, PAIRS), names, None)
        assert said.endswith("; sort them anew" if wrong == 1 else "; sort anew")


def test_numbers_that_were_sorted_as_text_are_said_either_way() -> None:
    as_text = sorted(NUMBERED)
    said = "the class numbers were sorted as text (10 before 2); name the folders anew"
    assert said in faults(lambda _, c: str(as_text.index(c)))
    assert said in faults(lambda _, c: as_text[int(c)])


def test_images_without_order_were_sorted_by_another_list() -> None:
    said = faults(lambda n, _: NUMBERED[5 * n % 12])
    assert ": they were sorted by a list of other files or in another order" in said


IMAGES = 60
#: The class of each image, in no order that folders alone would show.
OF = [CLASSES[place] for place in np.random.default_rng(0).integers(4, size=IMAGES)]


def numbered(folder_of: Callable[[int], str]) -> str:
    """Say what is wrong with validation images that lie in these folders."""
    kit = Devkit(Path("devkit"), tuple(OF))
    names = [
        f"{folder_of(number)}/ILSVRC2012_val_{number + 1:08d}.JPEG"
        for number in range(IMAGES)
    ]
    return "; ".join(label_faults(spec(CLASSES), names, kit))


@pytest.mark.parametrize(("step", "side"), [(-1, "before"), (1, "after")])
@pytest.mark.parametrize("others", range(0, 12, 2))
def test_labels_of_the_image_before_or_after_are_said(
    step: int, side: str, others: int
) -> None:
    wrong = {CLASSES[at]: CLASSES[at - 1] for at in range(4)}

    def folder_of(number: int) -> str:
        neighbour = OF[min(max(number + step, 0), IMAGES - 1)]
        return wrong[neighbour] if number in range(20, 20 + others) else neighbour

    said = f"each lies where the image {side} it belongs; sort them anew"
    # Nine of ten that have such a neighbour have to lie where it belongs.
    assert (said in numbered(folder_of)) == (others < 0.1 * (IMAGES - 2))


def test_images_in_any_order_lie_where_no_neighbour_belongs() -> None:
    assert numbered(lambda number: OF[number]) == ""
    said = numbered(lambda number: OF[(number + 13) % IMAGES])
    assert ": they were sorted by a list of other files or in another order" in said


@pytest.mark.parametrize("others", [1, 2, 3])
def test_another_list_is_named_where_it_has_more_of_the_images(others: int) -> None:
    names = ["0/0-0.png", "0/0-1.png", *(f"0/x{n}.png" for n in range(3))]
    more = [("0", f"x{n}.png") for n in range(others)]
    known = [
        DatasetSpec(
            id="other",
            title="Other",
            folder="val",
            classes=("0",),
            images=9,
            files=make_list("Other", "here", ".*", more),
        )
    ]
    (said,) = label_faults(spec(NUMBERED, PAIRS), names, None, known)
    assert said.startswith("3 images are not in the list of Val (0/x0.png, ")
    named = "; 3 are in that of Other. Get the images of Val"
    assert said.endswith(
        named if others == 3 else "; remove what does not belong there"
    )


def test_the_part_of_images_that_a_list_has_is_one_without_a_list() -> None:
    names = ["0/0-0.png", "9/1-1.png", "0/cat.png", "cat.png"]
    assert list_share(spec(NUMBERED, PAIRS), names) == 0.5
    assert list_share(spec(NUMBERED, PAIRS), []) == 1
    assert list_share(spec(NUMBERED), names) == 1
