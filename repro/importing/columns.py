"""What each column of a printed table holds, by its headings, and each cell of it.

Its numbers, with what they are of, are entries: they tell what shares are printed as.
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

import msgspec

from repro.errors import ExpectedError
from repro.importing.grids import Grid
from repro.importing.labels import Dimension, Labels, Meaning
from repro.published import METRICS, Shares

#: Cells that say that there is no number.
_NOTHING = re.compile(r"(?i)[-\u2010-\u2015\u2212./?]*|n/?a|none|nan|tbd|x|✗")
_DIGITS = r"[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]*)?|\.[0-9]+"
_NUMBER = re.compile(
    rf"(?P<number>{_DIGITS})\s*(?P<percent>%)?"
    rf"(?:\s*_?\s*\(?\s*±\s*(?P<spread>{_DIGITS})\s*%?\s*\)?)?\s*%?"
    # A difference from another row, as in `76.1 (+1.2)` or `76.1 ↑1.2`; not 76.1-77.
    r"(?P<difference>\s*_?(?:[(\[]\s*[+\u2212\u2191\u2193-]|[+\u2212\u2191\u2193])"
    r"\s*[0-9][0-9.]*\s*%?\s*[)\]]?)?"
    r"(?P<marks>(?:\s*(?:\^\s*(?:\([^()\s]+\)|\S+)|\[\^?\w+\]"
    r"|[*†‡§¶#\u204e\u2217⋆★↑↓¹²³⁰⁴-⁹ᵃ-ᶻ]))*)"
)
#: An uncertainty of the last digits, as physicists and siunitx write it: `91.73(12)`.
_IN_LAST_DIGITS = re.compile(r"(?<=[0-9]\.)([0-9]+)\(([0-9]{1,2})\)")
_MATHS = (
    (r"\\pm\b|\+/-|\+-", "±"),
    (r"\\%|\uff05", "%"),
    (r"\\dagger\b|\\dag\b", "†"),
    (r"\\ddagger\b|\\ddag\b", "‡"),
    (r"\\(?:ast|star)\b", "*"),
    (r"\\(?:mathbf|textbf|bm|boldsymbol|underline|mathrm|text)\b", ""),
    # What a document defines itself, before a number: emphasis.
    (r"^\s*(?:\\[A-Za-z]+\s*)+(?=[0-9.])", ""),
    (r"[${}]", ""),
    (r"\*\*|__|`", ""),
)


class CellNumber(msgspec.Struct, frozen=True, kw_only=True):
    """A number with its digits as printed, and `spread`, if any, after a ±.

    `is_percent` says that it has a percent sign. `marks` are those of footnotes, and
    `difference` is one from another row that is printed beside it; neither counts.
    """

    digits: str
    spread: str = ""
    is_percent: bool = False
    marks: str = ""
    difference: str = ""


def read_cell(text: str, *, decimal_comma: bool = False) -> CellNumber | None:
    """Read a cell that should hold a number; None where it says that there is none.

    Args:
        text: the cell.
        decimal_comma: whether commas stand before decimals, and points between
            thousands.

    Raises:
        ExpectedError: it holds something else.
    """
    plain = text
    for pattern, sign in _MATHS:
        plain = re.sub(pattern, sign, plain)
    plain = plain.strip()
    if decimal_comma:
        plain = plain.translate({ord(","): ".", ord("."): ","})
    plain = _IN_LAST_DIGITS.sub(_written_out, plain)
    if _NOTHING.fullmatch(plain):
        return None
    match = _NUMBER.fullmatch(plain)
    if not match:
        hint = ""
        if len(several(text)) > 1:
            hint = "; where it is several, say of what, --as 'HEADING=top1/top5'"
        if re.fullmatch(r"[0-9.]*,[0-9]+\s*%?", plain):
            hint = (
                "; a comma before decimals has to be written as a point, or say "
                "--decimal-comma"
            )
        raise ExpectedError(f"{text[:60]!r} is no number{hint}")
    return CellNumber(
        digits=_whole(match["number"]),
        spread=_whole(match["spread"]) if match["spread"] else "",
        is_percent="%" in plain,
        marks="".join(match["marks"].split()),
        difference=(match["difference"] or "").strip(),
    )


def several(cell: str) -> list[str]:
    """Give the numbers of a cell that holds several: `91.7/99.1`, `91.7 (99.1)`.

    One number alone, with its spread or difference, is a list of one.
    """
    parts = [part.strip() for part in re.split(r"[/|]", cell)]
    behind = re.fullmatch(r"([^()]+?)\s*\(\s*(\d[^()]*)\)", cell.strip())
    found = [behind[1], behind[2]] if behind and len(parts) == 1 else parts
    return found if len(found) > 1 and all(map(is_number, found)) else [cell]


def _written_out(match: re.Match[str]) -> str:
    decimals, spread = match[1], match[2].zfill(len(match[1]) + 1)
    point = len(spread) - len(decimals)
    return f"{decimals} ± {spread[:point]}.{spread[point:]}"


def is_empty(text: str) -> bool:
    """Tell whether a cell says that there is no number."""
    return bool(_NOTHING.fullmatch(text.strip()))


def is_number(text: str) -> bool:
    """Tell whether a cell holds a number, or says that there is none."""
    for decimal_comma in (False, True):
        with contextlib.suppress(ExpectedError):
            read_cell(text, decimal_comma=decimal_comma)
            return True
    return False


def _whole(digits: str) -> str:
    """Write a number without thousands signs and with a digit before its point."""
    plain = digits.replace(",", "").removesuffix(".")
    return f"0{plain}" if plain.startswith(".") else plain


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
