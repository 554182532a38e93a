"""Turn a mask of ink into a small colour photograph of a digit on ruled paper.

Each ingredient makes one mistake in a protocol visible in the accuracy: the fine
grain shows another interpolation or a missing antialias, the ruled lines (warm,
where the ink is cold) show swapped colour channels, and paper and ink of nearly
constant brightness show another mean or standard deviation.
"""

from __future__ import annotations

import io
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

Mask: TypeAlias = npt.NDArray[np.float32]
Pixels: TypeAlias = npt.NDArray[np.uint8]

PAPER = np.array([238.0, 226.0, 196.0])
INK = np.array([38.0, 58.0, 142.0])
RULE = np.array([206.0, 92.0, 52.0])
SIDES = (48, 80)
GRAIN = 20.0
JPEG_QUALITY = 68


def draw_canvas_size(rng: np.random.Generator) -> tuple[int, int]:
    """Draw a width and a height in pixels that are never equal."""
    width, height = rng.integers(SIDES[0], SIDES[1] + 1, size=2)
    while width == height:
        height = rng.integers(SIDES[0], SIDES[1] + 1)
    return int(width), int(height)


def place_on_canvas(digit: Mask, rng: np.random.Generator) -> Mask:
    """Scale a digit to a canvas of random size and put it near the middle.

    Args:
        digit: ink between 0 and 1, `[h, w]`, any size.
        rng: draws canvas size, scale and offset.

    Returns:
        Ink between 0 and 1 on the canvas, `[H, W]`.
    """
    width, height = draw_canvas_size(rng)
    side = min(width, height)
    box = np.rint(side * rng.uniform(0.78, 0.94, size=2)).astype(int)
    scaled = Image.fromarray(digit).resize(tuple(box), Image.Resampling.BICUBIC)
    shift = rng.uniform(-0.06, 0.06, size=2) * side
    left = int(np.clip((width - box[0]) / 2 + shift[0], 0, width - box[0]))
    top = int(np.clip((height - box[1]) / 2 + shift[1], 0, height - box[1]))
    canvas = np.zeros((height, width), dtype=np.float32)
    canvas[top : top + box[1], left : left + box[0]] = np.asarray(scaled)
    return canvas.clip(0, 1)


def draw_rules(height: int, width: int, rng: np.random.Generator) -> Mask:
    """Draw parallel ruled lines, across or down, `[H, W]` between 0 and 1."""
    across = rng.random() < 0.5
    length = height if across else width
    spacing = rng.uniform(0.16, 0.28) * length
    distance = (np.arange(length) - rng.uniform(0, spacing)) % spacing
    line = (distance < rng.uniform(1.6, 3.2)).astype(np.float32)
    line = line[:, None] if across else line[None, :]
    return np.broadcast_to(line, (height, width)) * np.float32(rng.uniform(0.6, 0.95))


def ink_on_paper(ink: Mask, rng: np.random.Generator) -> Pixels:
    """Colour a mask of ink, `[H, W]` between 0 and 1, as RGB pixels `[H, W, 3]`."""
    height, width = ink.shape
    paper = PAPER + rng.normal(0, 6, size=3)
    pen = INK + rng.normal(0, 12, size=3)
    rules = draw_rules(height, width, rng)[..., None]
    grain = rng.normal(0, GRAIN, size=(height, width, 1))
    picture = paper + (RULE + rng.normal(0, 8, size=3) - paper) * rules + grain
    strength = ink[..., None] * rng.uniform(0.8, 1.0)
    picture += (pen - picture) * strength
    return np.rint(picture).clip(0, 255).astype(np.uint8)


def photograph(digit: Mask, rng: np.random.Generator) -> bytes:
    """Render a digit of ink, `[h, w]` between 0 and 1, as the bytes of a JPEG."""
    pixels = ink_on_paper(place_on_canvas(digit, rng), rng)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return file.getvalue()
