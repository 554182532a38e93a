"""Infer an architecture from names and shapes of tensors, and which models have it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path

import msgspec

from repro.models.names import UNUSED
from repro.published import Kind

Shapes = Mapping[str, tuple[int, ...]]

#: Channels of one attention head, in all models of these names; no shape tells them.
HEAD_CHANNELS = 64
_SIZES = {192: "tiny", 384: "small", 768: "base", 1024: "large", 1280: "huge"}
_CLIP_SIZES = {768: "B", 1024: "L", 1280: "H"}
_DEPTHS = {192: 12, 384: 12, 768: 12, 1024: 24, 1280: 32}
#: What libraries call the last layer of a classifier.
_OUTPUTS = (
    "head.weight",
    "fc.weight",
    "classifier.weight",
    "head.fc.weight",
    "heads.head.weight",
)
_USUAL_SIZE = 224


class Architecture(msgspec.Struct, frozen=True, kw_only=True):
    """What the tensors of a file are for.

    `facts` are numbers by what they count; `name` is what the library calls the
    architecture if it is a usual one, else empty.
    """

    kind: Kind
    library: str
    family: str
    facts: dict[str, int]
    name: str = ""


def infer_architecture(shapes: Shapes) -> Architecture | None:
    """Say which architecture some tensors belong to; None if it is not known."""
    for infer in _INFERENCES:
        try:
            found = infer(shapes)
        except (KeyError, IndexError, ZeroDivisionError, ValueError):
            continue  # Names are as expected, shapes or the rest are not.
        if found is not None:
            return found
    return None


def usual_models(found: Architecture) -> Iterator[tuple[str, str, dict[str, int]]]:
    """Yield loader, name and options of the models that an architecture may be.

    Some of the names may not exist: only building them shows which.
    """
    if not found.name:
        return
    name, size = found.name, found.facts.get("image size", _USUAL_SIZE)
    classes = found.facts.get("classes")
    options = {} if classes is None else {"num_classes": classes}
    match found.library:
        case "open_clip":
            names = (name, f"{name}-{size}")
            for one in names if size == _USUAL_SIZE else reversed(names):
                yield "open_clip", one, {}
        case "timm":
            yield "timm", name, options
            usual = f"{name.removesuffix(str(size))}{_USUAL_SIZE}"
            yield "timm", usual, {**options, "img_size": size}
        case "torchvision":
            own_size = {} if size == _USUAL_SIZE else {"image_size": size}
            yield "torchvision", name, {**options, **own_size}
        case _:
            yield "timm", name, options


def count_outputs(shapes: Shapes) -> int | None:
    """Count the outputs of a classifier's last layer; None if it has no usual name."""
    return next((shapes[name][0] for name in _OUTPUTS if name in shapes), None)


def _timm_vit(shapes: Shapes) -> Architecture | None:
    patches = shapes.get("patch_embed.proj.weight")
    if patches is None or "blocks.0.norm1.weight" not in shapes:
        return None
    width, patch, depth = patches[0], patches[-1], _depth(shapes, r"blocks\.(\d+)\.")
    others = sum(name in shapes for name in ("cls_token", "dist_token"))
    facts = _transformer(patches, depth, shapes["pos_embed"][1] - others)
    if "head.weight" in shapes:
        facts["classes"] = shapes["head.weight"][0]
    usual = width in _SIZES and _DEPTHS[width] == depth
    kind = "deit_{}_distilled" if "dist_token" in shapes else "vit_{}"
    model = kind.format(_SIZES.get(width))
    name = f"{model}_patch{patch}_{facts['image size']}"
    return Architecture(
        kind="supervised",
        library="timm",
        family="vision transformer",
        facts=facts,
        name=name if usual else "",
    )


def _torchvision_vit(shapes: Shapes) -> Architecture | None:
    patches = shapes.get("conv_proj.weight")
    if patches is None:
        return None
    width, patch = patches[0], patches[-1]
    depth = _depth(shapes, r"encoder\.layers\.encoder_layer_(\d+)\.")
    facts = _transformer(patches, depth, shapes["encoder.pos_embedding"][1] - 1)
    facts["classes"] = shapes["heads.head.weight"][0]
    letter = {768: "b", 1024: "l"}.get(width)
    return Architecture(
        kind="supervised",
        library="torchvision",
        family="vision transformer",
        facts=facts,
        name=f"vit_{letter}_{patch}" if letter and depth == _DEPTHS[width] else "",
    )


def _resnet(shapes: Shapes) -> Architecture | None:
    if "layer1.0.conv1.weight" not in shapes or "fc.weight" not in shapes:
        return None
    stages = [_depth(shapes, rf"layer{stage}\.(\d+)\.") for stage in (1, 2, 3, 4)]
    convolutions = 3 if "layer1.0.conv3.weight" in shapes else 2
    layers = convolutions * sum(stages) + 2
    plain = shapes["layer1.0.conv1.weight"][0] == 64
    return Architecture(
        kind="supervised",
        library="torchvision or timm",
        family="residual network",
        facts={"layers": layers, "classes": shapes["fc.weight"][0]},
        name=f"resnet{layers}" if plain else "",
    )


def _open_clip(shapes: Shapes) -> Architecture | None:
    if "token_embedding.weight" not in shapes:
        return None
    vocabulary, text_width = shapes["token_embedding.weight"]
    facts: dict[str, int] = {}
    family, name = "image tower of its own kind", ""
    if (patches := shapes.get("visual.conv1.weight")) and len(patches) == 4:
        if "visual.transformer.resblocks.0.ln_1.weight" in shapes:
            family = "vision transformer"
            width, patch = patches[0], patches[-1]
            depth = _depth(shapes, r"visual\.transformer\.resblocks\.(\d+)\.")
            tokens = shapes["visual.positional_embedding"][0] - 1
            facts = _transformer(patches, depth, tokens)
            if width in _CLIP_SIZES and _DEPTHS[width] == depth:
                name = f"ViT-{_CLIP_SIZES[width]}-{patch}"
        elif "visual.layer1.0.conv1.weight" in shapes:
            family = "residual network"
    elif any(key.startswith("visual.trunk.") for key in shapes):
        family = "image tower of timm"
    facts |= {
        "text width": text_width,
        "text depth": _depth(shapes, r"transformer\.resblocks\.(\d+)\."),
        **_heads(text_width, "text heads"),
        "context": shapes["positional_embedding"][0],
        "vocabulary": vocabulary,
        "embedding": shapes["text_projection"][1],
    }
    return Architecture(
        kind="clip", library="open_clip", family=family, facts=facts, name=name
    )


_INFERENCES: tuple[Callable[[Shapes], Architecture | None], ...] = (
    _open_clip,
    _timm_vit,
    _torchvision_vit,
    _resnet,
)


def _transformer(patches: tuple[int, ...], depth: int, tokens: int) -> dict[str, int]:
    """Say what the shapes of a vision transformer tell, `tokens` of them patches."""
    width, patch = patches[0], patches[-1]
    return {
        "patch size": patch,
        "width": width,
        "depth": depth,
        **_heads(width),
        "image size": patch * _root(tokens),
    }


def _heads(width: int, name: str = "heads") -> dict[str, int]:
    """Tell how many heads there are if each is as wide as usual."""
    return {} if width % HEAD_CHANNELS else {name: width // HEAD_CHANNELS}


def _depth(names: Iterable[str], pattern: str) -> int:
    """Count the blocks that tensors of these names belong to."""
    matches = (re.match(pattern, name) for name in names)
    return max((int(match[1]) for match in matches if match), default=-1) + 1


def _root(tokens: int) -> int:
    """Give the side of a square of patches."""
    side = math.isqrt(tokens)
    if side * side != tokens:
        raise ValueError(f"{tokens} patches are no square")
    return side


#: A line for each set of names: its digest, and `library:architecture` of all that
#: have it. `python tools/make_catalogue.py` writes it.
TABLE = Path(__file__).with_name("catalogue.txt")


def architectures_named(names: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """List library and architecture of what has tensors of these names, whatever size.

    The shortest names come first: longer ones are of variants.
    """
    return _table().get(digest_of(names), ())


def digest_of(names: Iterable[str]) -> str:
    """Give what tells sets of names apart: few enough are known for eight digits."""
    counted = sorted(name for name in names if not name.endswith(UNUSED))
    return sha256("\n".join(counted).encode()).hexdigest()[:8]


@cache
def _table() -> dict[str, tuple[tuple[str, str], ...]]:
    lines = (line.split() for line in TABLE.read_text().splitlines())
    return {
        digest: tuple((one[0], one[2]) for one in (n.partition(":") for n in names))
        for digest, *names in lines
    }
