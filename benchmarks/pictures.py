"""Images in memory, as an evaluation sees a dataset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from repro.data.dataset import Dataset
from repro.data.geometry import Pixels, planar_pixels
from repro.engine.guarding import Images
from repro.published import parse_geometry

Counts = npt.NDArray[np.int64]
#: How far an embedded photograph is moved, and how much each pixel is changed.
_MOVED, _CHANGED = 2, 12
_PHOTOGRAPHS = ".jpg", ".jpeg"
#: Of a photograph before it is cropped.
_SIDE = 256


def drawn_dataset(labels: Counts, classes: int) -> Dataset:
    """Describe images that are in memory only.

    Args:
        labels: of each image, ascending: int64 `[N]`.
        classes: how many there are.
    """
    number = len(labels)
    return Dataset(
        name="drawn",
        root=Path(),
        classes=tuple(map(str, range(classes))),
        files=tuple(map(str, range(number))),
        digests=tuple(f"{image:032x}" for image in range(number)),
        sizes=(1,) * number,
        labels=labels,
    )


def in_memory(pixels: Pixels, labels: Counts, classes: int) -> Images:
    """Give images `[N, 3, H, W]` with labels `[N]`, stratum by stratum."""
    order = np.argsort(labels, kind="stable")
    ordered = pixels[order]
    dataset = drawn_dataset(labels[order], classes)

    def some(strata: Sequence[int]) -> Iterator[tuple[int, Pixels]]:
        for number in strata:
            yield number, ordered[dataset.strata[number]]

    return Images(dataset, range(len(dataset.strata)), some)


def photographs(folder: Path, number: int) -> Pixels:
    """Give photographs of a folder: uint8 `[N, 3, 256, 256]`."""
    geometry = parse_geometry(f"rgb|resize({_SIDE},bilinear)|center_crop({_SIDE})")
    files = sorted(f for f in folder.rglob("*") if f.suffix.lower() in _PHOTOGRAPHS)
    pixels = np.empty((min(number, len(files)), 3, _SIDE, _SIDE), np.uint8)
    for file, output in zip(files, pixels, strict=False):
        planar_pixels(file, [geometry], [output])
    return pixels


def ten_crops(pixels: Pixels, side: int = 224) -> Images:
    """Crop images in the middle and at each corner, and flip each of these.

    The first of the ten crops of a class is the one in the middle.

    Args:
        pixels: of images, each a class of its own: `[N, 3, H, W]`.
        side: of a crop.
    """
    end, middle = pixels.shape[-1] - side, (pixels.shape[-1] - side) // 2
    corners = [(top, left) for top in (0, end) for left in (0, end)]
    crops = [
        pixels[:, :, top : top + side, left : left + side]
        for top, left in [(middle, middle), *corners]
    ]
    both = np.concatenate([*crops, *(crop[..., ::-1] for crop in crops)])
    return in_memory(both, np.tile(np.arange(len(pixels)), 10), len(pixels))


def varied(images: Images, number: int) -> Images:
    """Make more images of some: themselves, and copies that are moved and noisy."""
    parts = list(images.pixels(images.numbers))
    members = np.concatenate([images.dataset.strata[stratum] for stratum, _ in parts])
    pixels = np.concatenate([np.asarray(found) for _, found in parts])
    labels = images.dataset.labels[members]
    random = np.random.default_rng(0)
    copies = [pixels]
    while sum(map(len, copies)) < number:
        across, down = random.integers(-_MOVED, _MOVED + 1, 2).tolist()
        moved = np.roll(pixels, (down, across), (2, 3)).astype(np.int16)
        moved += random.integers(-_CHANGED, _CHANGED + 1, moved.shape, dtype=np.int16)
        copies.append(moved.clip(0, 255).astype(np.uint8))
    repeated = np.tile(labels, len(copies))[:number]
    classes = len(images.dataset.classes)
    return in_memory(np.concatenate(copies)[:number], repeated, classes)
