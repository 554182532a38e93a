"""What has changed between two runs, as lines of text."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence

from tabulate import tabulate

from repro.judgement.compare import CaseDifference, total_flips
from repro.records.comparison import RunComparison
from repro.report.changes import change_text, environment_text, grouped_changes
from repro.report.texts import told_apart
from repro.words import counted, fitted, listed, nonzero_text, shortened, wrapped

#: A smaller p-value, times the number of cases, is called more than chance.
SIGNIFICANT = 0.01

ROWS_SHOWN = 30

_HEADERS = ("case", "before", "after", "points", "loss", "right", "wrong", "p", "other")
#: What a narrow terminal does without, first to last.
_DISPENSABLE = ("p", "loss", "before", "after", "other")


def comparison_lines(
    found: RunComparison, rows: int | None = ROWS_SHOWN, width: int | None = None
) -> Iterator[str]:
    """Write the answer first, then the cases that differ, the most telling first.

    Args:
        found: what has changed.
        rows: how many cases to list at most; None for all.
        width: of the terminal in characters, which the table is to fit.
    """
    for line in _lines(found, rows, width):
        # Rows of the table fit; of others no part is to be lost.
        yield from (wrapped(line, width) or [""]) if width else [line]


def _lines(found: RunComparison, rows: int | None, width: int | None) -> Iterator[str]:
    yield f"run {found.before} → run {found.after}: {answer(found)}"
    if found.environment:
        yield f"environment: {environment_text(found.environment)}"
    elif found.differences:
        yield "environment: the same"
    changed = [case for case in found.differences if not case.is_same]
    shown = changed if rows is None else changed[:rows]
    if shown:
        yield ""
        yield from _table(shown, width)
    if len(changed) > len(shown):
        yield f"{len(changed) - len(shown):,} more cases differ"
    yield from _details(found, shown)
    for run, cases in (
        (found.before, found.only_before),
        (found.after, found.only_after),
    ):
        if cases:
            yield f"only measured in run {run}: {listed(cases)}"


def since_run_text(found: RunComparison) -> str:
    """Say what an upgrade changed, in a sentence that names it."""
    moved = listed([change_text(one) for one in found.environment], 2)
    upgrade = f", with {moved}" if moved else ""
    return f"Since run {found.before}{upgrade}: {answer(found)}."


def answer(found: RunComparison) -> str:
    """Say in one sentence whether anything has changed, and what is unknown."""
    if not found.differences:
        return "no case was measured in both"
    said = _changed(found)
    if found.only_after:
        more = len(found.only_after)
        every = counted(len(found.differences) + more, "case")
        said += (
            f"; {more:,} of the {every} of run {found.after} "
            f"{'was' if more == 1 else 'were'} not measured in run {found.before}"
        )
    return said


def _changed(found: RunComparison) -> str:
    cases = len(found.differences)
    changed = [case for case in found.differences if not case.is_same]
    unknown = [case for case in found.differences if case.flips is None]
    if not changed and not unknown:
        part = [case for case in found.differences if case.is_of_a_part]
        which = "every image that both evaluated" if part else "every image"
        return f"nothing changed: {counted(cases, 'case')}, {which} as before"
    parts = []
    if edited := [case for case in found.differences if case.published]:
        parts.append(f"published numbers of {counted(len(edited), 'case')} were edited")
    moved = [case for case in changed if not (case.published and case.measured_same)]
    if moved:
        parts.append(f"{len(moved):,} of {counted(cases, 'case')} changed")
        parts += _moves(found.differences)
    else:
        parts.append(f"{counted(cases, 'case')} measured the same as before")
    if unknown:
        number = counted(len(unknown), "case")
        parts.append(f"which images became right or wrong is unknown in {number}")
    return "; ".join([", ".join(parts), *_chance(found.differences)])


def _moves(differences: Sequence[CaseDifference]) -> Iterator[str]:
    """Yield how many images became right and wrong, as far as that is known."""
    known = [case for case in differences if case.flips is not None]
    replaced = [case.images for case in differences if case.images]
    if known:
        flips = total_flips(known)
        is_part = any(
            case.flips.images < max(case.before.images, case.after.images)
            for case in known
            if case.flips
        )
        which = " that both evaluated" if is_part else ""
        if flips.any:
            gained = counted(flips.gained, "image")
            yield f"{gained}{which} became right and {flips.lost:,} wrong"
        else:
            yield f"no image{which} became right or wrong"
    if replaced:
        yield f"{counted(len(replaced), 'case')} evaluated other images"


def _chance(differences: Sequence[CaseDifference]) -> Iterator[str]:
    """Yield which cases changed by more than chance, where all can be judged."""
    telling = [
        case.case
        for case in differences
        if case.flips is not None and case.flips.p * len(differences) < SIGNIFICANT
    ]
    if telling:
        yield f"more than chance in {listed(telling)}"
    elif all(case.flips and not case.images for case in differences) and any(
        case.flips.any for case in differences if case.flips
    ):
        yield "no case gained or lost more than chance would"


def _details(found: RunComparison, changed: Sequence[CaseDifference]) -> Iterator[str]:
    """Yield what differs in the cases besides the environment, each once."""
    shown = {case.case for case in changed}
    unknown = [case for case in found.differences if case.unknown]
    chosen = [c for c in found.differences if c.case in shown or c in unknown]
    lines = [
        f"{label}: {text} ({listed(cases)})"
        for (label, text), cases in grouped_changes(chosen).items()
        if label not in ("environment", "measured", "verdicts")
    ]
    if lines:
        yield from ("", *lines)


def _table(cases: Sequence[CaseDifference], width: int | None) -> list[str]:
    """Lay out the cases, without the columns that a narrow terminal has no room for."""
    rows = [dict(zip(_HEADERS, _row(case), strict=True)) for case in cases]
    columns = [n for n in _HEADERS if n != "other" or any(row[n] for row in rows)]
    lines = fitted(rows, columns, _DISPENSABLE, width or sys.maxsize, _laid_out)
    return [line if width is None else shortened(line, width) for line in lines]


def _row(case: CaseDifference) -> tuple[str, ...]:
    return (
        case.case,
        *told_apart(case.before.percent("top1"), case.after.percent("top1"), 3),
        nonzero_text(case.points, 3, signed=True) if case.points else "0",
        _loss(case),
        *_flips(case),
        ", ".join(_others(case)),
    )


def _laid_out(rows: Sequence[Mapping[str, str]], columns: Sequence[str]) -> list[str]:
    text = tabulate(
        [[row[name] for name in columns] for row in rows],
        headers=columns,
        disable_numparse=True,
        colalign=["left" if n in ("case", "other") else "right" for n in columns],
    )
    return [line.rstrip() for line in text.splitlines()]


def _loss(case: CaseDifference) -> str:
    if case.is_of_a_part:
        return "?"
    return nonzero_text(case.loss, 6, signed=True) if case.loss else "0"


def _flips(case: CaseDifference) -> tuple[str, str, str]:
    if case.flips is None:
        return "?", "?", "?"
    return f"{case.flips.gained:,}", f"{case.flips.lost:,}", f"{case.flips.p:.2g}"


def _others(case: CaseDifference) -> Iterator[str]:
    """Yield what else differs, in a word each; what it is stands below the table."""
    if case.published:
        yield "published"
    if case.weights:
        yield "weights"
    if case.images:
        yield "images"
    if case.is_of_a_part:
        yield "a part"
    if case.unknown:
        yield "unknown"
    yield from (change.name for change in case.others)
