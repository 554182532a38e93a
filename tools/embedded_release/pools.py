"""Pools of training images: rendered once, read by every training run."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from embedded_release.digits import CLASSES, Digits
from embedded_release.fonts import draw_digit
from embedded_release.recipes import PROTOCOLS, Loader, Pool
from embedded_release.rendering import photograph

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from torch import Tensor


def render_real(digits: Digits, rng: np.random.Generator) -> Iterable[bytes]:
    """Photograph each handwritten digit once."""
    return (photograph(mask, rng) for mask in digits.masks)


def render_synthetic(count: int, rng: np.random.Generator) -> Iterable[bytes]:
    """Photograph `count` drawn digits, the classes taking turns."""
    return (
        photograph(draw_digit(number % len(CLASSES), rng), rng)
        for number in range(count)
    )


def write_pool(
    folder: Path, pool: Pool, photographs: Iterable[bytes], labels: Iterable[int]
) -> None:
    """Keep photographs as each protocol's pixels, `[N, 3, 28, 28]`, and labels."""
    geometries = {loader: protocol.pixels() for loader, protocol in PROTOCOLS.items()}
    pixels: dict[Loader, list[np.ndarray]] = {loader: [] for loader in geometries}
    for photo in photographs:
        image = Image.open(io.BytesIO(photo)).convert("RGB")
        for loader, geometry in geometries.items():
            pixels[loader].append(np.asarray(geometry(image)).transpose(2, 0, 1))
    for loader, images in pixels.items():
        np.save(folder / f"{pool}-{loader}.npy", np.stack(images))
    np.save(folder / f"{pool}-labels.npy", np.array(labels, dtype=np.int64))


def read_pools(
    folder: Path, pools: tuple[Pool, ...], loader: Loader, size: int
) -> tuple[Tensor, Tensor]:
    """Read the first images of each pool, `size` altogether, and their labels."""
    share = size // len(pools)
    pixels, labels = [], []
    for pool in pools:
        stored = np.load(folder / f"{pool}-{loader}.npy", mmap_mode="r")
        if len(stored) < share:
            raise ValueError(f"{share} {pool} images asked for, {len(stored)} rendered")
        pixels.append(torch.from_numpy(stored[:share].copy()))
        labels.append(torch.from_numpy(np.load(folder / f"{pool}-labels.npy")[:share]))
    return torch.cat(pixels), torch.cat(labels)
