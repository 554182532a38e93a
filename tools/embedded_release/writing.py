"""Write what the release publishes as TOML: what it is, and its values."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from embedded_release.digits import CLASSES, VALIDATION_PER_CLASS
from embedded_release.recipes import (
    CLASS_NAMES,
    CLIP,
    FAMILIES,
    PROTOCOLS,
    TEMPLATES,
    VIT_ARCHITECTURE,
    VIT_OPTIONS,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from embedded_release.plain import Published

Value: TypeAlias = "str | int | float | Sequence[Value] | Mapping[str, Value]"

SCRIPT = "tools/make_embedded_release.py"
DATASET = "digits-val"
SOURCE = "make"
CLIP_CONFIG_FILE = "clip-digits.json"
MERGES_FILE = "bytes.bpe.gz"
MODELS = {"timm": "vit-digits", "open_clip": "clip-digits"}
#: Billions of multiply-adds for an image: half of what torch's FlopCounterMode counts.
GFLOPS = {"timm": 0.0011, "open_clip": 0.0006}
LINE_LENGTH = 88


class Reference(NamedTuple):
    """The published values of one checkpoint."""

    family: str
    checkpoint: str
    protocol: str
    published: Published


def format_value(value: Value) -> str:
    """Write a string, a number, an array or an inline table as TOML."""
    if isinstance(value, str | int | float):
        # TOML shares these with JSON.
        return json.dumps(value)
    if isinstance(value, dict):
        pairs = (f"{key} = {format_value(item)}" for key, item in value.items())
        return f"{{ {', '.join(pairs)} }}"
    items = [format_value(item) for item in value]
    line = f"[{', '.join(items)}]"
    if len(line) < LINE_LENGTH - len("interpolation = "):
        return line
    return "\n".join(["[", *(f"    {item}," for item in items), "]"])


def format_table(header: str, **values: Value) -> str:
    """Write a table with its header and one line a value."""
    lines = [f"{key} = {format_value(value)}" for key, value in values.items()]
    return "\n".join([header, *lines]) + "\n"


def format_release() -> str:
    """Write `release.toml`."""
    return "\n".join(
        [
            "schema = 1\n",
            *_origin_tables(),
            *_protocol_tables(),
            *_model_tables(),
            *_family_tables(),
        ]
    )


def _origin_tables() -> Iterable[str]:
    yield format_table(
        "[release]",
        id="embedded",
        title="Scaling laws of synthetic digits: the paper's experiment in miniature",
        paper="https://arxiv.org/abs/2312.04567",
        code=SCRIPT,
        checkpoints="checkpoints",
        data=".",
    )
    yield format_table(
        f"[source.{SOURCE}]", title=f"Plain torchvision loop in {SCRIPT}", url=SCRIPT
    )
    yield format_table(
        f"[dataset.{DATASET}]",
        title="500 handwritten digits as photographs (UCI, CC BY 4.0)",
        folder="val",
        classes=CLASSES,
        images=VALIDATION_PER_CLASS * len(CLASSES),
    )


def _protocol_tables() -> Iterable[str]:
    for loader, protocol in PROTOCOLS.items():
        zero_shot = {"logit_scale": "checkpoint"} if loader == "open_clip" else {}
        yield format_table(
            f"[protocol.{protocol.name}]",
            geometry=protocol.geometry,
            mean=protocol.mean,
            std=protocol.std,
            **zero_shot,
            source=SOURCE,
        )
    yield format_table(
        f"[protocol.{CLIP.name}.text]", classnames=CLASS_NAMES, templates=TEMPLATES
    )


def _model_tables() -> Iterable[str]:
    yield format_table(
        f"[model.{MODELS['timm']}]",
        loader="timm",
        architecture=VIT_ARCHITECTURE,
        options=VIT_OPTIONS,
        gflops=GFLOPS["timm"],
    )
    yield format_table(
        f"[model.{MODELS['open_clip']}]",
        loader="open_clip",
        architecture="clip-digits",
        config=CLIP_CONFIG_FILE,
        tokenizer=MERGES_FILE,
        gflops=GFLOPS["open_clip"],
    )


def _family_tables() -> Iterable[str]:
    for family in FAMILIES:
        yield format_table(
            f'[family."{family.name}"]',
            model=MODELS[family.loader],
            training_data=family.training_data,
            note=family.note,
            protocols=[family.protocol.name],
            datasets=[DATASET],
        )


def format_references(references: Iterable[Reference]) -> str:
    """Write `references.toml`."""
    return "\n".join(
        format_table(
            "[[reference]]",
            family=reference.family,
            checkpoint=reference.checkpoint,
            dataset=DATASET,
            protocol=reference.protocol,
            source=SOURCE,
            **reference.published._asdict(),
        )
        for reference in references
    )
