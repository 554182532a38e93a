"""Files of arrays: which images with labels they hold, read without running anything.

| file | of |
|---|---|
| `.npz` | NumPy, with `x_test` and `y_test` or other usual names |
| `t10k-images-idx3-ubyte`, also `.gz` | MNIST, with its labels beside it |
| `test_batch`, `test` | CIFAR-10 and CIFAR-100, as pickles |
| `test_32x32.mat` | SVHN, of MATLAB 5 to 7.2 |
| `test_X.bin` | STL-10, with `test_y.bin` beside it |
"""

from __future__ import annotations

import contextlib
import gzip
import math
import mmap
import re
import zipfile
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from repro.errors import DatasetError
from repro.files import UNREADABLE, Stamp, stamp_of
from repro.stored.arrays import check_size, read_member, read_variable, variables
from repro.stored.pickles import Unread, read_pickle
from repro.stored.tensors import Table

Array = npt.NDArray[Any]
#: Bytes of an array; more is no set of small images, and has to fit into memory.
LARGEST = 2_000_000_000
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


class ArrayPlace(msgspec.Struct, frozen=True):
    """Where an array is: a file, and its name there if the file has several."""

    file: Path
    name: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.name}" if self.name else str(self.file)


class Arrays(msgspec.Struct, frozen=True):
    """A set of images by its name, and the places of images, labels and their names.

    `note` says what was done to labels that are no numbers from 0 in the file.
    """

    name: str
    images: ArrayPlace
    labels: ArrayPlace
    names: Path | None = None
    note: str = ""


class _Format(msgspec.Struct, frozen=True):
    """A kind of file: its name, the sets in it, and how an array of it is read."""

    pattern: re.Pattern[str]
    sets: Callable[[Path, re.Match[str]], Iterator[Arrays]]
    read: Callable[[Path, str], Array]
    begins: bytes = b""


def has_arrays(file: Path) -> bool:
    """Whether a file is of a kind that holds arrays, by its name and first bytes."""
    return _format_of(file) is not None


def sets_in(file: Path) -> list[Arrays]:
    """List the sets of images with labels that a file holds.

    Raises:
        DatasetError: it is damaged, or lacks its labels.
    """
    found = _format_of(file)
    if found is None:
        return []
    format_, match = found
    with explained(file):
        return list(format_.sets(file, match))


def read_array(place: ArrayPlace) -> Array:
    """Read an array.

    Raises:
        DatasetError: it is damaged, too large, or made of Python's objects.
    """
    with explained(place.file):
        return _read_array(place, stamp_of(place.file.stat()))


def label_names(arrays: Arrays) -> list[str]:
    """Read what a set calls its labels, in their order; nothing where it does not.

    Raises:
        DatasetError: the file that says it is damaged.
    """
    if arrays.names is None:
        return []
    with explained(arrays.names):
        if arrays.names.suffix == ".txt":
            return arrays.names.read_text("utf-8").split()
        found = _entry(_table(arrays.names), "fine_label_names", "label_names")
        return [_text(name) for name in found]


@contextlib.contextmanager
def explained(file: Path) -> Iterator[None]:
    """Make what a damaged file raises a sentence about it.

    Raises:
        DatasetError: something was raised.
    """
    try:
        yield
    # What a pickle says of an array can be of any type.
    except (*UNREADABLE, KeyError, TypeError, MemoryError) as error:
        raise DatasetError(
            f"{file} cannot be read as arrays of images: {error}"
        ) from error


def _format_of(file: Path) -> tuple[_Format, re.Match[str]] | None:
    for format_ in _FORMATS:
        if not (match := format_.pattern.fullmatch(file.name)) or not file.is_file():
            continue
        with contextlib.suppress(OSError), file.open("rb") as stream:
            if stream.read(len(format_.begins)) == format_.begins:
                return format_, match
    return None


# By the stamp: what was written to since is another file.
@lru_cache(maxsize=4)
def _read_array(place: ArrayPlace, stamp: Stamp) -> Array:
    if (found := _format_of(place.file)) is None:
        # Labels beside images have names of their own.
        reads = (_read_idx, _read_stl_labels)
        return reads[place.file.suffix == ".bin"](place.file, place.name)
    return found[0].read(place.file, place.name)


def _beside(file: Path, *names: str) -> Path:
    there = next((o for name in names if (o := file.with_name(name)).is_file()), None)
    if there is None:
        raise DatasetError(f"{file} needs {names[0]} beside it, which is not there")
    return there


# NumPy --------------------------------------------------------------------------------


def _npz_sets(file: Path, _: re.Match[str]) -> Iterator[Arrays]:
    with zipfile.ZipFile(file) as archive:
        names = {name.removesuffix(".npy") for name in archive.namelist()}
    for images, labels in _NAMES:
        for set_ in _SETS if "{}" in images else ("",):
            pair = images.format(set_), labels.format(set_)
            if names.issuperset(pair):
                places = [ArrayPlace(file, name) for name in pair]
                yield Arrays(set_, places[0], places[1])


def _read_npz(file: Path, name: str) -> Array:
    with zipfile.ZipFile(file) as archive:
        return read_member(archive, name, LARGEST)


# MNIST --------------------------------------------------------------------------------


def _idx_sets(file: Path, match: re.Match[str]) -> Iterator[Arrays]:
    labels = file.name.replace("images", "labels").replace("idx3", "idx1")
    labels = labels.replace("idx4", "idx1")
    beside = _beside(file, labels, labels.removesuffix(".gz"))
    yield Arrays(match["set"].lower(), ArrayPlace(file), ArrayPlace(beside))


def _read_idx(file: Path, _: str) -> npt.NDArray[np.uint8]:
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
        check_size(math.prod(shape), LARGEST)
        # One byte more: a file that goes on is not the one that its head describes.
        content = stream.read(math.prod(shape) + 1)
    if len(content) != math.prod(shape):
        raise ValueError(
            f"it promises {' x '.join(map(str, shape))} bytes and has not so many"
        )
    return np.frombuffer(content, np.uint8).reshape(shape)


# CIFAR --------------------------------------------------------------------------------


def _batch_sets(file: Path, match: re.Match[str]) -> Iterator[Arrays]:
    places = ArrayPlace(file, "data"), ArrayPlace(file, "labels")
    metas = (file.with_name(name) for name in ("batches.meta", "meta"))
    is_train = match["set"] == "data"
    name = "train" if is_train else match["set"]
    yield Arrays(name, *places, next(filter(Path.is_file, metas), None))


def _read_batch(file: Path, name: str) -> Array:
    """Read images `[N, 32, 32, 3]` or labels of a pickle, which is not unpickled."""
    table = _table(file)
    if name == "labels":
        found = _entry(table, "fine_labels", "labels")
        if not isinstance(found, list) or not all(type(n) is int for n in found):
            raise ValueError("its labels are no list of integers")
        return np.array(found, dtype=np.int64)
    rows = _bytes_of_array(_entry(table, "data"))
    if rows.ndim != 2 or rows.shape[1] % 3:
        raise ValueError(f"its data is of shape {list(rows.shape)}, not [N, 3 x H x W]")
    side = math.isqrt(rows.shape[1] // 3)
    return rows.reshape(-1, 3, side, side).transpose(0, 2, 3, 1)


def _table(file: Path) -> Table:
    if file.stat().st_size > LARGEST:
        raise ValueError(f"it has {file.stat().st_size:,} bytes")
    # Of mapped memory nothing is reserved for what a pickle only promises.
    with file.open("rb") as opened:
        mapped: Any = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
        with mapped as stream:
            content = read_pickle(stream).content
    if not isinstance(content, Table):
        raise ValueError("its pickle is no dictionary")
    return content


def _entry(table: Table, *names: str) -> Any:
    """Give an entry by its name, which is text or, of Python 2, bytes."""
    for name in names:
        for key in (name, name.encode()):
            if key in table:
                return table[key]
    raise ValueError(f"its dictionary has no {names[-1]!r}")


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _bytes_of_array(value: Any) -> npt.NDArray[np.uint8]:
    """Take the bytes of an array of uint8 as NumPy pickles it."""
    shape: Any = None
    dtype: Any = None
    content: Any = b""
    in_columns: Any = None
    if isinstance(value, Unread) and value.of.module.startswith("numpy."):
        if value.of.name == "_reconstruct" and isinstance(value.state, tuple):
            _, shape, dtype, in_columns, content = value.state
        elif value.of.name == "_frombuffer":
            content, dtype, shape, order = value.arguments
            in_columns = order == "F"
    is_dtype = isinstance(dtype, Unread) and str(dtype.of) == "numpy.dtype"
    if not is_dtype or dtype.arguments[:1] not in [("u1",), ("|u1",)]:
        raise ValueError("its data is no array of uint8")
    # What Python 2 wrote are bytes that were read as text.
    content = content.encode("latin-1") if isinstance(content, str) else content
    found = np.frombuffer(content, np.uint8)
    return found.reshape(shape, order="F" if in_columns else "C")


# SVHN ---------------------------------------------------------------------------------


def _mat_sets(file: Path, match: re.Match[str]) -> Iterator[Arrays]:
    if {"X", "y"} <= variables(file, LARGEST).keys():
        tens = _counts_to_ten(read_variable(file, "y", LARGEST))
        note = f"label 10 of {file} taken as 0, as SVHN writes that digit" * tens
        places = ArrayPlace(file, "X"), ArrayPlace(file, "y")
        yield Arrays(match["set"].lower(), *places, note=note)


def _read_mat(file: Path, name: str) -> Array:
    """Read images `[N, H, W, 3]`, which come last in the file, or labels."""
    found = read_variable(file, name, LARGEST)
    if name == "X":
        return np.moveaxis(found, -1, 0)
    return np.where(found == 10, 0, found) if _counts_to_ten(found) else found


def _counts_to_ten(labels: Array) -> bool:
    return bool(labels.size) and int(labels.min()) > 0 and int(labels.max()) == 10


# STL-10 -------------------------------------------------------------------------------


def _stl_sets(file: Path, match: re.Match[str]) -> Iterator[Arrays]:
    if match["set"] == "unlabeled":
        return
    labels = _beside(file, f"{match['set']}_y.bin")
    names = file.with_name("class_names.txt")
    places = ArrayPlace(file), ArrayPlace(labels)
    yield Arrays(match["set"].lower(), *places, names if names.is_file() else None)


def _read_stl(file: Path, _: str) -> npt.NDArray[np.uint8]:
    """Read images of 96 x 96, each plane column after column."""
    check_size(file.stat().st_size, LARGEST)
    content = np.fromfile(file, np.uint8)
    if content.size % (3 * 96 * 96):
        raise ValueError(f"its {content.size:,} bytes are no images of 96 x 96 x 3")
    return content.reshape(-1, 3, 96, 96).transpose(0, 3, 2, 1)


def _read_stl_labels(file: Path, _: str) -> npt.NDArray[np.int64]:
    """Read labels, which are numbers from 1 there."""
    check_size(file.stat().st_size, LARGEST)
    return np.fromfile(file, np.uint8).astype(np.int64) - 1


_FORMATS = (
    _Format(re.compile(r".*\.npz"), _npz_sets, _read_npz),
    _Format(
        re.compile(r"(?P<set>.*?)[-_.]?images[-.]idx[34][-.]ubyte(\.gz)?"),
        _idx_sets,
        _read_idx,
    ),
    _Format(
        re.compile(r"(?P<set>test|train|val|data)(_batch(_\d+)?)?"),
        _batch_sets,
        _read_batch,
        b"\x80",
    ),
    _Format(re.compile(r"(?P<set>.*?)(_32x32)?\.mat"), _mat_sets, _read_mat),
    _Format(re.compile(r"(?P<set>.*)_X\.bin"), _stl_sets, _read_stl),
)
