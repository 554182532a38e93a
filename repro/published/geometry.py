"""The geometry of a protocol: how a photograph becomes uint8 pixels, as one string.

The string is also the identity of the pixels, so two protocols that write the same
geometry share their decoded images. The steps are applied from left to right:

`rgb|resize(256,bilinear)|center_crop(224)`

| step | meaning |
|---|---|
| `rgb` | decode and convert to RGB; the first, and alone: images as they are |
| `grey` | in place of `rgb`: to grey, for models with one input channel |
| `resize(S,F)` | the short side to S pixels, the long side in proportion |
| `resize(HxW,F)` | to exactly H x W pixels, whatever the proportions |
| `contain(S,F)`, `contain(HxW,F)` | in proportion, the largest that fits into H x W |
| `cover(S,F)`, `cover(HxW,F)` | in proportion, the smallest that covers H x W |
| `center_crop(S)`, `center_crop(HxW)` | the middle; black where the image is smaller |
| `center_crop(S,R,G,B)`, `center_crop(HxW,R,G,B)` | the same with another colour |

`resize(S,F)` cuts off the fraction of a pixel of the long side, as torchvision does;
`contain` and `cover` round both sides, half to even, as timm and open_clip do.

S, H and W are pixels, 1 to 9999; R, G and B are 0 to 255. F is a filter of Pillow:
`nearest`, `box`, `bilinear`, `hamming`, `bicubic`, `lanczos`. After `nearest`,
`bilinear` and `bicubic`, a third argument `no_antialias` of `resize` samples the
neighbourhood of the target pixel only, as OpenCV and torch do unless asked otherwise;
Pillow's own resize always filters.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, get_args

import msgspec

Filter = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]

_POINT_FILTERS: tuple[Filter, ...] = ("nearest", "bilinear", "bicubic")
_STEP = re.compile(r"(?P<name>[a-z_]+)(?:\((?P<arguments>[^()]*)\))?")
_SIZE = re.compile(r"([1-9][0-9]{0,3})(?:x([1-9][0-9]{0,3}))?")
_LEVEL = re.compile(r"[0-9]{1,3}", re.ASCII)
_ALLOWED = (
    "resize(S,filter), resize(HxW,filter), resize(...,no_antialias), "
    "contain(S,filter), contain(HxW,filter), cover(S,filter), cover(HxW,filter), "
    "center_crop(S), center_crop(HxW), center_crop(...,R,G,B)"
)

Colour = tuple[int, int, int]
BLACK: Colour = (0, 0, 0)


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


class _Scaled(msgspec.Struct, frozen=True):
    height: int
    width: int
    filter: Filter

    def __str__(self) -> str:
        name = type(self).__name__.lower()
        return f"{name}({_size(self.height, self.width)},{self.filter})"


class Contain(_Scaled, frozen=True):
    """Resize in proportion to the largest image that fits into `height` x `width`."""


class Cover(_Scaled, frozen=True):
    """Resize in proportion to the smallest image that covers `height` x `width`."""


class CenterCrop(msgspec.Struct, frozen=True):
    """Cut out the middle, `height` x `width` pixels; `fill` is around smaller images.

    `fill` is a colour in RGB, each 0 to 255.
    """

    height: int
    width: int
    fill: Colour = BLACK

    def __str__(self) -> str:
        colour = "" if self.fill == BLACK else ",{},{},{}".format(*self.fill)
        return f"center_crop({_size(self.height, self.width)}{colour})"


Step = Resize | Contain | Cover | CenterCrop


class Geometry(msgspec.Struct, frozen=True):
    """Steps from a decoded RGB photograph to the pixels that a model gets.

    Without steps images are used as they are, which all have one size then. `is_grey`
    says that they become grey first, and that a model gets one channel.
    """

    steps: tuple[Step, ...]
    is_grey: bool = False

    def __str__(self) -> str:
        first = "grey" if self.is_grey else "rgb"
        return "|".join([first, *map(str, self.steps)])

    @property
    def channels(self) -> int:
        """How many channels a model gets."""
        return 1 if self.is_grey else 3

    @property
    def output_size(self) -> tuple[int, int]:
        """Height and width in pixels of every image that comes out."""
        last = self.steps[-1] if self.steps else None
        if last is None or isinstance(last, Contain | Cover) or last.width is None:
            raise ValueError(f"{self} leaves the size to the photograph")
        return last.height, last.width


@lru_cache(maxsize=4096)
def parse_geometry(text: str) -> Geometry:
    """Read a geometry string.

    Raises:
        ValueError: a step or an argument that does not exist, or an output size that
            would depend on the photograph. The message says what is allowed.
    """
    first, *rest = (part.strip() for part in text.split("|"))
    if first not in {"rgb", "grey"}:
        raise ValueError(
            f"geometry {text!r} starts with {first!r}; it starts with rgb, or with "
            "grey for models with one input channel"
        )
    geometry = Geometry(tuple(_parse_step(part) for part in rest), first == "grey")
    if not rest:
        return geometry
    last = geometry.steps[-1]
    if isinstance(last, Contain | Cover) or last.width is None:
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
    if name in ("contain", "cover") and len(arguments) == 2:
        height, width = _parse_size(text, arguments[0])
        kind = Contain if name == "contain" else Cover
        return kind(height, width or height, _parse_filter(text, arguments[1]))
    if name == "center_crop" and len(arguments) in (1, 4):
        height, width = _parse_size(text, arguments[0])
        return CenterCrop(height, width or height, _parse_colour(text, arguments[1:]))
    raise ValueError(f"geometry step {text!r} is not one of {_ALLOWED}")


def _parse_resize(text: str, size: str, filter_: str, *options: str) -> Resize:
    height, width = _parse_size(text, size)
    found = _parse_filter(text, filter_)
    if options not in ((), ("no_antialias",)):
        raise ValueError(
            f"{options[0]!r} in geometry step {text!r}: the only option is no_antialias"
        )
    if options and found not in _POINT_FILTERS:
        raise ValueError(
            f"geometry step {text!r}: no_antialias goes with one of "
            f"{', '.join(_POINT_FILTERS)}"
        )
    return Resize(height, width, found, not options)


def _parse_filter(text: str, filter_: str) -> Filter:
    if filter_ not in get_args(Filter):
        raise ValueError(
            f"filter {filter_!r} in geometry step {text!r} is not one of "
            f"{', '.join(get_args(Filter))}"
        )
    found: Filter = msgspec.convert(filter_, Filter)
    return found


def _parse_colour(text: str, levels: Sequence[str]) -> Colour:
    for level in levels:
        if not _LEVEL.fullmatch(level) or int(level) > 255:
            raise ValueError(
                f"{level!r} in geometry step {text!r} is no level of a colour, 0 to 255"
            )
    if not levels:
        return BLACK
    red, green, blue = map(int, levels)
    return red, green, blue


def _parse_size(text: str, size: str) -> tuple[int, int | None]:
    match = _SIZE.fullmatch(size)
    if match is None:
        raise ValueError(
            f"size {size!r} in geometry step {text!r} is neither S nor HxW, in pixels "
            "from 1 to 9999"
        )
    height, width = match.groups()
    return int(height), int(width) if width else None


def _size(height: int, width: int) -> str:
    return str(height) if height == width else f"{height}x{width}"
