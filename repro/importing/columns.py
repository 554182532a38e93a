"""What each column of a printed table holds, by its headings.

Its numbers, with what they are of, are entries: they tell what shares are printed as.
"""

from __future__ import annotations

import functools
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

import msgspec

from repro.errors import ExpectedError
from repro.importing.cells import CellNumber, is_empty, is_number, several
from repro.importing.grids import Grid
from repro.importing.labels import Dimension, Labels, Meaning
from repro.published import METRICS, Shares


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """What a column holds: numbers, or names, of a dimension or of any."""

    number: int
    heading: str
    meaning: Meaning = Meaning()
    holds_names: bool = False

    def numbers(
        self, place: str, cells: Sequence[str]
    ) -> list[tuple[str, Mapping[Dimension, str]]]:
        """Give the texts of the numbers of a row, each with what it is of.

        Raises:
            ExpectedError: there are more or less than the heading says.
        """
        cell = cells[self.number - 1]
        texts = several(cell)
        values, metrics = self.meaning.values, self.meaning.metrics
        if not metrics or is_empty(cell):
            return [(cell, values)]
        if len(texts) != len(metrics):
            raise ExpectedError(
                f"{place}: {cell[:60]!r} is not {' and '.join(metrics)}, which "
                "its heading says; correct it, or leave the row out with --as "
                "'ROW=skip'"
            )
        of_each = [{**values, "metric": metric} for metric in metrics]
        return list(zip(texts, of_each, strict=True))


class UnknownLabelError(ExpectedError):
    """Nobody said what a label means."""

    def __init__(self, place: str, text: str, column: Column | None = None) -> None:
        whole = ""
        if column and column.heading:
            whole = f", or of the whole column with '{column.heading[:40]}=skip'"
        names = (column and column.meaning.names) or "family"
        super().__init__(
            f"{place}: {text[:60]!r} is not known; say what it is with --as "
            f"'{text[:60]}={names}:NAME' (or checkpoint:, dataset:, protocol:, a "
            f"metric, skip){whole}"
        )
        self.text = text


def read_columns(grid: Grid, labels: Labels) -> list[Column]:
    """Find out what the columns hold; ask for all that is not known at once.

    Raises:
        ExpectedError: the heading of one is not known.
    """
    columns: list[Column] = []
    unknown: list[UnknownLabelError] = []
    for index in range(len(grid.rows[0])):
        try:
            columns.append(_column(grid, labels, index))
        except UnknownLabelError as error:
            unknown.append(error)
    if len(unknown) == 1:
        raise unknown[0]
    if unknown:
        asked = " ".join(f"--as '{error.text[:60]}=...'" for error in unknown)
        raise ExpectedError(
            f"{grid.title}: the headings of {len(unknown)} columns are not known; say "
            f"what each is (a metric such as top1 or error, family:NAME, "
            f"checkpoint:NAME, dataset:NAME, protocol:NAME, or skip) with {asked}"
        )
    return columns


def _column(grid: Grid, labels: Labels, index: int) -> Column:
    """Find out what a column holds, from its headings and cells."""
    number = index + 1
    headings = list(dict.fromkeys(row[index] for row in grid.rows[: grid.header]))
    headings = [heading for heading in headings if heading]
    heading = ", ".join(headings)
    place = f"{grid.title}, column {number}"
    body = [row for row in grid.rows[grid.header :] if len(set(filter(None, row))) > 1]
    cells = [row[index] for row in body if row[index]]
    whole = labels.meaning(heading, f"column {number}")
    found = [whole] if whole else [labels.meaning(text) for text in headings]
    known = [meaning for meaning in found if meaning]
    column = functools.partial(Column, number=number, heading=heading)
    if any(meaning.is_left_out for meaning in known) or not cells:
        return column(meaning=Meaning(is_left_out=True))
    if names := [meaning for meaning in known if meaning.names]:
        return column(holds_names=True, meaning=names[0])
    metrics = [meaning.metrics for meaning in known if meaning.metrics]
    is_metric = any("metric" in meaning.values for meaning in known)
    numbers = (is_number(cell) or len(several(cell)) > 1 for cell in cells)
    if not is_metric and not metrics and not any(numbers):
        return column(holds_names=True)
    if not headings:
        raise ExpectedError(
            f"{place} has numbers and no heading; say what they are with --as "
            f"'column {number}=checkpoint', a metric such as '=top1', or '=skip'"
        )
    values: dict[Dimension, str] = {}
    for text, meaning in zip([heading] if whole else headings, found, strict=True):
        if meaning is None:
            raise UnknownLabelError(place, text)
        values = joined(place, values, meaning.values)
    told = Meaning(values=values, metrics=metrics[0] if metrics else ())
    return column(meaning=told)


def side_by_side(columns: Sequence[Column]) -> list[list[Column]]:
    """Part the columns of tables that were set beside each other, each with its names.

    They are such where the headings of the first come again, all of them.
    """
    lowest = [column.heading.rpartition(", ")[2] for column in columns]
    starts = [n for n, one in enumerate(columns) if one.meaning.names == "checkpoint"]
    if len(starts) < 2 or starts[0] != 0:
        return [list(columns)]
    ends = [*starts[1:], len(columns)]
    blocks = [list(columns[a:b]) for a, b in zip(starts, ends, strict=True)]
    headings = {
        tuple(filter(None, lowest[a:b])) for a, b in zip(starts, ends, strict=True)
    }
    return blocks if len(headings) == 1 else [list(columns)]


def joined(place: str, *parts: Mapping[Dimension, str]) -> dict[Dimension, str]:
    """Put together what is said of a number at several places.

    Raises:
        ExpectedError: they contradict each other.
    """
    values: dict[Dimension, str] = {}
    for part in parts:
        for dimension, value in part.items():
            if values.setdefault(dimension, value) != value:
                raise ExpectedError(
                    f"{place}: the {dimension} is {values[dimension]!r} by one label "
                    f"and {value!r} by another; say what one of them is with --as "
                    "'LABEL=...'"
                )
    return values


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One number of a table: what it is of, as printed, and where it stands there."""

    checkpoint: str
    family: str
    dataset: str
    protocol: str
    metric: str
    printed: CellNumber
    place: str

    @property
    def case(self) -> tuple[str, str, str, str]:
        """What the number is of, but for the metric."""
        return self.family, self.checkpoint, self.dataset, self.protocol


def unit_of(entries: Sequence[Entry]) -> Shares:
    """See what a table prints shares as.

    Raises:
        ExpectedError: it may be both, or is one here and the other there.
    """
    shares = [
        entry for entry in entries if METRICS[entry.metric].unit.whole is not None
    ]
    _refuse_both(shares)
    signs = any(entry.printed.is_percent for entry in shares)
    if not shares or signs or any(Decimal(e.printed.digits) > 1 for e in shares):
        return "percent"
    raise ExpectedError(
        "no share of the table is above 1, so it may print fractions or very small "
        "percentages; say which with --unit=fraction or --unit=percent"
    )


def _refuse_both(shares: Sequence[Entry]) -> None:
    """Refuse accuracies of which some look like fractions and others like percentages.

    Raises:
        ExpectedError: there are such; errors may well be below a percent.
    """
    for metric in dict.fromkeys(entry.metric for entry in shares):
        low: list[Entry] = []
        high: list[Entry] = []
        for entry in (entry for entry in shares if entry.metric == metric):
            is_low = 0 < Decimal(entry.printed.digits) < 1
            (low if is_low and not entry.printed.is_percent else high).append(entry)
        if METRICS[metric].is_higher_better and low and high:
            raise ExpectedError(
                f"{low[0].place} has {low[0].printed.digits} where others of its kind "
                f"are such as {high[0].printed.digits}, as if it were a fraction among "
                "percentages; correct it, or say --unit=percent if it is none"
            )


def check_range(entry: Entry, unit: Shares) -> None:
    """Refuse a number that its metric cannot have.

    Raises:
        ExpectedError: it is larger than the whole, or than any that makes sense.
    """
    metric = METRICS[entry.metric].unit
    limit = Decimal(1) if metric.whole and unit == "fraction" else metric.limit
    if Decimal(entry.printed.digits) > limit:
        raise ExpectedError(
            f"{entry.place}: {entry.printed.digits} is above {limit}, so it is no "
            f"{entry.metric} in {unit if metric.whole else metric.name}"
        )


def said_of_cells(entries: Sequence[Entry]) -> Iterator[str]:
    """Say what stands beside numbers and is not part of them."""
    lengths: dict[str, Counter[int]] = defaultdict(Counter)
    for entry in entries:
        lengths[entry.metric][_decimals(entry)] += 1
    for entry in entries:
        if entry.printed.difference:
            yield (
                f"left out {entry.printed.difference!r} beside {entry.printed.digits} "
                f"({entry.place})"
            )
        own, all_of_kind = _decimals(entry), lengths[entry.metric]
        is_alone = all_of_kind[own] == 1 and set(all_of_kind) == {own - 1, own}
        if is_alone and len(entries) > 2:
            yield (
                f"digits   {entry.printed.digits} has one more than all others of its "
                f"kind, a footnote? ({entry.place})"
            )
        if entry.printed.marks:
            yield (
                f"marked   {entry.printed.digits} has {entry.printed.marks!r}, a "
                f"footnote? ({entry.place})"
            )


def _decimals(entry: Entry) -> int:
    return len(entry.printed.digits.partition(".")[2])
