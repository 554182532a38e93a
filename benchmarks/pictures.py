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


def photographs(folder: Path, number: int) -> Images:
    """Give photographs of a folder as a ViT sees them, each a class of its own."""
    geometry = parse_geometry("rgb|resize(256,bilinear)|center_crop(224)")
    files = sorted(f for f in folder.rglob("*") if f.suffix.lower() in _PHOTOGRAPHS)
    pixels = np.empty((min(number, len(files)), 3, 224, 224), np.uint8)
    for file, output in zip(files, pixels, strict=False):
        planar_pixels(file, [geometry], [output])
    return in_memory(pixels, np.arange(len(pixels)), len(pixels))


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
