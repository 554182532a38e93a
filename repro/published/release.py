"""What was published: releases, families, protocols, datasets and references."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import msgspec

from repro.published.geometry import Geometry, parse_geometry

Kind = Literal["supervised", "clip"]
Metric = Literal["top1", "top5", "loss"]

_COUNT = re.compile(r"(\d+(?:\.\d+)?)([KMB]?)")
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9}


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the TOML format; a key that it does not know is an error."""


class OwnTolerance(Table, frozen=True):
    """A tolerance other than the default, in the metric's unit, and why.

    Half a unit of the last printed digit is added to it.
    """

    reason: str
    top1: Decimal | None = None
    top5: Decimal | None = None
    loss: Decimal | None = None


class Source(Table, frozen=True):
    """Where numbers were read, so that somebody else can open it."""

    id: str
    title: str
    url: str
    note: str = ""
    tolerance: OwnTolerance | None = None


class DatasetSpec(Table, frozen=True):
    """A labelled set of images.

    `classes` are the names of the class folders in label order; `images` is how many
    images the whole set has; `folder` lies below the data folder of the user. Where a
    model has more outputs than the set has classes, `outputs` names all of them in
    order, and the logits are restricted to `classes`.
    """

    id: str
    title: str
    folder: str
    classes: tuple[str, ...]
    images: int
    outputs: tuple[str, ...] = ()
    url: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        """Refuse what no dataset can be."""
        if len(set(self.classes)) != len(self.classes) or not self.classes:
            raise ValueError("classes must be named once each, at least one")
        if self.images < 1:
            raise ValueError(f"images is {self.images}; it must be at least 1")
        if self.outputs and not set(self.classes) <= set(self.outputs):
            unknown = sorted(set(self.classes) - set(self.outputs))
            raise ValueError(f"outputs lacks the classes {', '.join(unknown[:5])}")

    @property
    def columns(self) -> tuple[int, ...] | None:
        """Which outputs of a model belong to `classes`; None means all, in order."""
        if not self.outputs:
            return None
        position = {name: column for column, name in enumerate(self.outputs)}
        return tuple(position[name] for name in self.classes)


class TextSpec(Table, frozen=True):
    """The prompts of a zero-shot classifier: every class name in every template.

    Either is a list, or `open_clip:NAME` for a list that open_clip ships.
    """

    classnames: tuple[str, ...] | str
    templates: tuple[str, ...] | str

    def __post_init__(self) -> None:
        """Refuse lists that open_clip cannot give and templates without a gap."""
        for key in ("classnames", "templates"):
            value = getattr(self, key)
            if isinstance(value, str) and not re.fullmatch(r"open_clip:\w+", value):
                raise ValueError(
                    f"{key} is {value!r}; it must be a list or 'open_clip:NAME'"
                )
        if not isinstance(self.templates, str):
            for template in self.templates:
                if template.count("{}") != 1:
                    raise ValueError(
                        f"template {template!r} must hold {{}} once, for the class name"
                    )


class Protocol(Table, frozen=True):
    """How a number was measured.

    `mean` and `std` are per RGB channel, on pixels scaled to 0..1. With `text` it is a
    zero-shot protocol; `logit_scale` is then a factor or `checkpoint`, which takes the
    exponential of the one that the checkpoint holds (it matters for the loss only).
    """

    id: str
    geometry: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    source: str
    text: TextSpec | None = None
    logit_scale: float | Literal["checkpoint"] | None = None
    note: str = ""

    def __post_init__(self) -> None:
        """Refuse a geometry that cannot be read and a scale without text."""
        parse_geometry(self.geometry)
        if min(self.std) <= 0:
            raise ValueError(f"std is {list(self.std)}; each must be above 0")
        if (self.text is None) != (self.logit_scale is None):
            raise ValueError("text and logit_scale belong together: give both or none")

    @property
    def kind(self) -> Kind:
        """`clip` when the classes are described by text, else `supervised`."""
        return "supervised" if self.text is None else "clip"

    @property
    def pixels(self) -> Geometry:
        """The geometry, read."""
        return parse_geometry(self.geometry)


class ModelSpec(Table, frozen=True):
    """The architecture that a family's weights fit into.

    `loader` says which library builds it and `options` are that library's own keyword
    arguments. `config` (an open_clip configuration) and `tokenizer` (byte-pair merges)
    are files beside the TOML file. `weights_key` names the entry of a checkpoint that
    holds the state dict, where the file holds more than that.
    """

    id: str
    loader: str
    architecture: str
    options: dict[str, Any] = msgspec.field(default_factory=dict)
    config: str = ""
    tokenizer: str = ""
    weights_key: str = ""
    gflops: float = 1.0


class Family(Table, frozen=True):
    """Checkpoints of a release that share training data and recipe.

    `folder` is where the weights can be downloaded; `protocols` and `datasets` are what
    a checkpoint without any reference is evaluated with.
    """

    id: str
    model: str
    training_data: str
    protocols: tuple[str, ...]
    datasets: tuple[str, ...]
    prompt: str = ""
    cfg_scale: float | None = None
    folder: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        """Refuse names that cannot be a folder below the checkpoints directory."""
        if not re.fullmatch(r"[\w.+-]+(/[\w.+-]+)*", self.id) or ".." in self.id:
            raise ValueError(
                f"family {self.id!r} must be names of letters, digits and . + - _ "
                "joined by /, since it names a folder"
            )


class Reference(Table, frozen=True):
    """One published number.

    `published` keeps the digits as printed, in percent or in nats. `tolerance` is in
    the same unit; None means the default one. Of the checkpoints
    (`family/name`) at least one must meet it: a source does not always say which of
    two families it measured.
    """

    metric: Metric
    published: Decimal
    families: tuple[str, ...]
    checkpoint: str
    dataset: str
    protocol: str
    source: str
    note: str = ""
    tolerance: Decimal | None = None
    tolerance_reason: str = ""
    defined_in: str = ""

    @property
    def half_unit(self) -> Decimal:
        """Half a unit of the last printed digit, in the metric's unit."""
        exponent = self.published.as_tuple().exponent
        assert isinstance(exponent, int)
        return Decimal((0, (5,), exponent - 1))


class Release(Table, frozen=True):
    """The checkpoints published with one paper or project."""

    id: str
    title: str
    location: Path
    default_dataset: str
    sources: dict[str, Source]
    datasets: dict[str, DatasetSpec]
    protocols: dict[str, Protocol]
    models: dict[str, ModelSpec]
    families: dict[str, Family]
    references: tuple[Reference, ...]
    paper: str = ""
    code: str = ""
    checkpoints: str = ""
    data: str = ""
    note: str = ""

    @property
    def own_checkpoints(self) -> Path | None:
        """The weights that are shipped with the release, if they are."""
        return self.location / self.checkpoints if self.checkpoints else None

    @property
    def own_data(self) -> Path | None:
        """The images that are shipped with the release, if they are."""
        return self.location / self.data if self.data else None


def training_images(checkpoint: str) -> int | None:
    """How many training images a checkpoint's name says: `16M` is 16,000,000.

    None where the name is no number.
    """
    match = _COUNT.fullmatch(checkpoint)
    return round(Decimal(match[1]) * _UNITS[match[2]]) if match else None
