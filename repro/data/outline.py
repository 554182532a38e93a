"""What images with labels tell by themselves, before anybody has said what they are."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from repro.data.arrays import array_outline
from repro.data.class_names import is_numbered
from repro.data.listing import Image, Reader, place_in
from repro.data.parquet import ParquetReader, parquet_labels
from repro.data.places import ImageLocation, read_image
from repro.data.webdataset import WebDatasetReader, webdataset_labels
from repro.errors import DatasetError
from repro.published import DatasetSpec

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
