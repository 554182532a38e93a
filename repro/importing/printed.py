"""Understand a printed table: which number is whose, in words that can be checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from repro.errors import ExpectedError
from repro.importing.cells import CellNumber, is_number, read_cell
from repro.importing.columns import (
    Column,
    Entry,
    UnknownLabelError,
    check_range,
    joined,
    read_columns,
    said_of_cells,
    side_by_side,
    unit_of,
)
from repro.importing.grids import Files, Grid, Link
from repro.importing.labels import DIMENSIONS, Dimension, Labels, simplified, unmarked
from repro.published import METRICS, Release, Shares, check_name, is_weights_name
from repro.words import counted, listed

#: Rows that are called so are of no checkpoint, unless somebody says so.
_SUMMARIES = {"average", "avg", "mean", "median", "overall", "total", "std"}


class Understood(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers of a table, what they print shares as, and how it was read.

    `files` are the links of weights files, by family and name.
    """

    entries: tuple[Entry, ...]
    unit: Shares
    lines: tuple[str, ...]
    files: Files


def understand(
    grid: Grid,
    release: Release,
    labels: Labels,
    given: Mapping[Dimension, str],
    unit: Shares | None,
    *,
    decimal_comma: bool = False,
) -> Understood:
    """Say of each number of a table what it is of.

    Args:
        grid: the table.
        release: what it is about.
        labels: what its headings and names mean.
        given: what holds for all of its numbers.
        unit: what it prints shares as; None where that can be seen.
        decimal_comma: whether commas stand before decimals.

    Raises:
        ExpectedError: a label is not known or contradicts another one, or a cell that
            should hold a number does not.
    """
    columns = read_columns(grid, labels)
    entries: list[Entry] = []
    names: dict[str, str] = {}
    assumed: dict[Dimension, str] = {}
    files: dict[str, dict[str, str]] = {}
    for row in _rows(grid, columns, labels, names):
        before = len(entries)
        for here, text, of in row.numbers():
            printed = _printed(here, text, decimal_comma=decimal_comma)
            if printed is None:
                continue
            values = joined(here, row.values, of, given)
            entry = _entry(here, values, printed, release, assumed)
            if row.link is None and not labels.says("checkpoint", entry.checkpoint):
                _check_checkpoint(entry, release)
            entries.append(entry)
        _add_link(files, row.link, entries[before:])
    labels.refuse_unused(_all_labels(grid, columns))
    if not entries:
        raise ExpectedError(f"{grid.title} has no number")
    found = unit or unit_of(entries)
    lines = (*_said(grid, columns, names, given, assumed), *said_of_cells(entries))
    shares = any(METRICS[entry.metric].unit.whole for entry in entries)
    if shares and not unit:
        lines += (f"shares   are in {found}",)
    for entry in entries:
        check_range(entry, found)
    return Understood(entries=tuple(entries), unit=found, lines=lines, files=files)


class _Row(NamedTuple):
    """A row of a table, or of one of several that stand side by side."""

    place: str
    values: Mapping[Dimension, str]
    cells: Sequence[str]
    columns: Sequence[Column]
    link: Link | None

    def numbers(self) -> Iterator[tuple[str, str, Mapping[Dimension, str]]]:
        """Yield place, text and meaning of each number."""
        for column in self.columns:
            if not column.holds_names and not column.meaning.is_left_out:
                here = f"{self.place}, column {column.number} {column.heading!r}"
                for text, of in column.numbers(here, self.cells):
                    yield here, text, of


def _rows(
    grid: Grid, columns: Sequence[Column], labels: Labels, names: dict[str, str]
) -> Iterator[_Row]:
    """Yield the rows that are not left out."""
    blocks = side_by_side(columns)
    section: Mapping[Dimension, str] | None = {}
    for number, cells in enumerate(grid.rows[grid.header :], grid.header + 1):
        place = f"{grid.place}, row {number}"
        heading = _section(cells, columns)
        if heading:
            meaning = labels.meaning(heading, f"row {number}")
            if meaning is None or meaning.names:
                raise UnknownLabelError(place, heading)
            section = None if meaning.is_left_out else meaning.values
            names[heading] = str(meaning)
        elif section is not None:
            # It is not known which of several tables a link is in.
            link = grid.linked[number - 1] if len(blocks) == 1 else None
            linked = link.checkpoint if link else ""
            for block in blocks:
                row = _row_values(cells, linked, block, labels, names, place)
                if row is not None:
                    values = joined(place, section, row)
                    yield _Row(place, values, cells, block, link)


def _add_link(
    files: dict[str, dict[str, str]], link: Link | None, row: Sequence[Entry]
) -> None:
    """Note the link of a row that is about one checkpoint."""
    about = {(entry.family, entry.checkpoint) for entry in row}
    if link is None or not link.url or len(about) != 1:
        return
    ((family, checkpoint),) = about
    name = f"{checkpoint}{link.suffix}"
    if is_weights_name(name):
        files.setdefault(family, {})[name] = link.url


def _section(cells: Sequence[str], columns: Sequence[Column]) -> str:
    """Give the text of a row that is a heading of those below it."""
    texts = set(filter(None, cells))
    if len(texts) != 1 or len(columns) == 1:
        return ""
    (text,) = texts
    is_wide = cells.count(text) > 1
    is_first = cells[0] == text and not any(cells[1:])
    return text if (is_wide or is_first) and not is_number(text) else ""


def _row_values(
    cells: Sequence[str],
    linked: str,
    columns: Sequence[Column],
    labels: Labels,
    names: dict[str, str],
    place: str,
) -> dict[Dimension, str] | None:
    """Give what the names of a row say; None where it is left out.

    A weights file that it links to is the checkpoint, unless the name is known.
    """
    values: dict[Dimension, str] = {}
    row = place.rpartition(", ")[2]
    said = labels.meaning(row)
    if said:
        if said.is_left_out:
            return None
        return dict(said.values)
    for column in columns:
        text = cells[column.number - 1] if column.holds_names else ""
        if not text or column.meaning.is_left_out:
            continue
        meaning = labels.meaning(text, of=column.meaning.names)
        bare = unmarked(text)
        if meaning is None and simplified(bare) in _SUMMARIES and not linked:
            raise UnknownLabelError(place, text, column)
        if meaning is None and column.meaning.names == "checkpoint":
            found: Mapping[Dimension, str] = {"checkpoint": linked or bare}
            if text not in found.values():
                how = "whose file it links to" if linked else "marked for a footnote"
                names[text] = f"checkpoint {found['checkpoint']}, {how}"
        elif meaning is None or meaning.names:
            raise UnknownLabelError(place, text, column)
        elif meaning.is_left_out:
            return None
        else:
            found = meaning.values
            if text not in found.values():
                names[text] = str(meaning)
        values = joined(place, values, found)
    if linked:
        values.setdefault("checkpoint", linked)
    return values


def _printed(place: str, cell: str, *, decimal_comma: bool) -> CellNumber | None:
    try:
        return read_cell(cell, decimal_comma=decimal_comma)
    except ExpectedError as error:
        raise ExpectedError(
            f"{place}: {error}; correct it, or leave the row or column out with --as "
            "'LABEL=skip'"
        ) from error


def _entry(
    place: str,
    values: dict[Dimension, str],
    printed: CellNumber,
    release: Release,
    assumed: dict[Dimension, str],
) -> Entry:
    """Fill in what can be nothing else, and refuse what is still missing or unknown."""
    for dimension in DIMENSIONS:
        if dimension not in values:
            only = _only(dimension, release, values)
            if only is None:
                raise ExpectedError(
                    f"{place}: nothing says which {dimension} the number is of; say it "
                    f"for all with --{dimension}, or of a label with --as "
                    f"'LABEL={'top1' if dimension == 'metric' else dimension}'"
                )
            values[dimension] = assumed[dimension] = only
    known: dict[Dimension, Mapping[str, object]] = {
        "family": release.families,
        "dataset": release.datasets,
        "protocol": release.protocols,
        "metric": METRICS,
    }
    for dimension, names in known.items():
        if values[dimension] not in names:
            raise ExpectedError(
                f"{place}: the release has no {dimension} {values[dimension]!r}; it "
                f"has {', '.join(list(names)[:8])}"
            )
    try:
        check_name(values["checkpoint"], "checkpoint")
    except ValueError as error:
        raise ExpectedError(
            f"{place}: {error}; give the name of its weights file without the suffix, "
            f"--as '{values['checkpoint'][:40]}=checkpoint:NAME', or leave it out with "
            "'=skip'"
        ) from error
    return Entry(
        checkpoint=values["checkpoint"],
        family=values["family"],
        dataset=values["dataset"],
        protocol=values["protocol"],
        metric=values["metric"],
        printed=printed,
        place=place,
    )


def _check_checkpoint(entry: Entry, release: Release) -> None:
    """Refuse a printed name that is none where a family names all its checkpoints.

    It does where its `models` also name those of its own model, as `repro new` writes.
    """
    family = release.families[entry.family]
    names_all = family.model in family.models.values()
    if names_all and entry.checkpoint not in family.models:
        raise ExpectedError(
            f"{entry.place}: the family {family.id!r} has no checkpoint "
            f"{entry.checkpoint!r}; it has {listed(list(family.models), 8)}; say which "
            f"it is with --as '{entry.checkpoint[:40]}=checkpoint:NAME', or leave it "
            "out with '=skip'"
        )


def _only(
    dimension: Dimension, release: Release, values: Mapping[Dimension, str]
) -> str | None:
    """Give the one value that there is to choose from."""
    family = release.families.get(values.get("family", ""))
    choice: Sequence[str] = {
        "family": tuple(release.families),
        "dataset": tuple(release.datasets),
        "protocol": family.protocols if family else tuple(release.protocols),
    }.get(dimension, ())
    return choice[0] if len(choice) == 1 else None


def _all_labels(grid: Grid, columns: Sequence[Column]) -> Iterator[str]:
    for row in grid.rows[: grid.header]:
        yield from row
    for column in columns:
        if column.holds_names:
            yield from (row[column.number - 1] for row in grid.rows[grid.header :])


def _said(
    grid: Grid,
    columns: Sequence[Column],
    names: Mapping[str, str],
    given: Mapping[Dimension, str],
    assumed: Mapping[Dimension, str],
) -> Iterator[str]:
    """Say how rows and columns were read, one line for each kind of thing."""
    yield f"{grid.title}: {counted(len(grid.rows) - grid.header, 'row')}"
    found = {
        column.heading or f"column {column.number}": str(column.meaning)
        for column in columns
    }
    told = [f"{label!r} {meaning}" for label, meaning in found.items() if meaning]
    if told:
        yield f"columns  {'; '.join(told)}"
    if names:
        yield "rows     " + "; ".join(f"{k!r} {v}" for k, v in names.items())
    everywhere = [f"{key} {value}" for key, value in given.items()]
    everywhere += [f"{key} {value} (the only one)" for key, value in assumed.items()]
    if everywhere:
        yield f"all      {', '.join(everywhere)}"
