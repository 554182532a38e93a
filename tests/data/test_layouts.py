"""Every layout that people have gives the predictions of a plain loop, or a sentence.

A row is one layout: what is written to a folder, and what is said of it.
"""

from __future__ import annotations

import os
import unicodedata
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from PIL import Image, PngImagePlugin

from repro.data.dataset import Dataset, index_dataset
from repro.data.digests import read_record
from repro.data.geometry import decode
from repro.data.readers import find_images
from repro.errors import DatasetError
from repro.published import read_releases, shipped_list

from .plain_loop import loop, predicted
from .small_imagenet import (
    CLASSES,
    check,
    fault,
    known,
    photograph,
    spec,
    validation,
    write,
    write_devkit,
)

Images = dict[str, bytes]


class Layout(NamedTuple):
    """How images are written below a folder, and what is said of it then.

    `said` is part of what was assumed or, where it is refused, of the sentence.
    """

    write: Callable[[Path, Images], object]
    said: str = ""
    refused: bool = False
    changes: dict[str, Any] = {}  # noqa: RUF012
    images: Callable[[], Images] = validation


def flat(images: Images) -> Images:
    return {name.partition("/")[2]: content for name, content in images.items()}


def renamed(images: Images, folder: Callable[[str], str]) -> Images:
    return {
        "/".join((folder(name.partition("/")[0]), name.partition("/")[2])): content
        for name, content in images.items()
    }


def table(images: Images, line: Callable[[str, str], str], head: str = "") -> str:
    rows = (line(name.partition("/")[2], name.partition("/")[0]) for name in images)
    return head + "".join(f"{row}\n" for row in rows)


def write_flat(folder: Path, images: Images) -> Path:
    return write(folder / "val", flat(images))


def with_table(
    place: str, line: Callable[[str, str], str], head: str = ""
) -> Callable[[Path, Images], object]:
    def writes(folder: Path, images: Images) -> None:
        write_flat(folder, images)
        (folder / place).write_text(table(images, line, head))

    return writes


def named_so(folder: Callable[[str], str]) -> Callable[[Path, Images], object]:
    return lambda data, images: write(data / "val", renamed(images, folder))


def true_validation() -> Images:
    """Make images with the names of ImageNet's own images of four classes."""
    files = shipped_list("imagenet-val")
    found: Images = {}
    for number in range(1, 50_001):
        name = f"ILSVRC2012_val_{number:08d}.JPEG"
        for class_ in set(files.classes_of(name)) & set(CLASSES):
            if sum(other.startswith(class_) for other in found) < 3:
                found[f"{class_}/{name}"] = photograph(number)
        if len(found) == 12:
            break
    return found


def number_of(class_: str) -> str:
    return str(CLASSES.index(class_))


def mapped(folder: Path, images: Images) -> None:
    write(folder / "val", renamed(images, lambda c: str(9 - int(number_of(c)))))
    lines = (f"{9 - int(number_of(class_))},{class_}\n" for class_ in CLASSES)
    (folder / "val" / "labels.csv").write_text("".join(lines))


def as_kaggle(folder: Path, images: Images) -> Path:
    inside = folder / "ILSVRC" / "Data" / "CLS-LOC"
    write(inside / "val", flat(images))
    rows = table(
        images,
        lambda file, class_: f"{file.removesuffix('.JPEG')},{class_} 85 1 499 272 ",
        "ImageId,PredictionString\n",
    )
    (folder / "LOC_val_solution.csv").write_text(rows)
    return inside


def with_bytes_for_a_name(folder: Path, images: Images) -> None:
    write(folder / "val", images)
    first, second = sorted((folder / "val" / CLASSES[0]).iterdir())[:2]
    os.rename(first, os.fsencode(first.parent) + b"/\xff\n\\.JPEG")  # noqa: PTH104
    second.rename(second.with_name("two\nlines.JPEG"))


def with_link(target: str, name: str) -> Callable[[Path, Images], object]:
    def writes(folder: Path, images: Images) -> None:
        write(folder / "val", images)
        link = folder / "val" / CLASSES[0] / name
        link.symlink_to(target.format(val=folder / "val"))

    return writes


def in_a_circle_of_two(folder: Path, images: Images) -> None:
    write(folder / "val", images)
    one, other = folder / "val" / CLASSES[0], folder / "elsewhere"
    other.mkdir()
    (one / "more").symlink_to(other)
    (other / "back").symlink_to(one)


def without_a_line(folder: Path, images: Images) -> None:
    with_table("val.csv", lambda f, c: f"{f},{c}")(folder, images)
    (folder / "val" / "extra.png").write_bytes(photograph(99))


def twice(folder: Path, images: Images) -> None:
    with_table("val.csv", lambda f, c: f"{f},{c}")(folder, images)
    with (folder / "val.csv").open("a") as stream:
        stream.write(f"{next(iter(flat(images)))},{CLASSES[0]}\n")


ACCENTS = ("chaton é", "pâté")
WORDS = {
    "n01440764": "tench",
    "n01443537": "Goldfish",
    "n02100735": "English_setter",
    "n02119789": "kit fox",
}


def accented() -> Images:
    return {
        f"{class_}/{number}.jpg": photograph(number)
        for number, class_ in enumerate(ACCENTS * 2)
    }


def in_nfd(folder: Path, images: Images) -> None:
    write(folder / "val", renamed(images, lambda c: unicodedata.normalize("NFD", c)))


LAYOUTS = {
    "class folders": Layout(named_so(str)),
    "names that are no text": Layout(with_bytes_for_a_name),
    "class folders in NFD": Layout(
        in_nfd, changes={"classes": ACCENTS, "images": 4}, images=accented
    ),
    "n01440764_tench": Layout(
        named_so(lambda c: f"{c}_{WORDS[c]}"), "the WordNet ids that names begin with"
    ),
    "words": Layout(named_so(WORDS.__getitem__), "their names in WordNet"),
    "a word of two classes": Layout(
        named_so(lambda c: {**WORDS, CLASSES[0]: "crane"}[c]),
        "write which class each is into a file labels.csv",
        refused=True,
    ),
    "own words spelt otherwise": Layout(
        named_so(lambda c: {"Sea Lion": "sea_lion", "Cat": "CAT"}[c]),
        "spelt otherwise",
        changes={"classes": ("Sea Lion", "Cat"), "images": 2},
        images=lambda: {"Sea Lion/1.jpg": photograph(1), "Cat/2.jpg": photograph(2)},
    ),
    "0, 1, 2 with names that tell": Layout(
        named_so(number_of), "the names of the images in them", images=true_validation
    ),
    "1, 2, 3 of another order, with names that tell": Layout(
        named_so(lambda c: str(4 - int(number_of(c)))),
        "the names of the images in them",
        images=true_validation,
    ),
    "0, 1, 2 with nothing that tells": Layout(
        named_so(number_of), "a line such as 0,n01440764 for each folder", refused=True
    ),
    "1, 2, 3 with nothing that tells": Layout(
        named_so(lambda c: str(1 + int(number_of(c)))),
        "a line such as 1,n01440764 for each folder",
        refused=True,
    ),
    "numbers, and which class each is": Layout(mapped, "val/labels.csv"),
    "flat, with a table inside": Layout(
        with_table("val/labels.csv", lambda f, c: f"{f},{c}")
    ),
    "flat, with a table beside, headings and semicolons": Layout(
        with_table("val.csv", lambda f, c: f"1;{c};{f}", "n;class;filename\n")
    ),
    "flat, with places in the list of classes": Layout(
        with_table("val/x.csv", lambda f, c: f"{f}\t{number_of(c)}"),
        "taken as places in the list of classes, from 0",
    ),
    "flat, with numbers from 1": Layout(
        with_table("val/x.csv", lambda f, c: f"{f},{1 + int(number_of(c))}"),
        "it is not known in which order they number the 4 classes",
        refused=True,
    ),
    "flat, with a label that is no class": Layout(
        with_table("val/x.csv", lambda f, c: f"{f},{c[:-1]}"),
        "has the label 'n0211978', which is no class of",
        refused=True,
    ),
    "flat, with two labels of an image": Layout(
        twice, "says two classes of 'ILSVRC2012_val_00000001.JPEG'", refused=True
    ),
    "flat, with an image that has no line": Layout(
        without_a_line, "1 image has no label (extra.png)", refused=True
    ),
    "Kaggle's": Layout(as_kaggle),
    "flat, with classes in the names": Layout(
        lambda folder, images: write(
            folder / "val",
            {
                f"{Path(name).stem}_{Path(name).parent}.JPEG": content
                for name, content in images.items()
            },
        )
    ),
    "flat, with nothing that tells": Layout(
        write_flat, "or labels.csv with lines <file>,<class> beside them", refused=True
    ),
    "a broken link": Layout(
        with_link("/nowhere/1.JPEG", "x.JPEG"),
        "is a link to /nowhere/1.JPEG, which is not there",
        refused=True,
    ),
    "a broken link to a folder": Layout(
        with_link("/nowhere", "more"), "is a link to /nowhere, which", refused=True
    ),
    "a link to itself": Layout(
        with_link("x.JPEG", "x.JPEG"), "leads in a circle", refused=True
    ),
    "a link to a folder above": Layout(
        with_link("{val}", "more"), "more is a link to", refused=True
    ),
    "two links in a circle": Layout(
        in_a_circle_of_two, "back is a link to", refused=True
    ),
}


def index(layout: Layout, folder: Path, cache: Path | None = None) -> Dataset:
    found = layout.write(folder, layout.images())
    data = found if isinstance(found, Path) and found != folder / "val" else folder
    return index_dataset(spec(**layout.changes), data, known(), cache=cache)


@pytest.mark.parametrize("name", [n for n, one in LAYOUTS.items() if not one.refused])
def test_a_layout_gives_the_predictions_of_a_plain_loop(
    name: str, tmp_path: Path
) -> None:
    layout = LAYOUTS[name]
    dataset = index(layout, tmp_path / "data", tmp_path / "cache")
    images = layout.images()
    assert predicted(dataset) == loop(images, dataset.classes)
    sorted_copy = index_dataset(
        spec(**layout.changes, folder="sorted"),
        write(tmp_path / "plain" / "sorted", images).parent,
    )
    assert dataset.fingerprint == sorted_copy.fingerprint
    assert layout.said in "; ".join(dataset.assumed)
    assert bool(dataset.assumed) == bool(layout.said)


@pytest.mark.parametrize("name", [n for n, one in LAYOUTS.items() if one.refused])
def test_a_layout_is_refused_in_one_sentence(name: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        index(LAYOUTS[name], tmp_path)
    assert LAYOUTS[name].said in str(caught.value)
    assert len(str(caught.value)) <= 500
    assert "\n" not in str(caught.value)


def test_a_flat_folder_is_found_when_it_is_named_itself(tmp_path: Path) -> None:
    with_table("val.csv", lambda f, c: f"{f},{c}")(tmp_path, validation())
    dataset = index_dataset(spec(folder="elsewhere"), tmp_path / "val")
    assert predicted(dataset) == loop(validation(), CLASSES)


def test_a_devkit_is_found_above_a_flat_folder_that_is_named_itself(
    tmp_path: Path,
) -> None:
    write_flat(tmp_path, validation())
    write_devkit(tmp_path)
    dataset = index_dataset(spec(), tmp_path / "val")
    assert predicted(dataset) == loop(validation(), CLASSES)


def test_what_was_assumed_is_said_by_the_check(release: Path, tmp_path: Path) -> None:
    write(tmp_path / "val", renamed(validation(), lambda c: f"{c}_{WORDS[c]}"))
    said = check(release, tmp_path / "val").stdout
    assert "classes told by the WordNet ids that names begin with" in said


def test_a_copy_whose_names_are_no_text_is_recorded_and_known_again(
    release: Path, tmp_path: Path
) -> None:
    with_bytes_for_a_name(tmp_path, validation())
    assert check(release, tmp_path, "--dataset", "val", "--record").exit_code == 0
    (opened,) = read_releases([release])
    recorded = read_record(opened, opened.datasets["val"])
    assert recorded is not None
    assert rf"{CLASSES[0]}/\xff\x0a\\.JPEG" in recorded.files
    again = check(release, tmp_path, "--dataset", "val", "--bytes")
    assert "it is the copy recorded in" in again.stdout


def test_a_folder_whose_name_is_no_text_can_be_spoken_of(tmp_path: Path) -> None:
    write(tmp_path / "val", validation())
    os.mkdir(os.fsencode(tmp_path / "val") + b"/\xfe")  # noqa: PTH102
    said = fault(tmp_path)
    assert r"(\udcfe)" in said
    said.encode()


def test_training_images_are_refused_with_what_to_write(tmp_path: Path) -> None:
    names = (f"{c}/{c}_{n}.JPEG" for c in CLASSES for n in range(3))
    write(tmp_path / "val", {name: photograph(1) for name in names})
    assert "say so with the word 'train' in the title" in fault(tmp_path)
    of_them = spec(title="Imagenette, of ImageNet's training set")
    assert len(index_dataset(of_them, tmp_path)) == 12


def test_a_data_folder_is_not_taken_for_numbered_classes(tmp_path: Path) -> None:
    write(tmp_path / "0" / "n01440764", {"a.jpg": photograph(1)})
    assert find_images(spec(), tmp_path) is None


# What Pillow takes from nobody ------------------------------------------------------


def png(**more: Any) -> bytes:
    import io

    stream = io.BytesIO()
    Image.new("RGB", (4, 4)).save(stream, "PNG", **more)
    return stream.getvalue()


def bomb() -> bytes:
    """Make a PNG that says it has 400 megapixels."""
    content = bytearray(png())
    content[16:24] = (20_000).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    return bytes(content)


def with_long_text() -> bytes:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("comment", "x" * 3 * 2**20, zip=True)
    return png(pnginfo=texts)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (bomb(), "set PIL.Image.MAX_IMAGE_PIXELS in conftest.py"),
        (with_long_text(), "set PIL.PngImagePlugin.MAX_TEXT_CHUNK in conftest.py"),
        (b"no image", "Replace it with the original file"),
    ],
    ids=["pixels", "text", "no image"],
)
def test_a_limit_of_pillow_is_told_from_damage(
    tmp_path: Path, content: bytes, said: str
) -> None:
    (tmp_path / "1.png").write_bytes(content)
    with pytest.raises(DatasetError) as caught:
        decode(tmp_path / "1.png")
    assert said in str(caught.value)
    assert ("original" in str(caught.value)) == (content == b"no image")


@pytest.mark.filterwarnings("error")
def test_a_warning_of_pillow_does_not_make_an_image_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "1.png").write_bytes(png())
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 15)
    assert decode(tmp_path / "1.png").size == (4, 4)
