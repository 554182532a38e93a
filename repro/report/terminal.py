"""The table at the end of a run, as lines for a terminal of some width."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from tabulate import tabulate

from repro.judgement.verdict import Verdict
from repro.records.result import CaseResult
from repro.report.rows import Row, rows_of, shift_text, totals_text

Style = Literal["plain", "good", "bad", "dim"]
Verbosity = Literal["quiet", "normal", "verbose"]

#: Without -v a longer table shows only the rows that somebody has to look at.
ROWS_SHOWN = 80

_COLUMNS = {
    "family": "family",
    "checkpoint": "checkpoint",
    "protocol": "protocol",
    "dataset": "dataset",
    "metric": "metric",
    "published": "published",
    "measured": "measured",
    "difference": "diff",
    "images": "images",
    "tolerance": "tolerance",
    "verdict": "verdict",
}
#: What a narrow terminal does without, first to last.
_DISPENSABLE = ("tolerance", "images", "dataset", "protocol", "difference")
_ALWAYS = {"family", "checkpoint", "metric", "verdict"}
_NUMBERS = {"published", "measured", "difference", "images", "tolerance"}


def table_lines(
    results: Sequence[CaseResult], width: int, verbosity: Verbosity = "normal"
) -> Iterator[tuple[str, Style]]:
    """Yield the lines of the table with the style of each.

    Args:
        results: of all cases.
        width: of the terminal, in characters.
        verbosity: `quiet` leaves out what is reproduced, `verbose` nothing.
    """
    rows = rows_of(results)
    shown = _chosen(rows, verbosity)
    if shown:
        lines = _table(shown, width)
        yield lines[0], "plain"
        yield lines[1], "dim"
        for line, row in zip(lines[2:], shown, strict=True):
            yield line, _style(row.verdict)
    if hidden := len(rows) - len(shown):
        yield f"{hidden:,} reproduced rows are not shown; -v shows them", "dim"
    yield from _reasons(results, width)
    if shift := shift_text(results):
        yield shift, "plain"
    bad = any(result.verdict.is_divergence for result in results)
    done = all(result.verdict is Verdict.REPRODUCED for result in results)
    yield totals_text(results), "bad" if bad else "good" if done else "plain"


def _chosen(rows: Sequence[Row], verbosity: Verbosity) -> list[Row]:
    if verbosity == "verbose" or (verbosity == "normal" and len(rows) <= ROWS_SHOWN):
        return list(rows)
    return [row for row in rows if row.verdict is not Verdict.REPRODUCED]


def _table(rows: Sequence[Row], width: int) -> list[str]:
    """Lay out rows below a header and a rule, without the columns that do not fit."""
    columns = [
        column
        for column in _COLUMNS
        if column in _ALWAYS
        or (column in _NUMBERS and any(getattr(row, column) for row in rows))
        or (column not in _NUMBERS and len({getattr(r, column) for r in rows}) > 1)
    ]
    lines = _laid_out(rows, columns)
    for column in _DISPENSABLE:
        if max(map(len, lines)) <= width:
            break
        columns = [name for name in columns if name != column]
        lines = _laid_out(rows, columns)
    excess = max(map(len, lines)) - width
    if excess > 0:
        longest = max(len(row.family) for row in rows)
        lines = _laid_out(rows, columns, max(8, longest - excess))
    return [line[:width] for line in lines]


def _laid_out(
    rows: Sequence[Row], columns: Sequence[str], family_width: int = 1000
) -> list[str]:
    def cell(row: Row, column: str) -> str:
        text = str(getattr(row, column))
        if column != "family" or len(text) <= family_width:
            return text
        return "…" + text[1 - family_width :]

    text = tabulate(
        [[cell(row, column) for column in columns] for row in rows],
        headers=[_COLUMNS[column] for column in columns],
        tablefmt="simple",
        disable_numparse=True,
        colalign=["right" if column in _NUMBERS else "left" for column in columns],
    )
    return [line.rstrip() for line in text.splitlines()]


def _reasons(results: Sequence[CaseResult], width: int) -> Iterator[tuple[str, Style]]:
    """Yield why cases were not run, each reason once with its cases."""
    grouped: dict[str, list[str]] = {}
    for result in results:
        if result.verdict is Verdict.NOT_RUN:
            grouped.setdefault(result.reason.splitlines()[0], []).append(result.id)
    for reason, cases in grouped.items():
        more = f" and {len(cases) - 1:,} more" if len(cases) > 1 else ""
        yield f"not run: {cases[0]}{more}", "plain"
        yield f"    {reason}", "dim"


def _style(verdict: Verdict) -> Style:
    if verdict is Verdict.REPRODUCED:
        return "good"
    return "bad" if verdict.is_divergence else "plain"
