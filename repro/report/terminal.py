"""The table at the end of a run, as lines for a terminal of some width."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Literal

from tabulate import tabulate

from repro.diagnosis.sentences import CALLED
from repro.judgement.verdict import Verdict
from repro.records.result import CaseResult
from repro.report.changes import since_groups
from repro.report.rows import (
    Row,
    rows_of,
    shift_of,
    shift_text,
    shift_warning,
    totals_text,
)
from repro.report.variants import names, reasons
from repro.words import listed

Style = Literal["plain", "good", "bad", "dim", "bold"]
Verbosity = Literal["quiet", "normal", "verbose"]

#: Without -v a longer table shows only the rows that somebody has to look at.
ROWS_SHOWN = 100

#: Characters of a line that words are not broken for.
_NARROWEST = 40

_HEADERS = {
    "checkpoint_name": "checkpoint",
    "metric_name": "metric",
    "published": "published",
    "measured": "measured",
    "interval": "on all images",
    "difference": "diff",
    "images": "images",
    "tolerance": "tolerance",
    "verdict": "verdict",
}
_TEXTS = ("checkpoint_name", "metric_name", "verdict")
#: What a narrow terminal does without, first to last.
_DISPENSABLE = ("images", "tolerance", "difference", "interval")


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
        yield from _table(shown, width)
    if hidden := len(rows) - len(shown):
        yield f"{hidden:,} reproduced rows are not shown; -v shows them", "dim"
    yield from _reasons(results)
    yield from _since(results, width)
    yield from _causes(results)
    if shift := shift_of(results):
        for line in _wrapped(shift_text(shift), width):
            yield line, "plain"
        for line in _wrapped(shift_warning(shift), width):
            yield line, "bad"
    bad = any(result.verdict.is_failure for result in results)
    done = all(result.verdict is Verdict.REPRODUCED for result in results)
    yield totals_text(results), "bad" if bad else "good" if done else "plain"


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, max(width, _NARROWEST), subsequent_indent="  ")


def _chosen(rows: Sequence[Row], verbosity: Verbosity) -> list[Row]:
    if verbosity == "verbose" or (verbosity == "normal" and len(rows) <= ROWS_SHOWN):
        return list(rows)
    return [row for row in rows if row.verdict is not Verdict.REPRODUCED]


def _table(rows: Sequence[Row], width: int) -> Iterator[tuple[str, Style]]:
    """Yield header and rule, and the rows below a line for each group."""
    columns = [
        column
        for column in _HEADERS
        if column in _TEXTS or any(getattr(row, column) for row in rows)
    ]
    lines = _laid_out(rows, columns)
    for name in _DISPENSABLE:
        if max(map(len, lines)) <= width:
            break
        columns = [column for column in columns if column != name]
        lines = _laid_out(rows, columns)
    header, *body = (line[:width] for line in lines)
    yield header, "plain"
    yield "-" * max(map(len, lines)), "dim"
    following = iter(body)
    for group, members in groupby(rows, key=lambda row: row.group):
        yield group[:width], "bold"
        for row in members:
            yield next(following), _style(row.verdict)


def _laid_out(rows: Sequence[Row], columns: Sequence[str]) -> list[str]:
    """Lay out header and rows; tabulate would make columns wider for their headers."""
    header = [_HEADERS[column] for column in columns]
    body = [[str(getattr(row, column)) for column in columns] for row in rows]
    text = tabulate(
        [header, *body],
        tablefmt="plain",
        disable_numparse=True,
        colalign=["left" if column in _TEXTS else "right" for column in columns],
    )
    return [f"  {line.rstrip()}" for line in text.splitlines()]


def _reasons(results: Sequence[CaseResult]) -> Iterator[tuple[str, Style]]:
    """Yield why cases were not run, each reason once with its cases."""
    for (_, reason), cases in reasons(results, [Verdict.NOT_RUN]).items():
        yield f"not run: {listed(cases, 1)}", "plain"
        yield f"    {reason}", "dim"


def _since(results: Sequence[CaseResult], width: int) -> Iterator[tuple[str, Style]]:
    """Yield what has changed since failing cases were as expected, each part once."""
    for title, parts in since_groups(results):
        yield f"{title}:", "plain"
        for (label, text), cases in parts.items():
            for line in _wrapped(f"  {label}: {text} ({listed(cases)})", width):
                yield line, "plain" if label == "published" else "dim"


def _causes(results: Sequence[CaseResult]) -> Iterator[tuple[str, Style]]:
    """Yield what was found to explain a case, or that nothing was."""
    called = names(results)
    for result in results:
        found = result.diagnosis
        if found and found.is_needed:
            yield f"{CALLED[found.outcome]}: {called[result.place]}", "plain"
            yield f"    {found.sentence}", "dim"


def _style(verdict: Verdict) -> Style:
    if verdict is Verdict.REPRODUCED:
        return "good"
    return "bad" if verdict.is_failure else "plain"
