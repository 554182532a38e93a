"""What has changed between two runs, as lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tabulate import tabulate

from repro.judgement.compare import CaseDifference, total_flips
from repro.records.comparison import RunComparison

#: A smaller p-value, times the number of cases, is called more than chance.
SIGNIFICANT = 0.01

ROWS_SHOWN = 30

_HEADERS = ("case", "before", "after", "points", "loss", "right", "wrong", "p", "other")


def comparison_lines(
    found: RunComparison, rows: int | None = ROWS_SHOWN
) -> Iterator[str]:
    """Write the answer first, then the cases that differ, the most telling first.

    Args:
        found: what has changed.
        rows: how many cases to list at most; None for all.
    """
    yield f"run {found.before} -> run {found.after}: {answer(found)}"
    if found.environment:
        yield f"environment: {', '.join(found.environment)}"
    elif found.differences:
        yield "environment: the same"
    changed = [case for case in found.differences if not case.is_same]
    shown = changed if rows is None else changed[:rows]
    if shown:
        yield ""
        yield from _table(shown)
    if len(changed) > len(shown):
        yield f"{len(changed) - len(shown):,} more cases differ"
    for run, cases in (
        (found.before, found.only_before),
        (found.after, found.only_after),
    ):
        if cases:
            yield f"only measured in run {run}: {_listed(cases)}"


def answer(found: RunComparison) -> str:
    """Say in one sentence whether anything has changed."""
    cases = len(found.differences)
    if not cases:
        return "no case was measured in both"
    changed = [case for case in found.differences if not case.is_same]
    if not changed:
        return f"nothing changed: {_cases(cases)}, every image as before"
    flips = total_flips(found.differences)
    telling = [
        case
        for case in found.differences
        if case.flips is not None and case.flips.p * cases < SIGNIFICANT
    ]
    said = (
        f"{len(changed):,} of {_cases(cases)} changed, "
        f"{flips.gained:,} images became right and {flips.lost:,} wrong"
    )
    if telling:
        return f"{said}; more than chance in {_listed([c.case for c in telling])}"
    return f"{said}; no case gained or lost more than chance would"


def _table(cases: Sequence[CaseDifference]) -> Iterator[str]:
    rows = [
        (
            case.case,
            f"{case.before.percent('top1'):.3f}",
            f"{case.after.percent('top1'):.3f}",
            f"{case.points:+.3f}" if case.points else "0",
            f"{case.loss:+.6f}" if case.loss else "0",
            *_flips(case),
            ", ".join(case.others),
        )
        for case in cases
    ]
    columns = [
        place
        for place in range(len(_HEADERS))
        if _HEADERS[place] != "other" or any(row[place] for row in rows)
    ]
    text = tabulate(
        [[row[place] for place in columns] for row in rows],
        headers=[_HEADERS[place] for place in columns],
        disable_numparse=True,
        colalign=[
            "left" if _HEADERS[place] in ("case", "other") else "right"
            for place in columns
        ],
    )
    yield from (line.rstrip() for line in text.splitlines())


def _flips(case: CaseDifference) -> tuple[str, str, str]:
    if case.flips is None:
        return "?", "?", "?"
    return f"{case.flips.gained:,}", f"{case.flips.lost:,}", f"{case.flips.p:.2g}"


def _cases(number: int) -> str:
    return f"{number:,} case{'s' * (number != 1)}"


def _listed(names: Sequence[str], most: int = 3) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
