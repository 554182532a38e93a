"""What was published: releases, families, protocols, datasets and references."""

from __future__ import annotations

import math
import re
import shlex
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from repro.published.files import Definition
from repro.published.geometry import Geometry, parse_geometry
from repro.published.known_files import Checksum, FileList
from repro.published.statements import Claim
from repro.published.vocabulary import (
    SHA256,
    Gflops,
    Kind,
    Level,
    Name,
    NamedTable,
    Positive,
    Precision,
    Printed,
    Shares,
    Spread,
    Table,
    Text,
    anchored,
    check_below,
    check_class_folders,
    check_gflops,
    check_name,
    check_path_name,
    check_weights_name,
    stated,
)
from repro.words import joined_numbers

#: An architecture that is named as the checkpoint is.
CHECKPOINT = "{checkpoint}"

_SHIPPED = re.compile(r"(open_clip|clip_benchmark==[\w.]+):\w+")
_Shipped = Annotated[str, stated(pattern=anchored(_SHIPPED))]
_AboveZero = Annotated[float, stated(exclusiveMinimum=0, maximum=1)]


class OwnTolerance(Table, frozen=True):
    """A tolerance other than the default, by metric and in its unit, and why.

    Half a unit of the last printed digit is added to it.
    """

    reason: Text
    values: dict[str, Fraction]


class Source(NamedTable, frozen=True):
    """Where numbers were read, so that somebody else can open it.

    `unit` is what it prints shares as.
    """

    title: Text
    url: Text
    note: str = ""
    tolerance: OwnTolerance | None = None
    unit: Shares = "percent"


class DatasetSpec(NamedTable, frozen=True):
    """A labelled set of images.

    `classes` are the names of the class folders in label order; `images` is how many
    images the whole set has; `folder` lies below the data folder of the user. Where a
    model has more outputs than the set has classes, `outputs` names all of them in
    order, and the logits are restricted to `classes` unless `all_outputs` count.
    `files` says which files are of which class.
    """

    title: Text
    folder: Text
    classes: Annotated[tuple[str, ...], stated(minItems=1)]
    images: Annotated[int, stated(minimum=1, maximum=10**9)]
    outputs: tuple[str, ...] = ()
    all_outputs: bool = False
    files: FileList | None = None
    url: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        """Refuse what no dataset can be."""
        super().__post_init__()
        check_below("folder", self.folder)
        if not self.classes:
            raise ValueError("classes is empty; name at least one")
        for key in ("classes", "outputs"):
            check_class_folders(key, getattr(self, key))
        if not 1 <= self.images <= 10**9:
            raise ValueError("images must be between 1 and 1,000,000,000")
        if self.outputs and not set(self.classes) <= set(self.outputs):
            unknown = sorted(set(self.classes) - set(self.outputs))
            raise ValueError(f"outputs lacks the classes {', '.join(unknown[:5])}")
        if self.all_outputs and not self.outputs:
            raise ValueError("all_outputs needs outputs; name them, or leave it out")
        listed = set(self.files.classes) if self.files else set(self.classes)
        if not listed & set(self.classes):
            raise ValueError("files has none of the classes; name a list of this set")

    @property
    def columns(self) -> tuple[int, ...] | None:
        """Which outputs of a model count, those of `classes` first.

        None means all, in order.
        """
        if not self.outputs:
            return None
        position = {name: column for column, name in enumerate(self.outputs)}
        own = tuple(position[name] for name in self.classes)
        return own + self.other_columns if self.all_outputs else own

    @property
    def other_columns(self) -> tuple[int, ...]:
        """Which outputs of a model belong to no class of the set."""
        own = set(self.classes)
        return tuple(n for n, name in enumerate(self.outputs) if name not in own)


class TextSpec(Table, frozen=True):
    """The prompts of a zero-shot classifier: every class name in every template.

    Either is a list, or the name of one that a library ships: `open_clip:NAME`, or
    `clip_benchmark==VERSION:NAME`.
    """

    classnames: Annotated[tuple[Text, ...], stated(minItems=1)] | _Shipped
    templates: Annotated[tuple[Text, ...], stated(minItems=1)] | _Shipped

    def __post_init__(self) -> None:
        """Refuse lists that no library gives and templates without a gap."""
        for key in ("classnames", "templates"):
            value = getattr(self, key)
            if not value:
                raise ValueError(f"{key} is empty; name at least one")
            if isinstance(value, str) and not _SHIPPED.fullmatch(value):
                raise ValueError(
                    f"{key} is {value!r}; it must be a list, 'open_clip:NAME' or "
                    "'clip_benchmark==VERSION:NAME'"
                )
        if not isinstance(self.templates, str):
            for template in self.templates:
                before, gap, after = template.partition("{}")
                if not gap or set(before + after) & set("{}"):
                    raise ValueError(
                        f"template {template!r} must hold {{}} once, for the class "
                        "name, and no other brace"
                    )


class Protocol(NamedTable, frozen=True):
    """How a number was measured.

    `geometry` is kept in its canonical spelling. `mean` and `std` are per RGB channel,
    on pixels scaled to 0..1; of a grey geometry they are written as one number, and
    kept as three equal ones. With `text` it is a zero-shot protocol; `logit_scale` is
    then a factor or `checkpoint`, which takes the exponential of the one that the
    checkpoint holds (it matters for the loss only). `precision` is the arithmetic that
    the numbers were computed in.
    """

    geometry: Annotated[str, stated(pattern=r"^\s*(rgb|grey)\s*(\||$)")]
    mean: tuple[Level, Level, Level]
    std: tuple[_AboveZero, _AboveZero, _AboveZero]
    source: Name
    text: TextSpec | None = None
    logit_scale: Positive | Literal["checkpoint"] | None = None
    precision: Precision = "fp32"
    note: str = ""

    def __post_init__(self) -> None:
        """Refuse a geometry that cannot be read and a scale without text."""
        super().__post_init__()
        canonical = str(parse_geometry(self.geometry))
        msgspec.structs.force_setattr(self, "geometry", canonical)
        if not all(0 <= value <= 1 for value in self.mean):
            raise ValueError(
                f"mean is {list(self.mean)}; each must be between 0 and 1, since "
                "pixels are scaled to 0..1"
            )
        if not all(0 < value <= 1 for value in self.std):
            raise ValueError(
                f"std is {list(self.std)}; each must be above 0 and at most 1, since "
                "pixels are scaled to 0..1"
            )
        if (self.text is None) != (self.logit_scale is None):
            raise ValueError("text and logit_scale belong together: give both or none")
        if isinstance(self.logit_scale, float) and not 0 < self.logit_scale < math.inf:
            raise ValueError(
                f"logit_scale is {self.logit_scale}; it must be a number above 0 or "
                "'checkpoint'"
            )

    @property
    def kind(self) -> Kind:
        """`clip` when the classes are described by text, else `supervised`."""
        return "supervised" if self.text is None else "clip"

    @property
    def conditions(self) -> str:
        """What it says besides the geometry, in one line for people."""
        parts = [f"mean {joined_numbers(self.mean)}", f"std {joined_numbers(self.std)}"]
        if self.text is not None:
            parts += [
                f"templates {_counted(self.text.templates)}",
                f"class names {_counted(self.text.classnames)}",
                f"logit scale {self.logit_scale}",
            ]
        if self.precision != "fp32":
            parts.append(f"published in {self.precision}")
        return ", ".join(parts)

    @property
    def geometry_steps(self) -> Geometry:
        """The geometry, read."""
        return parse_geometry(self.geometry)


def _counted(texts: tuple[str, ...] | str) -> str:
    return texts if isinstance(texts, str) else f"{len(texts):,}"


class ModelSpec(NamedTable, frozen=True):
    """The architecture that a family's weights fit into.

    `loader` says which library builds it and `options` are that library's own keyword
    arguments. Where a library publishes the checkpoints themselves, `architecture` is
    `{checkpoint}`: their names are the library's names for them. `config` (an open_clip
    configuration), `tokenizer` (byte-pair merges) and `code` (Python) are files beside
    the TOML file.
    Where that code is somebody else's, `code_url` is where it can be got and
    `code_sha256` which file it is.
    `weights_key` names the entry of a checkpoint that holds the state dict, where the
    file holds more than that.
    """

    loader: Text
    architecture: Text
    options: dict[str, Any] = msgspec.field(default_factory=dict)
    config: str = ""
    tokenizer: str = ""
    code: str = ""
    code_url: str = ""
    code_sha256: Annotated[str, stated(pattern=f"^$|{anchored(SHA256)}")] = ""
    weights_key: str = ""
    gflops: Gflops = 1.0

    def __post_init__(self) -> None:
        """Refuse files outside the release and a cost that cannot be sorted by."""
        super().__post_init__()
        for key, file in self.files.items():
            check_below(key, file)
        if self.code_url and not self.code:
            raise ValueError("code_url is where code can be got; name the file as code")
        if self.code_sha256 and not self.code:
            raise ValueError("code_sha256 is that of code; name the file as code")
        if self.code_sha256 and not SHA256.fullmatch(self.code_sha256):
            raise ValueError("code_sha256 must be 64 hexadecimal digits in lower case")
        check_gflops(self.gflops)

    @property
    def files(self) -> dict[str, str]:
        """Name the files beside the TOML file that describe it, by their keys."""
        named = {"config": self.config, "tokenizer": self.tokenizer, "code": self.code}
        return {key: file for key, file in named.items() if file}

    def code_command(self, location: Path) -> str:
        """Write the command that brings its code to the folder of the TOML file."""
        return shlex.join(["curl", "-fLo", str(location / self.code), self.code_url])

    def of_checkpoint(self, checkpoint: str) -> ModelSpec:
        """Put the name of a checkpoint where the architecture asks for it."""
        if self.architecture != CHECKPOINT:
            return self
        return msgspec.structs.replace(self, architecture=checkpoint)


class Family(NamedTable, frozen=True):
    """Checkpoints of a release that share training data and recipe.

    `models` are those of checkpoints whose architecture is another one than `model`;
    `folder` is where the weights can be downloaded, or `files` where each file can;
    `local_names` are names that its folder has elsewhere; `protocols` and `datasets`
    are what a checkpoint without any reference is evaluated with.
    """

    model: Name
    training_data: Text
    protocols: tuple[Name, ...]
    datasets: tuple[Name, ...]
    models: dict[str, Name] = msgspec.field(default_factory=dict)
    prompt: str = ""
    cfg_scale: Annotated[float, stated(minimum=0)] | None = None
    folder: str = ""
    files: dict[str, Text] = msgspec.field(default_factory=dict)
    local_names: tuple[Text, ...] = ()
    note: str = ""

    def __post_init__(self) -> None:
        """Refuse a name that is no folder below the checkpoints directory."""
        check_path_name(self.id)
        for name in self.models:
            check_name(name)
        for name in self.files:
            check_weights_name("files", name)
        for name in self.local_names:
            check_below("local_names", name)
        if self.cfg_scale is not None and not 0 <= self.cfg_scale < math.inf:
            raise ValueError(f"cfg_scale is {self.cfg_scale}; it must be 0 or more")

    def model_of(self, checkpoint: str) -> str:
        """Name the model of a checkpoint."""
        return self.models.get(checkpoint, self.model)


class Reference(Table, frozen=True, gc=False):
    """One published number.

    `published` is in the unit of the metric: percent or nats.
    `tolerance` is in the same unit; None means the default one. Where it is the mean of
    several `runs`, `spread` is what stands after ±, in that unit too. `gflops` is the
    cost of one image, where that of the family's model is not right for this
    checkpoint. Of the checkpoints (`family/name`) at least one must meet it: a source
    does not always say which of two families it measured. `xfail` says why it is known
    not to be met, and where to read about it; meeting it after all is then a failure.
    """

    metric: str
    published: Printed
    families: tuple[str, ...]
    checkpoint: str
    dataset: str
    protocol: str
    source: str
    note: str = ""
    tolerance: Fraction | None = None
    tolerance_reason: str = ""
    runs: int = 1
    spread: Printed | None = None
    spread_is: Spread = "standard deviation"
    gflops: float | None = None
    xfail: str = ""
    defined_in: Definition | None = None

    @property
    def printed(self) -> str:
        """The number with its spread after it, where it is a mean of several runs."""
        spread = "" if self.spread is None else f" ± {self.spread}"
        return f"{self.published}{spread}"


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
    claims: tuple[Claim, ...] = ()
    checksums: dict[str, Checksum] = msgspec.field(default_factory=dict)
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
