"""The geometry of a protocol: how a photograph becomes uint8 pixels, as one string.

The string is also the identity of the pixels, so two protocols that write the same
geometry share their decoded images. The steps are applied from left to right:

`rgb|resize(256,bilinear)|center_crop(224)`

| step | meaning |
|---|---|
| `rgb` | decode and convert to RGB; always the first |
| `resize(S,F)` | the short side to S pixels, the long side in proportion |
| `resize(HxW,F)` | to exactly H x W pixels, whatever the proportions |
| `center_crop(S)`, `center_crop(HxW)` | the middle; black where the image is smaller |

S, H and W are pixels, 1 to 9999. F is a filter of Pillow: `nearest`, `box`, `bilinear`,
`hamming`, `bicubic`, `lanczos`. After `nearest`, `bilinear` and `bicubic`,
a third argument `no_antialias` samples the neighbourhood of the target pixel only, as
OpenCV and torch do unless asked otherwise; Pillow's own resize always filters.
"""

from __future__ import annotations

import re
from typing import Literal, get_args

import msgspec

Filter = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]

_POINT_FILTERS: tuple[Filter, ...] = ("nearest", "bilinear", "bicubic")
_STEP = re.compile(r"(?P<name>[a-z_]+)(?:\((?P<arguments>[^()]*)\))?")
_SIZE = re.compile(r"([1-9][0-9]{0,3})(?:x([1-9][0-9]{0,3}))?")
_ALLOWED = (
    "resize(S,filter), resize(HxW,filter), resize(...,no_antialias), center_crop(S), "
    "center_crop(HxW)"
)


class Resize(msgspec.Struct, frozen=True):
    """Resize to `height` x `width`, or the short side to `height` without a width."""

    height: int
    width: int | None
    filter: Filter
    antialias: bool = True

    def __str__(self) -> str:
        size = f"{self.height}x{self.width}" if self.width else str(self.height)
        suffix = "" if self.antialias else ",no_antialias"
        return f"resize({size},{self.filter}{suffix})"


class CenterCrop(msgspec.Struct, frozen=True):
    """Cut out the middle, `height` x `width` pixels."""

    height: int
    width: int

    def __str__(self) -> str:
        square = self.height == self.width
        return (
            f"center_crop({self.height if square else f'{self.height}x{self.width}'})"
        )


Step = Resize | CenterCrop


class Geometry(msgspec.Struct, frozen=True):
    """Steps from a decoded RGB photograph to the pixels that a model gets."""

    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return "|".join(["rgb", *map(str, self.steps)])

    @property
    def output_size(self) -> tuple[int, int]:
        """Height and width in pixels of every image that comes out."""
        last = self.steps[-1]
        if last.width is None:
            raise ValueError(f"{self} leaves the size to the photograph")
        return last.height, last.width


def parse_geometry(text: str) -> Geometry:
    """Read a geometry string.

    Raises:
        ValueError: a step or an argument that does not exist, or an output size that
            would depend on the photograph. The message says what is allowed.
    """
    first, *rest = (part.strip() for part in text.split("|"))
    if first != "rgb":
        raise ValueError(f"geometry {text!r} starts with {first!r}; it starts with rgb")
    if not rest:
        raise ValueError(f"geometry {text!r} has no step after rgb; use {_ALLOWED}")
    geometry = Geometry(tuple(_parse_step(part) for part in rest))
    if isinstance(last := geometry.steps[-1], Resize) and last.width is None:
        raise ValueError(
            f"geometry {text!r} gives images of different sizes: end it with "
            "center_crop(S) or resize(HxW,filter)"
        )
    return geometry


def _parse_step(text: str) -> Step:
    match = _STEP.fullmatch(text)
    name, inside = match.groups() if match else ("", None)
    arguments = [argument.strip() for argument in (inside or "").split(",")]
    if name == "resize" and len(arguments) in (2, 3):
        return _parse_resize(text, *arguments)
    if name == "center_crop" and len(arguments) == 1:
        height, width = _parse_size(text, arguments[0])
        return CenterCrop(height, width or height)
    raise ValueError(f"geometry step {text!r} is not one of {_ALLOWED}")


def _parse_resize(text: str, size: str, filter_: str, *options: str) -> Resize:
    height, width = _parse_size(text, size)
    if filter_ not in get_args(Filter):
        raise ValueError(
            f"filter {filter_!r} in geometry step {text!r} is not one of "
            f"{', '.join(get_args(Filter))}"
        )
    if options not in ((), ("no_antialias",)):
        raise ValueError(
            f"{options[0]!r} in geometry step {text!r}: the only option is no_antialias"
        )
    if options and filter_ not in _POINT_FILTERS:
        raise ValueError(
            f"geometry step {text!r}: no_antialias goes with one of "
            f"{', '.join(_POINT_FILTERS)}"
        )
    return Resize(height, width, msgspec.convert(filter_, Filter), not options)


def _parse_size(text: str, size: str) -> tuple[int, int | None]:
    match = _SIZE.fullmatch(size)
    if match is None:
        raise ValueError(
            f"size {size!r} in geometry step {text!r} is neither S nor HxW, in pixels "
            "from 1 to 9999"
        )
    height, width = match.groups()
    return int(height), int(width) if width else None
