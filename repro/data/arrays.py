"""Small images in arrays, with labels beside them, as MNIST, CIFAR, SVHN and STL-10.

Images are bytes of 0 to 255. Each is given to Pillow as a PPM, or in grey as a PGM, of
its own, which has the same pixels.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from repro.data.array_files import (
    ArrayPlace,
    Arrays,
    has_arrays,
    label_names,
    read_array,
    sets_in,
)
from repro.data.class_names import is_numbered
from repro.data.label_tables import understand_named_labels
from repro.data.listing import Image, Listing, Reader, by_class, subfolders
from repro.errors import DatasetError
from repro.files import stamp_of
from repro.published import DatasetSpec
from repro.words import counted, listed

_ALIKE = {
    **{"t10k": "test", "validation": "val", "valid": "val", "testing": "test"},
    "extra": "train",
}


class Row(msgspec.Struct, frozen=True):
    """An image that is a row of an array."""

    array: ArrayPlace
    number: int

    def __str__(self) -> str:
        return f"{self.array}[{self.number}]"

    def read(self) -> bytes:
        """Write it as a PPM or PGM."""
        try:
            pixels = _images(self.array)[self.number]
        except (DatasetError, IndexError) as error:
            raise OSError(f"{error}") from error
        height, width = pixels.shape[:2]
        kind = "P6" if pixels.ndim == 3 else "P5"
        content: bytes = pixels.tobytes()
        return f"{kind} {width} {height} 255\n".encode() + content


class ArrayReader(Reader):
    """`x_test` and `y_test` of a `.npz`, `test_batch`, `t10k-images-idx3-ubyte`, ..."""

    def find(self, spec: DatasetSpec, data: Path) -> Path | None:
        """Find the file of the images, or the folder that has one or several."""
        for place in (data, data / spec.folder):
            if place.is_file():
                return place if has_arrays(place) else None
        for folder in (data / spec.folder, data / spec.folder / "raw"):
            if not folder.is_dir() or subfolders(folder):
                continue  # Folders of classes count, whatever lies beside them.
            if any(map(_has_sets, _files(folder))):
                return folder
        return None

    def list(self, spec: DatasetSpec, root: Path, data: Path) -> Listing:
        """List the images by their labels."""
        chosen = _choose(spec.folder, root)
        file = chosen.images.file
        stamp = stamp_of(file.stat())
        images = _images(chosen.images)
        labels = _labels(chosen)
        if len(labels) != len(images):
            raise DatasetError(
                f"{file} has {counted(len(images), 'image')} and "
                f"{counted(len(labels), 'label')}; each image needs one"
            )
        texts = [str(label) for label in labels.tolist()]
        named_by = chosen.names or file
        classes, assumed = understand_named_labels(
            spec, file, list(dict.fromkeys(texts)), label_names(chosen), named_by
        )
        suffix = "ppm" if images.ndim == 4 else "pgm"
        size = math.prod(images.shape[1:])
        found: list[tuple[str, Image]] = []
        for number, text in enumerate(texts):
            name = f"{classes[text]}/{number:06}.{suffix}"
            own = msgspec.structs.replace(stamp, size=size, offset=number)
            found.append((classes[text], Image(name, own, Row(chosen.images, number))))
        how = f"in arrays, the set {chosen.name!r}" if chosen.name else "in arrays"
        said = tuple(filter(None, (chosen.note, assumed)))
        return Listing(root, how, by_class(spec, found), said)

    def labels(
        self, spec: DatasetSpec, root: Path
    ) -> tuple[Sequence[str], Sequence[str]] | None:
        """Give the labels in a file, or a folder with one, that has images too."""
        if not any(map(_has_sets, _files(root))):
            return None
        chosen = _choose(spec.folder, root)
        labels = [str(label) for label in np.unique(_labels(chosen)).tolist()]
        return labels, label_names(chosen) if is_numbered(labels) else []


def _files(place: Path) -> list[Path]:
    return sorted(filter(Path.is_file, place.iterdir())) if place.is_dir() else [place]


def _has_sets(file: Path) -> bool:
    """Whether images with labels are in it; damage is said when it is listed."""
    try:
        return bool(sets_in(file))
    except DatasetError:
        return True


def _choose(called: str, root: Path) -> Arrays:
    """Choose the set that a dataset of this folder is, or the one that is there.

    Raises:
        DatasetError: several could be meant, or there is none.
    """
    found = [arrays for file in _files(root) for arrays in sets_in(file)]
    words = re.findall(r"[a-z]+\d*", PurePath(called).name.lower())
    wanted = {_ALIKE.get(word, word) for word in words}
    named = [one for one in found if _ALIKE.get(one.name, one.name) in wanted]
    others = [one for one in found if _ALIKE.get(one.name, one.name) != "train"]
    chosen = named or others or found
    if not chosen:
        raise DatasetError(
            f"{root} has no images with labels; they are called x_test and y_test, "
            "test_images and test_labels, or images and labels"
        )
    first, *more = chosen
    if not more:
        return first
    several = [one.images.name or one.images.file.name for one in chosen]
    raise DatasetError(
        f"{root} has several sets ({listed(several)}); name the one that is meant in "
        "`folder` of the dataset, as test or val, or leave one file there"
    )


def _labels(arrays: Arrays) -> npt.NDArray[Any]:
    labels = read_array(arrays.labels)
    if labels.shape[1:] == (1,):
        labels = labels.ravel()
    if labels.dtype.kind == "S":
        labels = np.char.decode(labels, "utf-8", "replace")
    if labels.ndim != 1 or labels.dtype.kind not in "iuU":
        raise DatasetError(
            f"{arrays.labels.file}: labels are {labels.dtype} of shape "
            f"{list(labels.shape)}; they have to be one integer or name for each image"
        )
    return labels


def _images(place: ArrayPlace) -> npt.NDArray[np.uint8]:
    """Read images as `[N, H, W]` or `[N, H, W, 3]`.

    Raises:
        DatasetError: they are of another form.
    """
    array = read_array(place)
    shape = list(array.shape)
    if array.dtype != np.uint8 or array.ndim not in (3, 4):
        raise DatasetError(
            f"{place.file}: images are {array.dtype} of shape {shape}; they have to be "
            "uint8, from 0 to 255, of shape [N, H, W], [N, H, W, 3] or [N, 3, H, W]"
        )
    if array.ndim == 3:
        return array
    _, first, _, last = shape
    if last == 1:
        return array.squeeze(3)
    if first == 1:
        return array.squeeze(1)
    if (first == 3) == (last == 3):
        raise DatasetError(
            f"{place.file}: images are of shape {shape}, which does not tell where the "
            "three channels are; write them as [N, H, W, 3]"
        )
    return array if last == 3 else array.transpose(0, 2, 3, 1)
