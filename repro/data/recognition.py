"""What a folder or tar of images holds: a set that was published, or none of these."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from repro.data.arrays import array_outline
from repro.data.class_names import is_numbered, name_classes
from repro.data.labels import list_share, set_faults
from repro.data.listing import (
    Image,
    ImageLocation,
    Reader,
    image_names,
    place_in,
    read_image,
    subfolders,
)
from repro.data.parquet import ParquetReader, parquet_labels
from repro.data.readers import FOLDERS, Found, find_images, suppose_images
from repro.data.shards import WebDatasetReader, webdataset_labels
from repro.errors import DatasetError
from repro.published import DatasetSpec

#: Below this part of common class names two sets have nothing to do with each other.
LEAST_COMMON = 0.5


class Recognised(msgspec.Struct, frozen=True):
    """A dataset, where it lies, and the folder that its devkit would lie in."""

    spec: DatasetSpec
    found: Found
    data: Path


def recognise(path: Path, specs: Sequence[DatasetSpec]) -> list[Recognised]:
    """List the datasets that a path holds: itself, or all those in a data folder.

    Raises:
        DatasetError: it is none of them.
    """
    lying = [(spec, find_images(spec, path)) for spec in specs]
    inside = [
        Recognised(spec, found, path)
        for spec, found in lying
        if found is not None and found.root != path
    ]
    if inside:
        return inside
    for spec, found in lying:
        # Class folders may be those of several.
        if found is not None and found.reader != FOLDERS:
            return [Recognised(spec, found, path.parent)]
    if path.is_dir() and (best := _most_alike(path, specs)):
        return [Recognised(best, suppose_images(best, path), path.parent)]
    known = ", ".join(spec.id for spec in specs)
    raise DatasetError(
        f"{path} is laid out like none of {known}: they are class folders, a folder of "
        "ILSVRC2012_val_*.JPEG, or ILSVRC2012_img_val.tar. --dataset says which one it "
        "should be"
    )


def _most_alike(path: Path, specs: Sequence[DatasetSpec]) -> DatasetSpec | None:
    folders = subfolders(path)
    found = set(folders)
    for spec in specs:
        # Where folders are called otherwise than the classes that they surely are.
        if found and not name_classes(spec, folders).unknown:
            found = set(name_classes(spec, folders).classes.values())
            break
    shares = {spec.id: _common(found, set(spec.classes)) for spec in specs}
    highest = max(shares.values(), default=0.0)
    if highest < LEAST_COMMON:
        return None
    alike = [spec for spec in specs if shares[spec.id] == highest]
    if len(alike) == 1:
        return alike[0]
    names = image_names(path, folders)

    def unlikeness(spec: DatasetSpec) -> tuple[int, float, int]:
        foreign = len(list(set_faults(spec, names)))
        return foreign, -list_share(spec, names), abs(spec.images - len(names))

    return min(alike, key=unlikeness)


def _common(one: set[str], other: set[str]) -> float:
    return len(one & other) / len(one | other)


#: So many images are opened to see whether all have one size.
OPENED = 100
#: Gives the labels of shards as they stand there, and what files call them in order.
_Labels = Callable[[DatasetSpec, Path], tuple[Sequence[str], Sequence[str]]]
_SHARDS: tuple[tuple[type[Reader], _Labels], ...] = (
    (ParquetReader, parquet_labels),
    (WebDatasetReader, webdataset_labels),
)


class Outline(msgspec.Struct, frozen=True):
    """Classes in order, how many images, and width and height if all have the same."""

    classes: tuple[str, ...]
    images: int
    size: tuple[int, int] | None


def outline(place: Path) -> Outline | None:
    """Look into arrays or shards: a file, or a folder of them; None if it is neither.

    Raises:
        DatasetError: they are damaged, or several sets could be meant.
    """
    if found := array_outline(place):
        classes = tuple(found.names) or _in_order(found.labels)
        height, width = found.size
        return Outline(classes, found.images, (width, height))
    for reader, labels_of in _SHARDS:
        # What reads shards asks for a dataset, whose classes are not known yet.
        spec = DatasetSpec(
            id="new", title=place.name, folder=place.name, classes=("any",), images=1
        )
        root = reader().find(spec, place if place.is_file() else place.parent)
        if root in (place, place / "data"):
            labels, names = labels_of(spec, root)
            classes = tuple(names) or _in_order(labels)
            return _listed(msgspec.structs.replace(spec, classes=classes), reader, root)
    return None


def common_size(places: Sequence[ImageLocation]) -> tuple[int, int] | None:
    """Give width and height where the images that are opened have the same."""
    sizes: set[tuple[int, int]] = set()
    for place in places[:: -(-len(places) // OPENED) or 1]:
        try:
            with Pillow.open(io.BytesIO(read_image(place))) as opened:
                sizes.add(opened.size)
        except (OSError, UnidentifiedImageError, DatasetError):
            continue  # Whoever decodes it says what is wrong.
    return sizes.pop() if len(sizes) == 1 else None


def _listed(spec: DatasetSpec, reader: type[Reader], root: Path) -> Outline:
    listing = reader().list(spec, root, root)
    found: list[Image] = [one for images in listing.images.values() for one in images]
    places = [place_in(root, image) for image in found]
    return Outline(spec.classes, len(found), common_size(places))


def _in_order(labels: Sequence[str]) -> tuple[str, ...]:
    """Give the classes of some labels; numbers count from 0, with those between."""
    if not is_numbered(labels):
        return tuple(sorted(set(labels)))
    return tuple(map(str, range(max(map(int, labels)) + 1)))
