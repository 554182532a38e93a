"""The images that suspects are tried on: order, pixels, and what files give away."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import PurePath
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from repro.data.dataset import Dataset
from repro.data.geometry import Pixels, decode, transform
from repro.data.listing import ImageLocation, read_image
from repro.diagnosis.setup import View
from repro.evaluation.predictions import Predictions
from repro.published import CenterCrop, DatasetSpec, Geometry, Resize
from repro.published.geometry import Step

Indices = npt.NDArray[np.int64]


class PixelSource:
    """Decodes chosen images of a dataset, and keeps those that many suspects share.

    Args:
        dataset: whose images.
        threads: how many threads decode.
    """

    def __init__(self, dataset: Dataset, threads: int) -> None:
        self._dataset = dataset
        self._threads = threads
        self._kept: tuple[View, dict[int, Pixels]] | None = None

    def pixels(self, members: Indices, view: View, *, keep: bool = True) -> Pixels:
        """Give the pixels of some images: uint8 `[N, 3, H, W]`.

        Of a view of several crops `[N, crops, 3, H, W]`.

        Args:
            members: positions in the dataset.
            view: how they become pixels.
            keep: whether to remember them; those of the first view are, which is that
                of the protocol and so of most suspects.

        Raises:
            DatasetError: an image cannot be decoded.
        """
        if keep and self._kept is None:
            self._kept = view, {}
        kept = self._kept[1] if self._kept and self._kept[0] == view else {}
        size = self._dataset.size_in(view.geometry)
        crops = (view.crops,) if view.crops > 1 else ()
        pixels = np.empty((len(members), *crops, 3, *size), dtype=np.uint8)

        def fill(row: int) -> None:
            index = int(members[row])
            if index in kept:
                pixels[row] = kept[index]
            else:
                _write(self._dataset, index, view, pixels[row])

        with ThreadPoolExecutor(self._threads, "repro-decode") as pool:
            list(pool.map(fill, range(len(members))))
        if keep:
            kept |= dict(zip(members.tolist(), pixels, strict=True))
        return pixels


def _write(dataset: Dataset, index: int, view: View, output: Pixels) -> None:
    """Decode an image and write its pixels, uint8 `[3, H, W]`, or of several crops."""
    geometry = view.geometry
    if view.is_plain:
        dataset.planar_pixels(index, [geometry], [output])
        return
    resize, *rest = geometry.steps
    assert isinstance(resize, Resize)
    place = dataset.place(index), dataset.digests[index]
    image = _drafted(*place, resize) if view.draft else decode(*place)
    steps: tuple[Step, ...] = geometry.steps
    if view.crop_first is not None:
        image = _middle(image, view.crop_first)
        height, width = geometry.output_size
        steps = (Resize(height, width, resize.filter),)
    elif view.by_area:
        image = _resized_by_area(image, resize)
        steps = tuple(rest)
    elif view.crops > 1:
        image = transform(image, Geometry((resize,), geometry.is_grey))
        crops = _crops(image, geometry, view.crops)
        output[:] = np.stack([_planes(crop) for crop in crops])
        return
    output[:] = _planes(transform(image, Geometry(steps, geometry.is_grey)))


def _planes(image: Image.Image) -> Pixels:
    return np.asarray(image).transpose(2, 0, 1)


def _drafted(place: ImageLocation, digest: str, resize: Resize) -> Image.Image:
    """Decode a photograph at the smallest fraction that the resize does not enlarge."""
    with Image.open(io.BytesIO(read_image(place, digest))) as image:
        image.draft("RGB", (resize.width or resize.height, resize.height))
        return image.convert("RGB")


def _crops(
    image: Image.Image, geometry: Geometry, number: int
) -> Iterator[Image.Image]:
    """Cut out corners and middle, of the mirrored image too where these are ten.

    As torchvision's `five_crop` and `ten_crop`: the middle of a mirrored image is not
    always the mirrored middle.
    """
    height, width = geometry.output_size
    middle = Geometry(geometry.steps[1:])
    for whole in (image, ImageOps.mirror(image))[: number // 5]:
        for top in (0, whole.height - height):
            for left in (0, whole.width - width):
                yield whole.crop((left, top, left + width, top + height))
        yield transform(whole, middle)


def _middle(image: Image.Image, share: float) -> Image.Image:
    """Cut out the middle of an image, that share of both sides."""
    width, height = (round(share * side) for side in image.size)
    step = CenterCrop(height, width)
    return transform(image, Geometry((step,)))


def _resized_by_area(image: Image.Image, resize: Resize) -> Image.Image:
    """Give each new pixel the mean over the area that it covers, as OpenCV does."""
    short = min(image.size)
    sides = image.height, image.width
    if resize.width is not None:
        new = resize.height, resize.width
    else:
        height, width = (int(resize.height * side / short) for side in sides)
        new = height, width
    rows, columns = (_covering(a, b) for a, b in zip(sides, new, strict=True))
    found = np.einsum("yh,hwc,xw->yxc", rows, np.asarray(image), columns, optimize=True)
    return Image.fromarray(np.rint(found).astype(np.uint8))


@lru_cache(maxsize=256)
def _covering(old: int, new: int) -> npt.NDArray[np.float64]:
    """Give the share of each new pixel that each old one covers: `[new, old]`."""
    edges = np.arange(new + 1) * old / new
    places = np.arange(old)
    ends = np.minimum(edges[1:, None], places + 1)
    begins = np.maximum(edges[:-1, None], places)
    covered: npt.NDArray[np.float64] = np.clip(ends - begins, 0, None) * new / old
    return covered


def spread_order(run: Predictions) -> Indices:
    """Order the images of a run so that every beginning has easy and hard ones alike.

    Sorted by their loss, they are taken in the order of van der Corput's sequence,
    shifted by a fixed draw: a systematic sample, whose estimates err less than those of
    a random one where hard images change more than easy ones (Cochran, Sampling
    Techniques, 1977, chapter 8).

    Args:
        run: predictions of the images.

    Returns:
        Positions in the dataset, int64 `[N]`.
    """
    ranks = np.argsort(np.argsort(run.losses, kind="stable"), kind="stable")
    bits = max(1, int(len(ranks) - 1).bit_length())
    reversed_bits = np.zeros_like(ranks)
    for bit in range(bits):
        reversed_bits |= ((ranks >> bit) & 1) << (bits - 1 - bit)
    shift = int(np.random.default_rng(0).integers(1 << bits))
    return np.asarray(run.indices[np.argsort(reversed_bits ^ shift)])


def balanced_order(indices: Indices, labels: Indices) -> Indices:
    """Order images, by a fixed draw, so that every beginning is balanced over classes.

    Args:
        indices: positions in the dataset, int64 `[N]`.
        labels: of these images, int64 `[N]`.
    """
    draw = np.random.default_rng(0).random(len(indices))
    order = np.lexsort((draw, labels))
    sizes = np.bincount(labels)
    starts = np.cumsum(sizes) - sizes
    sorted_labels = labels[order]
    place = np.arange(len(order)) - starts[sorted_labels]
    share = (place + draw[order]) / sizes[sorted_labels]
    return np.asarray(indices[order[np.argsort(share, kind="stable")]])


PIXELS = ("PNG", "BMP", "PPM", "TIFF")
LOSSLESS = (".png", ".bmp", ".ppm", ".pgm", ".tif", ".tiff", ".npy", ".npz")
JPEG = (".jpg", ".jpeg")


#: Photographs of so many people do not have one size.
MANY = 16

#: A folder of training images, as people call it.
_OF_TRAINING = re.compile(r"train(ing|set)?(?![a-z])", re.IGNORECASE)


class Format(NamedTuple):
    """How images were published: as what, in files of which suffixes, and where."""

    what: str
    suffixes: tuple[str, ...]
    formats: tuple[str, ...]
    source: str


class Looked(NamedTuple):
    """What an image is: its format as Pillow names it, its width and height."""

    format: str
    size: tuple[int, int]


#: By a word that stands in the name of a dataset.
PUBLISHED_AS = {
    "cifar": Format(
        "pixels", LOSSLESS, PIXELS, "https://www.cs.toronto.edu/~kriz/cifar.html"
    ),
    "mnist": Format("pixels", LOSSLESS, PIXELS, "http://yann.lecun.com/exdb/mnist/"),
    "svhn": Format(
        "pixels", LOSSLESS, PIXELS, "http://ufldl.stanford.edu/housenumbers/"
    ),
    "imagenet": Format(
        "JPEG", JPEG, ("JPEG", "MPO"), "https://image-net.org/download.php"
    ),
}


def file_hints(
    spec: DatasetSpec, files: Sequence[str], root: PurePath
) -> Iterator[str]:
    """Say where images have another format than they were published in, or place.

    Args:
        spec: of the dataset.
        files: names of its images, here.
        root: folder that they lie in.
    """
    if _OF_TRAINING.search(root.name) and not _OF_TRAINING.search(_called(spec)):
        yield (
            f"the images lie in a folder {root.name!r}, but {spec.title} is evaluated: "
            "they may be those of training"
        )
    called = _called(spec).lower()
    for name, published in PUBLISHED_AS.items():
        suffixes = [PurePath(file).suffix.lower() for file in files]
        others = [s for s in suffixes if s and s not in published.suffixes]
        if name in called and others:
            yield (
                f"{len(others):,} of {len(files):,} images are "
                f"{', '.join(sorted(set(others)))} files, but {spec.title} was "
                f"published as {published.what} ({published.source}): they were "
                "encoded again, which moves pixels"
            )


def content_hints(spec: DatasetSpec, looked: Sequence[Looked]) -> Iterator[str]:
    """Say where the content of images tells that they are a copy that was changed.

    Args:
        spec: of the dataset.
        looked: what some of its images are.
    """
    called = _called(spec).lower()
    for name, published in PUBLISHED_AS.items():
        others = {file.format for file in looked} - set(published.formats)
        if name in called and others:
            yield (
                f"of {len(looked):,} images that were looked at, some hold "
                f"{', '.join(sorted(others))} whatever they are called, but "
                f"{spec.title} was published as {published.what} "
                f"({published.source}): they were encoded again, which moves pixels"
            )
    sides = {min(file.size) for file in looked}
    if "imagenet" in called and len(looked) >= MANY and len(sides) == 1:
        (side,) = sides
        if str(side) not in called:
            yield (
                f"all of {len(looked):,} images that were looked at have a short side "
                f"of {side} pixels: this is a copy that was resized, and another "
                "resize follows"
            )


def is_jpeg(file: str) -> bool:
    """Tell by the name of a file whether it is a JPEG."""
    return PurePath(file).suffix.lower() in JPEG


def _called(spec: DatasetSpec) -> str:
    """Give all names of a dataset."""
    return f"{spec.id} {spec.title} {spec.folder}"


def look_at(dataset: Dataset, number: int) -> list[Looked]:
    """Read from some images of a dataset, spread over it, what they are.

    Raises:
        DatasetError: one of them is missing or has changed.
    """
    chosen = np.unique(np.linspace(0, len(dataset) - 1, number).astype(int)).tolist()
    found = []
    for index in chosen:
        content = read_image(dataset.place(index), dataset.digests[index])
        with Image.open(io.BytesIO(content)) as image:
            found.append(Looked(image.format or "", image.size))
    return found
