"""Say what a weights file holds, and which architecture, by names and shapes alone.

Nothing that is in it is run.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path

import msgspec

from repro.models.containers import check_complete, parts_of
from repro.models.names import UNUSED, Shapes
from repro.models.state import Contents, Reading, State, read_contents
from repro.published import Kind
from repro.stored.onnx import Graph
from repro.stored.tensors import StoredTensor

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
#: A line for each set of names: its digest, and `library:architecture` of all that
#: have it. `python tools/make_catalogue.py` writes it.
TABLE = Path(__file__).with_name("catalogue.txt")


class Inspection(msgspec.Struct, frozen=True, kw_only=True):
    """What a weights file holds.

    `entry` is where the state dict stands, empty if the file is one; `others` are the
    entries beside it, and `rivals` those of them that hold tensors by name too.
    `prefix` is what all its names begin with, and `done` what else is done to read it;
    `shapes` are those of its tensors, without the prefix, and `dtypes` counts them.
    `classes` is how many outputs a head has; `logit_scale` is the factor, not its
    logarithm. `graph` is there where the file brings its architecture.
    """

    path: Path
    size: int
    format: str
    entry: str = ""
    others: tuple[str, ...] = ()
    rivals: tuple[str, ...] = ()
    prefix: str = ""
    done: tuple[str, ...] = ()
    shapes: dict[str, tuple[int, ...]]
    parameters: int
    dtypes: dict[str, int]
    architecture: Architecture | None
    classes: int | None
    logit_scale: float | None = None
    graph: Graph | None = None


def inspect_weights(path: Path) -> Inspection:
    """Read the names, shapes and types of a file's tensors.

    Raises:
        WeightsError: it is damaged, holds no tensors, or needs more than tensors to be
            read; the message says what.
        NotAvailableError: a package that reads it is not installed.
    """
    check_complete(path)
    contents = read_contents(path)
    if contents.container.graph is not None:
        return _of_graph(path, contents.container.graph)
    state = contents.usual()
    reading = _understood(contents, state)
    tensors = reading.tensors.values()
    top = (
        state.entry
        if state.entry in contents.entries
        else state.entry.partition(".")[0]
    )
    return Inspection(
        path=path,
        size=sum(part.stat().st_size for part in parts_of(path)),
        format=contents.container.format,
        entry=state.entry,
        others=tuple(n for n in contents.entries if state.entry and n != top),
        rivals=tuple(s.entry for s in contents.chosen("") if s.entry != state.entry),
        prefix=reading.prefix,
        done=reading.done,
        shapes=reading.shapes,
        parameters=sum(tensor.values for tensor in tensors),
        dtypes=dict(Counter(tensor.kind or tensor.dtype for tensor in tensors)),
        architecture=infer_architecture(reading.shapes),
        classes=count_outputs(reading.shapes),
        logit_scale=_logit_scale(reading.tensors.get("logit_scale")),
    )


def _of_graph(path: Path, graph: Graph) -> Inspection:
    """Describe a model of ONNX, which has no entries, and its names no prefix."""
    tensors = graph.tensors.values()
    sizes = [size for one in graph.inputs if len(one.shape) == 4 for size in one.shape]
    # Height and width are the sizes that are no numbers of images or channels.
    side = next((size for size in sizes[1:] if size and size > 4), None)
    return Inspection(
        path=path,
        size=sum(part.stat().st_size for part in (path, *graph.files)),
        format=f"ONNX, {graph.producer}",
        shapes={name: tensor.shape for name, tensor in graph.tensors.items()},
        parameters=sum(t.values for t in tensors if t.dtype.startswith("float")),
        dtypes=dict(Counter(tensor.dtype for tensor in tensors)),
        architecture=Architecture(
            library="onnx",
            family="in the file itself",
            facts={"image size": side} if side else {},
        ),
        classes=graph.classes,
        graph=graph,
    )


def _understood(contents: Contents, state: State) -> Reading:
    """Choose the reading whose architecture is known, else the barest."""
    readings = list(contents.readings(state))
    known = (
        one
        for one in readings
        if infer_architecture(one.shapes) or architectures_named(one.shapes)
    )
    return next(known, max(readings, key=lambda one: len(one.prefix)))


def _logit_scale(stored: StoredTensor | None) -> float | None:
    if stored is None or stored.values != 1 or stored.special:
        return None
    value = stored.read()
    try:
        return None if value.is_complex() else math.exp(float(value))
    except OverflowError:
        return math.inf


class Architecture(msgspec.Struct, frozen=True, kw_only=True):
    """What the tensors of a file are for.

    `facts` are numbers by what they count; `name` is what the library calls the
    architecture if it is a usual one, else empty.
    """

    kind: Kind = "supervised"
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
