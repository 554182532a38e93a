"""Synthetic digits: drawn from the fonts that matplotlib ships, then distorted."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.ft2font import FT2Font
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from scipy.ndimage import map_coordinates

from embedded_release.digits import CLASSES
from embedded_release.recipes import CLASS_NAMES
from embedded_release.rendering import Mask

CANVAS = 72
FONT_SIZE = 48
WOBBLE = 1.5
BICUBIC = Image.Resampling.BICUBIC


@cache
def fonts_with_digits() -> tuple[Path, ...]:
    """Find the fonts that draw digits at the digits' code points, sorted by name."""
    folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
    return tuple(file for file in sorted(folder.glob("*.ttf")) if _draws_digits(file))


def _draws_digits(file: Path) -> bool:
    # Having the code points is not enough: mathematical fonts put arrows there.
    font = FT2Font(str(file))
    glyphs = font.get_charmap()
    return all(
        ord(digit) in glyphs and font.get_glyph_name(glyphs[ord(digit)]) == name
        for digit, name in zip(CLASSES, CLASS_NAMES, strict=True)
    )


@cache
def _open_font(file: Path) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(file), FONT_SIZE)


def _distortion(rng: np.random.Generator) -> tuple[float, ...]:
    """Draw the six numbers of an affine map about the middle of the canvas."""
    angle = math.radians(rng.uniform(-12, 12))
    shear = rng.uniform(-0.2, 0.2)
    cos, sin = math.cos(angle), math.sin(angle)
    matrix = np.array([[cos, -sin], [sin, cos]]) @ np.array([[1, shear], [0, 1]])
    middle = np.full(2, CANVAS / 2)
    offset = middle - matrix @ middle
    return (*matrix[0], offset[0], *matrix[1], offset[1])


def draw_digit(label: int, rng: np.random.Generator) -> Mask:
    """Draw a digit in a random font and distortion: ink between 0 and 1, `[h, w]`."""
    fonts = fonts_with_digits()
    font = _open_font(fonts[rng.integers(len(fonts))])
    page = Image.new("L", (CANVAS, CANVAS))
    ImageDraw.Draw(page).text(
        (CANVAS / 2, CANVAS / 2),
        str(label),
        fill=255,
        font=font,
        anchor="mm",
        stroke_width=int(rng.integers(0, 3)),
    )
    affine = Image.Transform.AFFINE
    page = page.transform(page.size, affine, _distortion(rng), BICUBIC)
    return _crop_to_ink(_wobble(page, rng), rng)


def _wobble(page: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Bend the strokes as an unsteady hand would."""
    shifts = rng.normal(0, WOBBLE, size=(2, 4, 4)).astype(np.float32)
    fields = [
        np.asarray(Image.fromarray(shift).resize(page.size, BICUBIC))
        for shift in shifts
    ]
    places = np.indices((CANVAS, CANVAS)) + np.stack(fields)
    return Image.fromarray(map_coordinates(np.asarray(page), places, order=1))


def _crop_to_ink(page: Image.Image, rng: np.random.Generator) -> Mask:
    """Cut out the digit with a random margin on each side and blur it."""
    box = page.getbbox()
    if box is None:
        raise RuntimeError("a font drew a digit without ink")
    left, top, right, bottom = box
    # A narrow digit keeps some of its narrowness when it is scaled to a square.
    slack = max(0, (bottom - top) - (right - left)) / 2 * rng.uniform(0, 1)
    margin = rng.uniform(0, 0.08, size=4) * (bottom - top)
    page = page.crop(
        (
            round(left - slack - margin[0]),
            round(top - margin[1]),
            round(right + slack + margin[2]),
            round(bottom + margin[3]),
        )
    )
    page = page.filter(ImageFilter.GaussianBlur(rng.uniform(1.0, 3.0)))
    ink = np.asarray(page, dtype=np.float32)
    return np.asarray(ink / ink.max(), dtype=np.float32)
