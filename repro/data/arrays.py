"""Small images in arrays, with labels beside them: `.npz`, and MNIST's `idx` files.

Images are bytes of 0 to 255. Each is given to Pillow as a PPM, or in grey as a PGM, of
its own, which has the same pixels.
"""

from __future__ import annotations

import contextlib
import gzip
import math
import re
import zipfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from repro.data.label_tables import understand_labels
from repro.data.listing import Image, Listing, Reader, subfolders
from repro.data.places import Stamp, stamp_of
from repro.errors import DatasetError
from repro.files import UNREADABLE
from repro.published import DatasetSpec
from repro.words import counted

#: Bytes of an array; more is no set of small images, and has to fit into memory.
LARGEST = 2**31
_IDX = re.compile(r"(?P<set>.*?)[-_.]?images[-.]idx[34][-.]ubyte(?P<gz>\.gz)?")
#: What the arrays of images and of labels are called; `{}` stands for the set.
_NAMES = (
    ("x_{}", "y_{}"),
    ("X_{}", "y_{}"),
    ("{}_images", "{}_labels"),
    ("{}_data", "{}_labels"),
    ("images", "labels"),
    ("data", "labels"),
    ("x", "y"),
    ("X", "y"),
)
_SETS = ("test", "val", "validation", "train")
_ALIKE = {"t10k": "test", "validation": "val", "valid": "val", "testing": "test"}


class Arrays(msgspec.Struct, frozen=True):
    """A set of images: its file and name, and the places of images and labels.

    A place is the name of an array in a `.npz`, and the file itself of `idx`.
    """

    file: Path
    name: str
    images: str
    labels: str


class Row(msgspec.Struct, frozen=True):
    """An image that is a row of an array."""

    file: Path
    array: str
    number: int

    def __str__(self) -> str:
        inside = f":{self.array}" if self.file.suffix == ".npz" else ""
        return f"{self.file}{inside}[{self.number}]"

    def read(self) -> bytes:
        """Write it as a PPM or PGM."""
        try:
            stamp = stamp_of(self.file.stat())
            pixels = _images(_array(self.file, self.array, stamp))[self.number]
        except (DatasetError, IndexError) as error:
            raise OSError(f"{error}") from error
        height, width = pixels.shape[:2]
        kind = "P6" if pixels.ndim == 3 else "P5"
        content: bytes = pixels.tobytes()
        return f"{kind} {width} {height} 255\n".encode() + content


class ArrayReader(Reader):
    """`x_test` and `y_test` of a `.npz`, or `t10k-images-idx3-ubyte` and its labels."""

    def find(self, spec: DatasetSpec, data: Path) -> Path | None:
        """Find the file of the images, or the folder that has one or several."""
        for place in (data, data / spec.folder):
            if place.is_file():
                return place if _is_ours(place) else None
        for folder in (data / spec.folder, data / spec.folder / "raw"):
            if not folder.is_dir() or subfolders(folder):
                continue  # Folders of classes count, whatever lies beside them.
            if any(_is_ours(file) and _has_sets(file) for file in _files(folder)):
                return folder
        return None

    def list(self, spec: DatasetSpec, root: Path, data: Path) -> Listing:
        """List the images by their labels."""
        chosen = _choose(spec.folder, root)
        file = chosen.file
        stamp = stamp_of(file.stat())
        images = _images(_array(file, chosen.images, stamp))
        labels = _labels(chosen)
        if len(labels) != len(images):
            raise DatasetError(
                f"{file} has {counted(len(images), 'image')} and "
                f"{counted(len(labels), 'label')}; each image needs one"
            )
        texts = [str(label) for label in labels.tolist()]
        classes, assumed = understand_labels(
            spec, file, list(dict.fromkeys(texts)), counted_from_zero=True
        )
        suffix = "ppm" if images.ndim == 4 else "pgm"
        size = math.prod(images.shape[1:])
        found: dict[str, list[Image]] = {name: [] for name in spec.classes}
        for number, text in enumerate(texts):
            class_ = classes[text]
            found[class_].append(
                Image(
                    f"{class_}/{number:06}.{suffix}",
                    msgspec.structs.replace(stamp, size=size, offset=number),
                    Row(file, chosen.images, number),
                )
            )
        how = f"in arrays, the set {chosen.name!r}" if chosen.name else "in arrays"
        return Listing(root, how, found, (assumed,) if assumed else ())


class Outline(msgspec.Struct, frozen=True):
    """What arrays tell by themselves: labels as text, images, height and width."""

    labels: tuple[str, ...]
    images: int
    size: tuple[int, int]


def outline(place: Path) -> Outline | None:
    """Look into a file of arrays, or a folder with one; None if it is something else.

    Raises:
        DatasetError: it is damaged, or several sets could be meant.
    """
    if place.is_dir() and subfolders(place):
        return None
    files = _files(place) if place.is_dir() else [place]
    if not any(_is_ours(file) and _has_sets(file) for file in files):
        return None
    chosen = _choose(place.name, place)
    stamp = stamp_of(chosen.file.stat())
    images = _images(_array(chosen.file, chosen.images, stamp))
    labels = np.unique(_labels(chosen)).tolist()
    height, width = images.shape[1:3]
    return Outline(tuple(map(str, labels)), len(images), (height, width))


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.is_file())


def _is_ours(file: Path) -> bool:
    return file.suffix == ".npz" or _IDX.fullmatch(file.name) is not None


def _has_sets(file: Path) -> bool:
    """Whether images with labels are in it; damage is said when it is listed."""
    try:
        return bool(list(_sets(file)))
    except DatasetError:
        return True


@contextlib.contextmanager
def _explained(file: Path) -> Iterator[None]:
    try:
        yield
    except (*UNREADABLE, KeyError, MemoryError) as error:
        raise DatasetError(
            f"{file} cannot be read as arrays of images: {error}"
        ) from error


def _choose(called: str, root: Path) -> Arrays:
    """Choose the set that a dataset of this folder is, or the one that is there.

    Raises:
        DatasetError: several could be meant, or there is none.
    """
    files = [root] if root.is_file() else list(filter(_is_ours, _files(root)))
    found = [arrays for file in files for arrays in _sets(file)]
    words = re.findall(r"[a-z]+\d*", PurePath(called).name.lower())
    wanted = {_ALIKE.get(word, word) for word in words}
    named = [one for one in found if _ALIKE.get(one.name, one.name) in wanted]
    chosen = named or [one for one in found if one.name != "train"] or found
    if len(chosen) == 1:
        return chosen[0]
    if not chosen:
        raise DatasetError(
            f"{root} has no images with labels; they are called x_test and y_test, "
            "test_images and test_labels, or images and labels"
        )
    several = ", ".join(one.images or one.file.name for one in chosen[:4])
    raise DatasetError(
        f"{root} has several sets ({several}); name the one that is meant in `folder` "
        "of the dataset, as test or val, or leave one file there"
    )


def _sets(file: Path) -> Iterator[Arrays]:
    if match := _IDX.fullmatch(file.name):
        labels = file.name.replace("images", "labels").replace("idx3", "idx1")
        labels = labels.replace("idx4", "idx1")
        beside = [file.with_name(labels), file.with_name(labels.removesuffix(".gz"))]
        there = next((one for one in beside if one.is_file()), None)
        if there is None:
            raise DatasetError(f"{file} needs {labels} beside it, which is not there")
        yield Arrays(file, match["set"].lower(), "", str(there))
        return
    names = set(_members(file))
    for images, labels in _NAMES:
        for set_ in _SETS if "{}" in images else ("",):
            pair = images.format(set_), labels.format(set_)
            if names.issuperset(pair):
                yield Arrays(file, set_, *pair)


def _members(file: Path) -> list[str]:
    with _explained(file), zipfile.ZipFile(file) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist()]


def _labels(arrays: Arrays) -> npt.NDArray[Any]:
    file = arrays.file
    if arrays.file.suffix != ".npz":
        file = Path(arrays.labels)
        labels = _array(file, "", stamp_of(file.stat()))
    else:
        labels = _array(file, arrays.labels, stamp_of(file.stat()))
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "iuU":
        raise DatasetError(
            f"{file}: labels are {labels.dtype} of shape {list(labels.shape)}; they "
            "have to be one integer or name for each image"
        )
    return labels


def _images(array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Give images as `[N, H, W]` or `[N, H, W, 3]`.

    Raises:
        DatasetError: they are of another form.
    """
    shape = list(array.shape)
    if array.dtype != np.uint8 or array.ndim not in (3, 4):
        raise DatasetError(
            f"images are {array.dtype} of shape {shape}; they have to be uint8, from 0 "
            "to 255, of shape [N, H, W], [N, H, W, 3] or [N, 3, H, W]"
        )
    if array.ndim == 4 and shape[3] == 1:
        return array[..., 0]
    if array.ndim == 4 and shape[1] == 1:
        return array[:, 0]
    if array.ndim == 4 and shape[3] != 3 and shape[1] == 3:
        return array.transpose(0, 2, 3, 1)
    if array.ndim == 4 and (shape[3] != 3 or shape[1] == 3):
        raise DatasetError(
            f"images are of shape {shape}, which does not tell where the three "
            "channels are; write them as [N, H, W, 3]"
        )
    return array


@lru_cache(maxsize=4)
def _array(file: Path, name: str, stamp: Stamp) -> npt.NDArray[Any]:
    """Read an array of a `.npz` by its name, or that of an `idx` file.

    Raises:
        DatasetError: it is damaged, too large, or made of Python's objects.
    """
    with _explained(file):
        return _idx(file) if not name else _member(file, name)


def _member(file: Path, name: str) -> npt.NDArray[Any]:
    from numpy.lib import format as npy

    with zipfile.ZipFile(file) as archive, archive.open(f"{name}.npy") as stream:
        version = npy.read_magic(stream)
        read = npy.read_array_header_1_0 if version == (1, 0) else None
        shape, _, dtype = (read or npy.read_array_header_2_0)(stream)
        _check_size(math.prod(shape) * dtype.itemsize)
        if dtype.hasobject:
            raise ValueError("it holds objects of Python, which are never read")
    with zipfile.ZipFile(file) as archive, archive.open(f"{name}.npy") as stream:
        found: npt.NDArray[Any] = npy.read_array(stream, allow_pickle=False)
    return found


def _idx(file: Path) -> npt.NDArray[np.uint8]:
    """Read an `idx` file: yann.lecun.com/exdb/mnist says how it is made."""
    with file.open("rb") as plain:
        is_packed = plain.read(2) == b"\x1f\x8b"
    with gzip.open(file) if is_packed else file.open("rb") as stream:
        head = stream.read(4)
        if len(head) < 4 or head[:3] != b"\0\0\x08" or head[3] not in (1, 3, 4):
            raise ValueError("it does not begin as an idx file of bytes does")
        sizes = stream.read(4 * head[3])
        shape = [int(size) for size in np.frombuffer(sizes, ">u4")]
        if len(shape) != head[3]:
            raise ValueError("it ends within its head")
        _check_size(math.prod(shape))
        content = stream.read(math.prod(shape) + 1)
    if len(content) != math.prod(shape):
        raise ValueError(
            f"it promises {' x '.join(map(str, shape))} bytes and has not so many"
        )
    return np.frombuffer(content, np.uint8).reshape(shape)


def _check_size(size: int) -> None:
    if size > LARGEST:
        raise ValueError(f"an array of it would take {size:,} bytes")
