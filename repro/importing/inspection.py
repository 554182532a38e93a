"""What a weights file tells of its model: architecture, classes, image size."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from repro.models.state import read_state_dict, state_entries

if TYPE_CHECKING:
    from torch import Tensor

#: Entries that training scripts keep the state dict in, the one that is meant first.
WEIGHTS_KEYS = ("state_dict", "model", "model_state_dict", "state_dict_ema")

_VIT_SIZES = {192: "tiny", 384: "small", 768: "base", 1024: "large", 1280: "huge"}
_CLIP_SIZES = {768: "B", 1024: "L", 1280: "H"}
_RESNETS: dict[tuple[tuple[int, ...], bool], str] = {
    ((2, 2, 2, 2), False): "resnet18",
    ((3, 4, 6, 3), False): "resnet34",
    ((3, 4, 6, 3), True): "resnet50",
    ((3, 4, 23, 3), True): "resnet101",
    ((3, 8, 36, 3), True): "resnet152",
}
_HEADS = ("head.weight", "fc.weight", "classifier.weight", "head.fc.weight")


class Inspection(msgspec.Struct, frozen=True, kw_only=True):
    """What was found; empty or None where the file does not tell.

    `fits` says that the architecture was built and every tensor has its name and shape.
    """

    weights_key: str
    tensors: int
    parameters: int
    loader: str = ""
    architecture: str = ""
    classes: int | None = None
    image_size: int | None = None
    fits: bool = False


def inspect_weights(path: Path) -> Inspection:
    """Read a weights file, without running code from it, and say what it holds.

    Raises:
        WeightsError: it is damaged or holds no state dict.
    """
    key, state = _state(path)
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    classes = next((shapes[name][0] for name in _HEADS if name in shapes), None)
    found = Inspection(
        weights_key=key,
        tensors=len(state),
        parameters=sum(tensor.numel() for tensor in state.values()),
        classes=classes,
    )
    for loader, architecture, image_size in _guesses(shapes):
        guess = msgspec.structs.replace(
            found, loader=loader, architecture=architecture, image_size=image_size
        )
        if _built(guess) == shapes:
            return msgspec.structs.replace(guess, fits=True)
    return found


def _state(path: Path) -> tuple[str, Mapping[str, Tensor]]:
    """Find the state dict in a file."""
    entries = state_entries(path)
    key = next((key for key in WEIGHTS_KEYS if key in entries), "")
    return key, read_state_dict(path, key)


def _guesses(
    shapes: Mapping[str, tuple[int, ...]],
) -> Iterator[tuple[str, str, int | None]]:
    """Yield loader, architecture and image size that the names and shapes suggest."""
    if (patches := shapes.get("patch_embed.proj.weight")) and "pos_embed" in shapes:
        width, _, patch, _ = patches
        tokens = shapes["pos_embed"][1]
        for prefix in (0, 1, 2):
            side = round((tokens - prefix) ** 0.5)
            if side * side == tokens - prefix and width in _VIT_SIZES:
                size = side * patch
                yield "timm", f"vit_{_VIT_SIZES[width]}_patch{patch}_{size}", size
                yield "timm", f"vit_{_VIT_SIZES[width]}_patch{patch}_224", size
    if patches := shapes.get("visual.conv1.weight"):
        width, _, patch, _ = patches
        if width in _CLIP_SIZES:
            yield "open_clip", f"ViT-{_CLIP_SIZES[width]}-{patch}", 224
    stages = tuple(
        len({m[1] for name in shapes if (m := re.match(rf"layer{n}\.(\d+)\.", name))})
        for n in (1, 2, 3, 4)
    )
    name = _RESNETS.get((stages, "layer1.0.conv3.weight" in shapes))
    if name:
        yield "timm", name, None


def _built(guess: Inspection) -> dict[str, tuple[int, ...]]:
    """Give the shapes of an architecture, built without memory; empty if there is none.

    Raises nothing: a guess may name an architecture that does not exist.
    """
    from repro.models.building import skeleton

    try:
        with skeleton():
            if guess.loader == "open_clip":
                import open_clip

                config = open_clip.get_model_config(guess.architecture)
                model = open_clip.CLIP(**config)
            else:
                import timm

                model = timm.create_model(
                    guess.architecture, **_options(guess), pretrained=False
                )
    except (RuntimeError, TypeError, ValueError, AssertionError):
        return {}
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def _options(guess: Inspection) -> dict[str, int]:
    options = {} if guess.classes is None else {"num_classes": guess.classes}
    own_size = guess.architecture.endswith(f"_{guess.image_size}")
    if guess.image_size is not None and not own_size:
        options["img_size"] = guess.image_size
    return options


def model_options(found: Inspection) -> dict[str, int]:
    """Give the keyword arguments with which the library builds what was found."""
    return {} if found.loader == "open_clip" else _options(found)
