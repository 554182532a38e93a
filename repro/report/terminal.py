"""The table at the end of a run, as lines for a terminal of some width."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, groupby, product
from typing import Literal

from tabulate import tabulate

from repro.judgement.verdict import Verdict
from repro.records.result import CaseResult
from repro.report.changes import decided_text, since_groups
from repro.report.report import guarded_lines
from repro.report.rows import (
    CaseRows,
    Row,
    cases_with_rows,
    lacking_groups,
    largest_difference,
    metric_names,
    shift_lines,
    totals_text,
)
from repro.report.texts import causes
from repro.words import briefly, counted, fitted, listed, shortened, wrapped

Style = Literal["plain", "good", "bad", "dim", "bold"]
Verbosity = Literal["quiet", "normal", "verbose"]

#: Of a family that has others too, more reproduced checkpoints are one line.
FOLDED = 20

#: Lines that say how a part of the images is decided beside an earlier run.
DECIDED = 10

_HEADERS = {
    "checkpoint_name": "",
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
    results: Sequence[CaseResult],
    width: int,
    verbosity: Verbosity = "normal",
    baseline: int | None = None,
) -> Iterator[tuple[str, Style]]:
    """Yield the lines of the table with the style of each, what is red last.

    Args:
        results: of all cases.
        width: of the terminal, in characters.
        verbosity: `quiet` leaves out what is reproduced, `verbose` nothing; otherwise
            it is one line for families and one row for a checkpoint.
        baseline: run of which it is said elsewhere what differs from it.
    """
    cases = cases_with_rows(results)
    red = [case for case in cases if case.result.is_failure]
    fine = [c for c in cases if c.result.measurement and not c.result.is_failure]
    missing = [case for case in cases if case.result.verdict is Verdict.NOT_RUN]
    between = [*_decided(fine, width), *_not_run(missing, width)]
    above: list[Row] = []
    below = [o.row for case in red if case.result.measurement for o in case.rows]
    if verbosity == "verbose":
        rest = [c for c in cases if not (c.result.is_failure and c.result.measurement)]
        above = [o.row for case in rest for o in case.rows]
    else:
        yield from _summarised(fine, width, is_quiet=verbosity == "quiet")
    if between:
        yield from _table(above, width)
        yield from between
        yield from _table(below, width)
    else:
        yield from _table([*above, *below], width)
    for case in red:
        if case.result.verdict is Verdict.FAILED:
            yield from _explained("failed", case.name, case.result.reason, width, "bad")
    yield from _since(results, width, baseline)
    yield from _causes(results, width)
    for said in guarded_lines(results):
        yield from _wrapped(said, width)
    for said, is_warning in shift_lines(results):
        yield from _wrapped(said, width, "bad" if is_warning else "plain")
    done = all(result.verdict is Verdict.REPRODUCED for result in results)
    style: Style = "bad" if red else "good" if done else "plain"
    yield from _wrapped(totals_text(results), width, style)


def _summarised(
    cases: Sequence[CaseRows], width: int, *, is_quiet: bool
) -> Iterator[tuple[str, Style]]:
    """Yield one line for what a family has reproduced, and one row for other cases."""
    folded: list[list[CaseRows]] = []
    single: list[CaseRows] = []
    for _, found in groupby(cases, key=_group):
        group = list(found)
        met = [c for c in group if c.result.verdict is Verdict.REPRODUCED]
        is_folded = is_quiet or len(met) == len(group) or len(met) > FOLDED
        if met and is_folded:
            folded.append(met)
        single += [c for c in group if c not in met or not is_folded]
    if is_quiet and folded:
        number = sum(map(len, folded))
        said = f"{counted(number, 'reproduced case')} not shown; -v shows all"
        yield from _wrapped(said, width, "dim")
    elif folded:
        yield from _folded(folded, width)
    yield from _side_by_side(single, width)


def _folded(
    groups: Sequence[list[CaseRows]], width: int
) -> Iterator[tuple[str, Style]]:
    """Yield a line for each family: how many checkpoints, and the farthest number."""
    called = [_group(group[0]) for group in groups]
    numbers = [counted(len(group), "checkpoint") for group in groups]
    far = [largest_difference(case.result for case in group) for group in groups]
    room = max(map(len, numbers))
    for texts, names in product(
        (
            [f"reproduced, largest difference {', '.join(f)}" for f in far],
            [f"reproduced, largest difference {f[0]}" for f in far],
            [f"reproduced, {f[0]} at most" for f in far],
            ["reproduced"] * len(far),
        ),
        (called, briefly(called)),
    ):
        longest = max(map(len, names))
        name = min(longest, width - room - max(map(len, texts)) - 4)
        if name == longest:
            break
    for one, number, text in zip(names, numbers, texts, strict=True):
        shown = shortened(one, max(name, 9))
        yield f"{shown:<{name}}  {number:>{room}}  {text}"[:width], "good"


def _group(case: CaseRows) -> str:
    return case.rows[0].row.group


def _side_by_side(cases: Sequence[CaseRows], width: int) -> Iterator[tuple[str, Style]]:
    """Yield a row for each case: its metrics side by side, as many as fit."""
    if not cases:
        return
    metrics = metric_names(o.row for case in cases for o in case.rows)
    names = ["", *(case.rows[0].row.checkpoint_name for case in cases)]
    verdicts = ["", *(str(case.result.verdict) for case in cases)]
    while True:
        columns = chain(*(_metric_columns(metric, cases) for metric in metrics))
        lines = _columns([names, *columns, verdicts])
        if max(map(len, lines)) <= width or len(metrics) <= 1:
            break
        metrics.pop()
    header, *body = lines
    # What has none of the metrics that fit gets a table of its own.
    later = [bool(n := _numbers_of(case)) and n.isdisjoint(metrics) for case in cases]
    yield header[:width], "plain"
    shown = [s for s in zip(cases, body, later, strict=True) if not s[2]]
    for group, members in groupby(shown, key=lambda row: _group(row[0])):
        yield group[:width], "bold"
        for case, line, _ in members:
            yield line[:width], _style(case.result.verdict)
    left = [case for case, is_later in zip(cases, later, strict=True) if is_later]
    yield from _side_by_side(left, width)


def _numbers_of(case: CaseRows) -> set[str]:
    return {o.row.metric_name for o in case.rows if o.row.metric}


def _metric_columns(metric: str, cases: Sequence[CaseRows]) -> Iterator[list[str]]:
    """Yield what was measured, how far that is off, and for a part what is published.

    Beside a difference the published number would say nothing new.
    """
    found = [
        next((o.row for o in case.rows if o.row.metric_name == metric), None)
        for case in cases
    ]
    is_part = any(row and row.interval for row in found)
    beside = [(row.interval or row.difference) if row else "" for row in found]
    yield [metric, *((row.measured if row else "") for row in found)]
    if any(beside):
        yield ["on all images" if is_part else "diff", *beside]
    if is_part:
        yield ["published", *((row.published if row else "") for row in found)]


def _columns(columns: Sequence[Sequence[str]]) -> list[str]:
    """Lay out columns of which the first and the last are words."""
    kinds = ["left", *("right" for _ in columns[2:]), "left"]
    return _plain_table(list(zip(*columns, strict=True)), kinds)


def _plain_table(rows: Sequence[Sequence[str]], kinds: Sequence[str]) -> list[str]:
    """Lay out rows; a header that tabulate knew of would make columns wider."""
    text = tabulate(rows, tablefmt="plain", disable_numparse=True, colalign=kinds)
    return [f"  {line.rstrip()}" for line in text.splitlines()]


def _not_run(cases: Sequence[CaseRows], width: int) -> Iterator[tuple[str, Style]]:
    """Yield what was not run, grouped by what is missing, and what brings it."""
    for found in lacking_groups(cases):
        if len(found.cases) == 1:
            name, reason = found.cases[0].name, found.cases[0].result.reason
            yield from _explained("not run", name, reason, width, "plain")
            continue
        number = counted(len(found.cases), "case")
        yield from _wrapped(f"not run, {found.what}: {number}", width)
        longest = max(map(len, found.families))
        for family, count in found.families.items():
            yield f"    {family:<{longest}}  {count:>5,}", "dim"
        if found.remedy:
            yield f"  {found.remedy}", "plain"


def _explained(
    what: str, case: str, reason: str, width: int, style: Style
) -> Iterator[tuple[str, Style]]:
    yield from _wrapped(f"{what}: {case}", width, style)
    for part in reason.splitlines():
        for line in wrapped(part, width - 4):
            yield f"    {line}", "dim"


def _table(rows: Sequence[Row], width: int) -> Iterator[tuple[str, Style]]:
    """Yield header and rule, and the rows below a line for each group."""
    if not rows:
        return
    cells = [{name: str(getattr(row, name)) for name in _HEADERS} for row in rows]
    columns = [n for n in _HEADERS if n in _TEXTS or any(row[n] for row in cells)]
    lines = fitted(cells, columns, _DISPENSABLE, width, _laid_out)
    header, *body = (line[:width] for line in lines)
    yield header, "plain"
    yield ("-" * max(map(len, lines)))[:width], "dim"
    following = iter(body)
    for group, members in groupby(rows, key=lambda row: row.group):
        yield group[:width], "bold"
        for row in members:
            yield next(following), _style(row.verdict)


def _laid_out(rows: Sequence[Mapping[str, str]], columns: Sequence[str]) -> list[str]:
    """Lay out header and rows."""
    cells = [[row[column] for column in columns] for row in (_HEADERS, *rows)]
    kinds = ["left" if column in _TEXTS else "right" for column in columns]
    return _plain_table(cells, kinds)


def _decided(cases: Sequence[CaseRows], width: int) -> Iterator[tuple[str, Style]]:
    """Yield how a part of the images is decided beside a run of all of them."""
    found: dict[str, list[str]] = {}
    for case in cases:
        if since := case.result.since:
            found.setdefault(decided_text(since), []).append(case.name)
    for said, same in list(found.items())[:DECIDED]:
        yield from _wrapped(f"{said} ({listed(same, 1)})", width)
    if len(found) > DECIDED:
        yield f"{len(found) - DECIDED:,} more cases differ from earlier runs", "plain"


def _since(
    results: Sequence[CaseResult], width: int, baseline: int | None
) -> Iterator[tuple[str, Style]]:
    """Yield what has changed since failing cases were as expected, each part once."""
    for title, parts in since_groups(results, told=baseline):
        yield from _wrapped(title, width)
        together: dict[tuple[str, ...], list[tuple[str, str]]] = {}
        for part, cases in parts.items():
            together.setdefault(tuple(cases), []).append(part)
        for shared, said in together.items():
            indent = "    " if shared else "  "
            if shared:
                yield from _wrapped(f"  {listed(shared)}", width)
            for label, text in said:
                style: Style = "plain" if label == "published" else "dim"
                line = f"{indent}{label}: {text}"
                yield from _wrapped(line, width, style, f"{indent}  ")


def _causes(results: Sequence[CaseResult], width: int) -> Iterator[tuple[str, Style]]:
    """Yield what was found to explain cases, or that nothing was, once for all."""
    for ((what, sentence),), cases in causes(results, parts=1).items():
        yield from _explained(what, listed(cases), sentence, width, "plain")


def _wrapped(
    text: str, width: int, style: Style = "plain", indent: str = "  "
) -> Iterator[tuple[str, Style]]:
    return ((line, style) for line in wrapped(text, width, indent))


def _style(verdict: Verdict) -> Style:
    if verdict is Verdict.REPRODUCED:
        return "good"
    return "bad" if verdict.is_failure else "plain"
