"""What a library's own evaluation transform does, as geometry, mean and std.

The functions read what the libraries say of a checkpoint and import none of them. All
assume a photograph that is RGB already: the published numbers were measured on such,
since torchvision's `ImageFolder` and timm's datasets convert when they decode. (The
transforms of open_clip alone would convert last.)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from repro.published.geometry import (
    CenterCrop,
    Colour,
    Contain,
    Cover,
    Filter,
    Geometry,
    Resize,
    Step,
    parse_geometry,
)

TIMM_CROP_PCT = 0.875
Channels = tuple[float, float, float]


class Preprocessing(msgspec.Struct, frozen=True):
    """From a photograph to what a model gets; `mean` and `std` as in a protocol."""

    geometry: str
    mean: Channels
    std: Channels

    def __post_init__(self) -> None:
        """Refuse a geometry that is none, whatever it was read from."""
        parse_geometry(self.geometry)


class ClassificationPreset(Protocol):
    """What `torchvision.transforms._presets.ImageClassification` says of itself."""

    crop_size: Sequence[int]
    resize_size: Sequence[int]
    interpolation: Any
    mean: Sequence[float]
    std: Sequence[float]


def torchvision_preprocessing(transforms: ClassificationPreset) -> Preprocessing:
    """Read a weights entry's `transforms()`.

    Its `antialias` says nothing of photographs: Pillow always filters.

    Raises:
        ValueError: an interpolation that no geometry has.
    """
    (resize,), (crop,) = transforms.resize_size, transforms.crop_size
    filter_ = _filter(transforms.interpolation.value)
    return _preprocessing(
        (_short_side(resize, filter_), CenterCrop(crop, crop)),
        transforms.mean,
        transforms.std,
    )


def timm_preprocessing(config: Mapping[str, Any]) -> Preprocessing:
    """Read a configuration such as `timm.data.resolve_model_data_config` gives.

    The keys are `input_size`, `crop_pct`, `crop_mode`, `interpolation`, `mean`, `std`.

    Raises:
        ValueError: an interpolation or crop mode that no geometry has.
    """
    _, height, width = config["input_size"]
    crop_pct = config["crop_pct"] or TIMM_CROP_PCT
    # The image is made this large, of which the crop leaves `crop_pct`.
    scaled = math.floor(height / crop_pct), math.floor(width / crop_pct)
    filter_ = _filter(config["interpolation"])
    crop = CenterCrop(height, width)
    steps: tuple[Step, ...]
    match config["crop_mode"]:
        case "squash":
            steps = Resize(*scaled, filter_), crop
        case "border":
            levels = [round(255 * level) for level in config["mean"]]
            crop = CenterCrop(height, width, msgspec.convert(levels, Colour))
            steps = Contain(*scaled, filter_), crop
        case "center" | None:
            square = scaled[0] == scaled[1]
            resize = _short_side(scaled[0], filter_)
            steps = (resize if square else Cover(*scaled, filter_)), crop
        case other:
            raise ValueError(f"timm's crop mode {other!r} has no geometry")
    return _preprocessing(steps, config["mean"], config["std"])


def open_clip_preprocessing(config: Mapping[str, Any]) -> Preprocessing:
    """Read a configuration such as open_clip's models have as `preprocess_cfg`.

    The keys are `size`, `resize_mode`, `interpolation`, `fill_color`, `mean`, `std`.

    Raises:
        ValueError: an interpolation or resize mode that no geometry has.
    """
    size = config["size"]
    height, width = (size, size) if isinstance(size, int) else size
    # `random` is a choice for training; evaluation takes bicubic.
    bilinear = config["interpolation"] == "bilinear"
    filter_: Filter = "bilinear" if bilinear else "bicubic"
    level = config.get("fill_color", 0)
    steps: tuple[Step, ...]
    match config["resize_mode"]:
        case "squash":
            steps = (Resize(height, width, filter_),)
        case "longest":
            crop = CenterCrop(height, width, (level, level, level))
            steps = Contain(height, width, filter_), crop
        case "shortest":
            # For what is not square, open_clip does not pass the interpolation on.
            steps = (
                _short_side(height, filter_)
                if height == width
                else Cover(height, width, "bicubic"),
                CenterCrop(height, width),
            )
        case other:
            raise ValueError(f"open_clip's resize mode {other!r} has no geometry")
    return _preprocessing(steps, config["mean"], config["std"])


def _short_side(size: int, filter_: Filter) -> Resize:
    return Resize(size, None, filter_)


def _filter(name: str) -> Filter:
    try:
        found: Filter = msgspec.convert(name, Filter)
    except msgspec.ValidationError as error:
        raise ValueError(f"the interpolation {name!r} has no geometry") from error
    return found


def _preprocessing(
    steps: tuple[Step, ...], mean: Sequence[float], std: Sequence[float]
) -> Preprocessing:
    return Preprocessing(
        str(Geometry(steps)),
        msgspec.convert(tuple(mean), Channels),
        msgspec.convert(tuple(std), Channels),
    )
