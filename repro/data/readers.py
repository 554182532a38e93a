"""Which ways there are for images to lie: the built-in ones and those of others.

| name | images | labels |
|---|---|---|
| `tar` | `ILSVRC2012_img_val.tar`, as it is downloaded | the devkit's ground truth |
| `flat` | images in one folder | a table beside them, their own names, or the devkit |
| `packed` | `<class>/<image>` in a tar beside the folder's place | as with `folders` |
| `parquet` | `image.bytes` in shards such as `val-00000-of-00014.parquet` | `label` |
| `webdataset` | `KEY.jpg` in shards such as `val-00.tar` | `KEY.cls` or `KEY.json` |
| `labelled-arrays` | `x_test` of `.npz`, of MNIST, CIFAR ... | the array beside |
| `folders` | `<class>/<image>` | the place of the folder's name among the classes |

Another package adds one as an entry point of the group `repro.datasets`: a class, a
`Reader` (docs/extending.md).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import msgspec
from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from repro.data.class_names import is_numbered, name_classes
from repro.data.labels import list_share, set_faults
from repro.data.listing import (
    ImageLocation,
    Reader,
    image_names,
    place_in,
    read_image,
    subfolders,
)
from repro.errors import DatasetError
from repro.extensions import Extensions
from repro.published import DatasetSpec

#: Takes whatever folder has the name of the dataset, so it is asked last.
FOLDERS = "folders"

READERS = Extensions(
    "repro.datasets",
    "reader of datasets",
    DatasetError,
    {
        "tar": "repro.data.validation:TarReader",
        "packed": "repro.data.shards:PackedReader",
        "flat": "repro.data.validation:FlatReader",
        "parquet": "repro.data.parquet:ParquetReader",
        "webdataset": "repro.data.shards:WebDatasetReader",
        "labelled-arrays": "repro.data.arrays:ArrayReader",
        FOLDERS: "repro.data.folders:FolderReader",
    },
)


class Found(msgspec.Struct, frozen=True):
    """Where a dataset lies, and the name of the reader that knows how."""

    root: Path
    reader: str


@lru_cache
def find_reader(name: str) -> Reader:
    """Make the reader of a name, once a process.

    Raises:
        DatasetError: there is none, or its package cannot be imported.
    """
    reader: Reader = READERS.load(name)()
    return reader


def find_images(spec: DatasetSpec, data: Path) -> Found | None:
    """Find a dataset: below a data folder, or that folder or file itself.

    Raises:
        DatasetError: a folder, or a reader of another package, cannot be read.
    """
    names = sorted(READERS.names(), key=lambda name: name == FOLDERS)
    for name in names:
        if (root := find_reader(name).find(spec, data)) is not None:
            return Found(root, name)
    return None


def suppose_images(spec: DatasetSpec, path: Path) -> Found:
    """Take a path for a dataset, whether it looks like one or not."""
    root = below if (below := path / spec.folder).exists() else path
    return find_images(spec, path) or Found(root, "tar" if root.is_file() else FOLDERS)


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


#: Formats whose files tell the classes.
_TELLING = ("labelled-arrays", "parquet", "webdataset")


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
    # What reads them asks for a dataset, whose classes are not known yet.
    spec = DatasetSpec(
        id="new", title=place.name, folder=place.name, classes=("any",), images=1
    )
    for reader in map(find_reader, _TELLING):
        root = reader.find(spec, place if place.is_file() else place.parent)
        told = reader.labels(spec, root) if root in (place, place / "data") else None
        if root is not None and told is not None:
            labels, names = told
            classes = tuple(names) or _in_order(labels)
            known = msgspec.structs.replace(spec, classes=classes)
            listing = reader.list(known, root, root)
            places = [place_in(root, image) for image in listing.all()]
            return Outline(classes, len(places), common_size(places))
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


def _in_order(labels: Sequence[str]) -> tuple[str, ...]:
    """Give the classes of some labels; numbers count from 0, with those between."""
    if not is_numbered(labels):
        return tuple(sorted(set(labels)))
    return tuple(map(str, range(max(map(int, labels)) + 1)))
