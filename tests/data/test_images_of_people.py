"""Images as people have them: what is read, and what is said of what is not."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from repro.data.dataset import index_dataset
from repro.data.geometry import decode
from repro.errors import DatasetError, ReproError
from repro.published import DatasetSpec

CLASSES = ("cat", "dog", "eel")
SPEC = DatasetSpec(
    id="animals", title="Animals", folder="val", classes=CLASSES, images=6
)
PIXELS = np.arange(6 * 4 * 4 * 3, dtype=np.uint8).reshape(6, 4, 4, 3)
LABELS = [0, 1, 2, 0, 1, 2]
Make = Callable[[Path], object]


def encoded(number: int, form: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(PIXELS[number]).save(stream, form)
    return stream.getvalue()


def folders(
    data: Path,
    suffix: str = ".png",
    form: str = "PNG",
    names: tuple[str, ...] = CLASSES,
) -> None:
    for number, label in enumerate(LABELS):
        file = data / "val" / names[label] / f"{number}{suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(encoded(number, form))


def listed(text: str, name: str = "labels.csv") -> Make:
    """Flat images with a table; `{n}`, `{c}` are number and class of a line."""

    def make(data: Path) -> None:
        (data / "val").mkdir()
        for number in range(6):
            (data / "val" / f"im_{number}.png").write_bytes(encoded(number))
        head, _, line = text.rpartition("\n")
        rows = [line.format(n=n, c=CLASSES[at]) for n, at in enumerate(LABELS)]
        (data / "val" / name).write_text("\n".join([*head.splitlines(), *rows, ""]))

    return make


def arrays(**changed: Any) -> Make:
    def make(data: Path) -> None:
        (data / "val").mkdir()
        given: dict[str, Any] = {"x_test": PIXELS, "y_test": np.array(LABELS)}
        np.savez(data / "val" / "a.npz", **(given | changed))

    return make


def parquet(labels: list[Any]) -> Make:
    def make(data: Path) -> None:
        (data / "val").mkdir()
        images = [{"bytes": encoded(n), "path": f"{n}.png"} for n in range(6)]
        file = data / "val" / "validation-00000-of-00001.parquet"
        pq.write_table(pa.table({"image": images, "label": labels}), file)

    return make


def named(name: str, *, place: str = "val") -> Make:
    """Flat images; `{n}` and `{c}` in their names are number and class."""

    def make(data: Path) -> None:
        (data / place).mkdir(parents=True)
        for number, at in enumerate(LABELS):
            file = name.format(n=number, c=CLASSES[at])
            (data / place / file).write_bytes(encoded(number))

    return make


def table_at(place: str, line: str, *, images: str = "val") -> Make:
    """Flat images with a table at a place; `{at}` is the place of a class."""

    def make(data: Path) -> None:
        named("im_{n}.png", place=images)(data)
        rows = (line.format(n=n, c=CLASSES[at], at=at) for n, at in enumerate(LABELS))
        (data / place).parent.mkdir(exist_ok=True)
        (data / place).write_text("\n".join((*rows, "")))

    return make


def beside(make: Make, *names: str) -> Make:
    """Let a system or a notebook leave something beside what is made."""

    def makes(data: Path) -> None:
        make(data)
        for name in names:
            (data / "val" / name).parent.mkdir(parents=True, exist_ok=True)
            (data / "val" / name).write_bytes(encoded(0))

    return makes


def packed(data: Path) -> None:
    folders(data)
    shutil.make_archive(str(data / "val"), "zip", data / "val")
    shutil.rmtree(data / "val")


def one_hot(head: str, line: str, marks: Sequence[str] = "10") -> Make:
    """Flat images with a column for each class; `{m}` are the marks of a line."""

    def make(data: Path) -> None:
        named("im_{n}.png")(data)
        rows = [
            line.format(n=n, m=",".join(marks[label != at] for at in range(3)))
            for n, label in enumerate(LABELS)
        ]
        (data / "val" / "labels.csv").write_text("\n".join((head, *rows, "")))

    return make


def shards(samples: Callable[[int], dict[str, bytes]]) -> Make:
    """A shard of WebDataset: what stands beside `<number>.png`, by its name."""

    def make(data: Path) -> None:
        (data / "val").mkdir()
        with tarfile.open(data / "val" / "val-00.tar", "w") as tar:
            for number in range(6):
                members = {f"{number}.png": encoded(number), **samples(number)}
                for name, content in members.items():
                    member = tarfile.TarInfo(name)
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))

    return make


#: What macOS writes beside a file on a disk of another system begins so.
BESIDE = b"\0\5\x16\7" + bytes(78)


def with_beside(make: Make, *names: str) -> Make:
    def makes(data: Path) -> None:
        make(data)
        for name in names:
            (data / "val" / name).write_bytes(BESIDE)

    return makes


READ: dict[str, Make] = {
    "class folders": folders,
    "JPEGs of Windows": lambda data: folders(data, ".jfif", "JPEG"),
    "GIFs": lambda data: folders(data, ".gif", "GIF"),
    "a column a class": one_hot("file,cat,dog,eel", "im_{n}.png,{m}"),
    "a column a class, without suffixes": one_hot(
        "image,cat,dog,eel", "im_{n},{m}", ["1.0", "0.0"]
    ),
    "beside each file by macOS": with_beside(folders, "cat/._0.png", "._cat"),
    "beside flat files by macOS": with_beside(
        listed("file,label\nim_{n}.png,{c}", "x.csv"), "._im_0.png", "._x.csv"
    ),
    "beside shards by macOS": with_beside(
        parquet(LABELS), "._validation-00000-of-00001.parquet"
    ),
    "shards with texts": shards(lambda n: {f"{n}.txt": CLASSES[LABELS[n]].encode()}),
    "shards with texts of something else": shards(
        lambda n: {f"{n}.txt": b"a photo", f"{n}.cls": b"%d\n" % LABELS[n]}
    ),
    "shards packed on macOS": shards(
        lambda n: {f"./._{n}.png": BESIDE, f"{n}.cls": b"%d" % LABELS[n]}
    ),
    "suffixes of cameras": lambda data: folders(data, ".JPG", "JPEG"),
    "a heading that is no word of ours": listed("id,breed\nim_{n},{c}"),
    "paths from above the folder": listed("path,class\nval/im_{n}.png,{c}"),
    "semicolons": listed("filename;label\nim_{n}.png;{c}"),
    "as the Hub's image folders": listed("file_name,label\nim_{n}.png,{c}", "m.csv"),
    "labels in a column": arrays(y_test=np.array(LABELS)[:, None]),
    "channels first": arrays(x_test=PIXELS.transpose(0, 3, 1, 2)),
    "labels of bytes": arrays(y_test=np.array([CLASSES[n].encode() for n in LABELS])),
    "names that begin with the class": named("{c}_{n}.png"),
    "names that end with the class": named("{n}.{c}.png"),
    "Tiny ImageNet": table_at(
        "val/val_annotations.txt", "im_{n}.png\t{c}\t0\t0\t9\t9", images="val/images"
    ),
    "Caffe's list": table_at("val.txt", "im_{n}.png {at}"),
    "MMPretrain's list": table_at("meta/val.txt", "im_{n}.png {at}"),
    "metadata of the Hub": table_at(
        "val/metadata.jsonl", '{{"file_name": "im_{n}.png", "label": "{c}"}}'
    ),
    "paths of another machine": table_at("val/x.tsv", "C:\\set\\im_{n}.png\t{c}"),
    "the class first, without headings": table_at("val/x.csv", "{c},im_{n}.png"),
    "numbered lines, without headings": table_at("val/x.csv", "{n},im_{n}.png,{c}"),
    "left by notebooks": beside(folders, ".ipynb_checkpoints/1.png"),
    "left by notebooks in a class": beside(folders, "cat/.ipynb_checkpoints/0.png"),
    "left by macOS": beside(folders, "__MACOSX/cat/._0.png", ".DS_Store"),
    "left by Windows": beside(folders, "Thumbs.db", "cat/Thumbs.db"),
    "parquet": parquet(LABELS),
    "parquet with names": parquet([CLASSES[label] for label in LABELS]),
}


@pytest.mark.parametrize("name", READ)
def test_what_people_have_is_read(name: str, tmp_path: Path) -> None:
    READ[name](tmp_path)
    dataset = index_dataset(SPEC, tmp_path)
    assert sorted(dataset.labels) == sorted(LABELS)
    by_pixels = {PIXELS[n].tobytes(): label for n, label in enumerate(LABELS)}
    for number, label in enumerate(dataset.labels):
        pixels = np.asarray(decode(dataset.place(number), dataset.digests[number]))
        # JPEG changes pixels, so only labels of lossless images can be told apart.
        assert by_pixels.get(pixels.tobytes(), label) == label


def left(name: str) -> Make:
    """Make something else where the images should be."""

    def make(data: Path) -> None:
        (data / name).parent.mkdir(exist_ok=True)
        (data / name).write_bytes(b"other")

    return make


def one_of_another_format(data: Path) -> None:
    folders(data)
    (data / "val/cat/0.png").rename(data / "val/cat/0.HEIC")


OWN_READER = "it needs a reader of datasets, which a package of yours can add"
SAID: dict[str, tuple[Make, str]] = {
    "a class at both ends": (
        named("cat_{n}_dog.png"),
        "6 images lie right in it (cat_0_dog.png, cat_1_dog.png, cat_2_dog.png ...): "
        "sort them into folders of classes, or write labels.csv",
    ),
    "other languages": (
        lambda data: folders(data, names=("Katze", "Hund", "Aal")),
        "a line <folder>,cat for each",
    ),
    "saved by datasets": (
        left("val/data-00000-of-00001.arrow"),
        "data-00000-of-00001.arrow is there: write it with datasets.load_from_disk",
    ),
    "tensors": (left("val/test.pt"), "test.pt is there: save images and labels with"),
    "TFRecord": (left("val/validation-00000-of-00128"), OWN_READER),
    "LMDB": (left("val/data.mdb"), OWN_READER),
    "LMDB beside": (left("val.lmdb"), OWN_READER),
    "another format": (
        lambda data: folders(data, ".heic", "PNG"),
        "6 files there end in .heic, and images in .jpg, ",
    ),
    "another format among others": (
        one_of_another_format,
        "1 file there ends in .HEIC, and images in .jpg, ",
    ),
    "an archive": (packed, "does not exist, but val.zip is there: unpack it"),
    "two classes of an image": (
        one_hot("file,cat,dog,eel", "im_{n}.png,{m}", "11"),
        "labels.csv marks 3 classes of 'im_0.png' with 1, where an image has one",
    ),
    "a column too few": (
        one_hot("cat,dog,eel,file", "{m}"),
        "labels.csv says two classes of '0', '1' and '0'; remove the wrong line",
    ),
    "a key of its own in .json": (
        shards(lambda n: {f"{n}.json": b'{"class": 1}'}),
        "no .cls, .txt or .json with `label` of the same name lies beside",
    ),
    "floats": (arrays(x_test=PIXELS / 255), "a.npz: images are float64 of shape"),
    "four channels": (
        arrays(x_test=np.concatenate([PIXELS, PIXELS[..., :1]], -1)),
        "a.npz: images are of shape [6, 4, 4, 4], which does not tell",
    ),
    "one of n": (arrays(y_test=np.eye(3)[LABELS]), "a.npz: labels are float64"),
    "no label": (parquet([0, 1, None, 0, 1, 2]), "row 2 has no label"),
    "hidden labels": (parquet([-1] * 6), "as test sets have whose labels are hidden"),
    "labels from one": (parquet([1, 2, 3] * 2), "not known in which order they number"),
}


@pytest.mark.parametrize("name", SAID)
def test_what_is_not_read_is_said(name: str, tmp_path: Path) -> None:
    make, said = SAID[name]
    make(tmp_path)
    with pytest.raises(ReproError) as raised:
        index_dataset(SPEC, tmp_path)
    assert said in str(raised.value)
    assert len(str(raised.value)) <= 500


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid x", "run 'git lfs pull'"),
        (b"<!DOCTYPE html><html>", "it is a web page; download the file itself, not"),
        (b"/annex/objects/MD5E-s9--1.jpg\n", "run 'git annex get' where it is"),
        (b"\0\0\0\x18ftypheic" + bytes(99), "it is HEIC, which Pillow does not read"),
        (BESIDE, "bytes are no image. Replace it with the original file"),
    ],
)
def test_what_is_in_the_place_of_an_image_is_named(
    content: bytes, said: str, tmp_path: Path
) -> None:
    file = tmp_path / "0.jpg"
    file.write_bytes(content)
    with pytest.raises(DatasetError) as raised:
        decode(str(file))
    assert said in str(raised.value)
