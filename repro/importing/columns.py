"""What each column of a printed table holds, from its headings and cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from repro.errors import ExpectedError
from repro.importing.cells import is_empty, is_number, several
from repro.importing.grids import Grid
from repro.importing.labels import Dimension, Labels


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """What a column holds: numbers, or names, of a dimension or of any.

    Where its cells hold several numbers, `metrics` are what they are of, in order.
    """

    number: int
    heading: str
    values: Mapping[Dimension, str] = {}
    holds_names: bool = False
    names: Dimension | None = None
    is_left_out: bool = False
    metrics: tuple[str, ...] = ()

    def numbers(
        self, place: str, cells: Sequence[str]
    ) -> list[tuple[str, Mapping[Dimension, str]]]:
        """Give the texts of the numbers of a row, each with what it is of.

        Raises:
            ExpectedError: there are more or less than the heading says.
        """
        cell = cells[self.number - 1]
        texts = several(cell)
        if not self.metrics or is_empty(cell):
            return [(cell, self.values)]
        if len(texts) != len(self.metrics):
            raise ExpectedError(
                f"{place}: {cell[:60]!r} is not {' and '.join(self.metrics)}, which "
                "its heading says; correct it, or leave the row out with --as "
                "'ROW=skip'"
            )
        of_each = [{**self.values, "metric": metric} for metric in self.metrics]
        return list(zip(texts, of_each, strict=True))


class UnknownLabelError(ExpectedError):
    """Nobody said what a label means."""

    def __init__(self, place: str, text: str, column: Column | None = None) -> None:
        whole = ""
        if column and column.heading:
            whole = f", or of the whole column with '{column.heading[:40]}=skip'"
        wanted = f"{column.names}:NAME" if column and column.names else "family:NAME"
        super().__init__(
            f"{place}: {text[:60]!r} is not known; say what it is with --as "
            f"'{text[:60]}={wanted}' (or checkpoint:, dataset:, protocol:, a metric, "
            f"skip){whole}"
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
    if any(meaning and meaning.is_left_out for meaning in found) or not cells:
        return Column(number=number, heading=heading, is_left_out=True)
    for meaning in found:
        if meaning and meaning.names:
            return Column(
                number=number, heading=heading, holds_names=True, names=meaning.names
            )
    metrics = [meaning.metrics for meaning in found if meaning and meaning.metrics]
    is_metric = any(meaning and "metric" in meaning.values for meaning in found)
    numbers = (is_number(cell) or len(several(cell)) > 1 for cell in cells)
    if not is_metric and not metrics and not any(numbers):
        return Column(number=number, heading=heading, holds_names=True)
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
    return Column(
        number=number,
        heading=heading,
        values=values,
        metrics=metrics[0] if metrics else (),
    )


def side_by_side(columns: Sequence[Column]) -> list[list[Column]]:
    """Part the columns of tables that were set beside each other, each with its names.

    They are such where the headings of the first come again, all of them.
    """
    lowest = [column.heading.rpartition(", ")[2] for column in columns]
    starts = [n for n, one in enumerate(columns) if one.names == "checkpoint"]
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
