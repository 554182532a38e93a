"""What an importer gives: one row for each published number of a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

import msgspec

from repro.errors import ExpectedError
from repro.importing.preprocessing import Channels, Preprocessing
from repro.published import Kind, Precision, Shares
from repro.published.geometry import BLACK, CenterCrop, Resize, Step, parse_geometry

_MEANS: dict[Channels, str] = {
    (0.485, 0.456, 0.406): "",
    (0.5, 0.5, 0.5): "-half",
    (0.48145466, 0.4578275, 0.40821073): "-clip",
    (0.0, 0.0, 0.0): "-zero",
}


class OtherSet(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset beside ImageNet's validation images of which a table has a number.

    `column` is the table's name for it, `names` and `templates` are lists, or names of
    those that a library ships (None for those of ImageNet), and `classes` is how many
    it has, or the file of their names beside the release, of a model's `outputs` if
    there are more. `tolerance` is that of its number, in points, with the `reason`.
    """

    column: str
    id: str
    images: int
    classes: int | str
    metric: str = "top1"
    names: str | tuple[str, ...] | None = None
    templates: str | tuple[str, ...] | None = None
    outputs: str | None = None
    tolerance: str
    reason: str
    folder: str
    url: str
    note: str

    @property
    def class_names(self) -> str | list[str]:
        """Give the file of its classes, or their numbers."""
        if isinstance(self.classes, str):
            return self.classes
        return [str(number) for number in range(self.classes)]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers of one checkpoint: digits as printed; there may be none.

    `others` is one number for each other set, by its id. `file` is where the library
    gets the weights; `note` says what is peculiar, such as that the installed library
    does not have the checkpoint.
    """

    checkpoint: str
    preprocessing: Preprocessing
    numbers: Mapping[str, str]
    others: Mapping[str, str] = {}
    gflops: float
    file: str = ""
    note: str = ""

    @property
    def protocol(self) -> str:
        """Name of the protocol, which tells all of the preprocessing."""
        return protocol_name(self.preprocessing)


class Entry(NamedTuple):
    """Numbers of one checkpoint on one dataset; ImageNet's where `other` is None."""

    row: Row
    numbers: Mapping[str, str]
    other: OtherSet | None = None

    @property
    def protocol(self) -> str:
        """Name of the protocol, which has the prompts of its dataset."""
        suffix = f"-{self.other.id}" if self.other else ""
        return f"{self.row.protocol}{suffix}"

    @property
    def source(self) -> str:
        """Name of the source, of which each column of a table is one."""
        return self.other.id if self.other else "published"


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A table of published numbers: who made it, where it was read, and its rows.

    `precision_note` says where it was read that they were computed in `precision`;
    where nobody says so, `tolerance` is that of top-1 in points, with the reason.
    `library` has the checkpoints, and `maker` is who measured them, where that is
    another; `unit` is what the table prints shares of the images as. `others` are the
    datasets beside ImageNet's; `left_out` is what else is published, and why that is no
    case. A model card has a `name` of its own, and says how its `architecture` is
    built, with `options` or an open_clip `config`.
    """

    library: str
    version: str
    title: str
    code: str
    source: str
    url: str
    kind: Kind
    rows: tuple[Row, ...]
    precision: Precision
    precision_note: str
    tolerance: tuple[str, str] | None = None
    unit: Shares = "percent"
    maker: str = ""
    protocol_note: str = ""
    note: str = ""
    name: str = ""
    architecture: str = "{checkpoint}"
    options: Mapping[str, Any] = {}
    config: Mapping[str, Any] = {}
    training_data: str = "as its checkpoints' names say"
    others: tuple[OtherSet, ...] = ()
    left_out: tuple[str, ...] = ()

    def entries(self) -> Iterator[Entry]:
        """Yield all numbers, those of a checkpoint one after the other."""
        for row in self.rows:
            if row.numbers:
                yield Entry(row, row.numbers)
            for other in self.others:
                if text := row.others.get(other.id):
                    yield Entry(row, {other.metric: text}, other)

    @property
    def id(self) -> str:
        """The id of the release, which is also the name of its folder."""
        return self.name or self.maker or self.library

    @property
    def config_name(self) -> str:
        """What open_clip knows its `config` as, which is no name of open_clip's own."""
        return f"card-{self.id}" if self.config else ""

    @property
    def command(self) -> str:
        """What made it, after `repro import`."""
        return "model-card" if self.name else self.id


def unknown_checkpoint(owner: str, name: str, known: Sequence[str]) -> ExpectedError:
    """Say that a library does not have a checkpoint, and what it has instead."""
    close = get_close_matches(name, known, n=5, cutoff=0.5) or known[:5]
    said = f"; it has {', '.join(close)}" if close else ""
    return ExpectedError(f"{owner} has no checkpoint {name!r}{said}")


def protocol_name(preprocessing: Preprocessing) -> str:
    """Name a protocol by its steps, and its mean where that is not ImageNet's."""
    steps = parse_geometry(preprocessing.geometry).steps
    mean = preprocessing.mean
    label = _MEANS.get(mean)
    if label is None:
        label = "-" + "-".join(f"{round(255 * level)}" for level in mean)
    return "-".join(map(_step_name, steps)) + label


def _step_name(step: Step) -> str:
    size = str(step.height)
    if step.width is not None and step.width != step.height:
        size = f"{step.height}x{step.width}"
    if isinstance(step, CenterCrop):
        colour = "" if step.fill == BLACK else "-padded"
        return f"crop{size}{colour}"
    if isinstance(step, Resize):
        exact = f"{step.height}x{step.width}" if step.width else size
        return f"{exact}-{step.filter}"
    return f"{type(step).__name__.lower()}{size}-{step.filter}"
