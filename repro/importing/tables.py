"""Tables of libraries: how they are read, and a row for each published number."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
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


#: Columns that print the same in several forms, the preferred first, each with its
#: metric: an accuracy, or the error that is its rest.
Column = Mapping[str, str]
Cells = Mapping[str, str]

_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")


def read_table(
    file: Path, columns: Sequence[str], numbers: Sequence[Column] = ()
) -> tuple[list[dict[str, str]], str]:
    """Read a CSV file that has at least these columns; every cell stays text.

    Of each of the `numbers` it has at least one form. Beside the rows stands the
    SHA-256 of what was read.

    Raises:
        ExpectedError: it cannot be read, lacks a column, or a row is cut off.
    """
    try:
        content = file.read_bytes()
        reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""))
        found = list(reader.fieldnames or ())
        rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ExpectedError(f"{file}: cannot be read as a table: {error}") from error
    wanted = [*((column,) for column in columns), *map(tuple, numbers)]
    missing = [" or ".join(w) for w in wanted if not set(w) & set(found)]
    if missing:
        raise ExpectedError(
            f"{file}: has no column {', '.join(missing)}; its columns are "
            f"{', '.join(found[:12]) or 'none'}"
        )
    for number, row in enumerate(rows, 2):
        empty = [" or ".join(w) for w in wanted if not any(map(row.get, w))]
        if empty:
            raise ExpectedError(f"{file}: row {number} has no {', '.join(empty)}")
    return rows, hashlib.sha256(content).hexdigest()


def printed_numbers(cells: Cells, columns: Sequence[Column]) -> dict[str, str]:
    """Take a row's numbers, as printed: of each column the preferred form.

    Raises:
        ValueError: a cell is empty or no number.
    """
    found: dict[str, str] = {}
    for forms in columns:
        name = next((name for name in forms if cells.get(name)), None)
        if name is None:
            raise ValueError(f"it has no {' or '.join(forms)}")
        if not _NUMBER.fullmatch(cells[name]):
            raise ValueError(f"{name} is {cells[name]!r}, which is no number")
        found[forms[name]] = cells[name]
    return found


def make_rows(
    file: Path,
    numbered: Iterable[tuple[int, Cells]],
    make: Callable[[Cells], Row],
    *names: str,
) -> tuple[Row, ...]:
    """Make a checkpoint's row of each line of a table.

    Args:
        file: the table.
        numbered: its lines with their numbers.
        make: makes a row of cells; ValueError where it cannot.
        names: the columns that say whose line it is.

    Raises:
        ExpectedError: a line cannot be understood.
    """
    rows: list[Row] = []
    for number, cells in numbered:
        try:
            rows.append(make(cells))
        except ValueError as error:
            name = " ".join(cells[column] for column in names)
            raise ExpectedError(f"{file}: row {number} ({name}): {error}") from error
    return tuple(rows)


def origin_note(file: Path, rows: int, digest: str) -> str:
    """Say from which file the numbers were taken, so that it can be found again."""
    return f"{rows:,} rows of {file.name} with SHA-256 {digest}"
