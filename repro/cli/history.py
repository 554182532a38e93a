"""`repro history`: cases through all runs."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import click

from repro.cli.options import Command, ledger_option, newest_option
from repro.cli.output import echo, echo_lines, fitted_table, terminal_width
from repro.errors import LedgerError
from repro.records.ledger import Ledger
from repro.records.past import Past, changes_then, past_of, red_since
from repro.records.result import CaseResult, Run
from repro.report.changes import causes_then, red_since_text
from repro.words import briefly, wrapped

_BLOCKS = "▁▂▃▄▅▆▇█"
#: Nights that a curve has room for on any terminal.
_FEWEST = 8
#: Characters of the columns beside name and curve of a case.
_OTHERS = len("  top-1 %  expected divergence  since run 9,999  ")


def sparkline(values: Sequence[float]) -> str:
    """Draw values as blocks from the lowest to the highest; equal ones lie low."""
    low, high = min(values), max(values)
    if low == high:
        return _BLOCKS[0] * len(values)
    step = (high - low) / (len(_BLOCKS) - 1)
    return "".join(_BLOCKS[round((value - low) / step)] for value in values)


@click.command(cls=Command)
@click.argument("case", default="*")
@newest_option
@ledger_option
def history(case: str, number: int, ledger: Path) -> None:
    """Show what cases scored in every run.

    CASE is a case id, or a pattern of them such as 'supervised/*'; without one, each
    case has a line.
    """
    with Ledger(ledger) as opened:
        found = _chosen(opened, case, ledger)
        past = past_of(opened, opened.runs(limit=1)[0].id, number, found)
        if len(found) > 1:
            _print_overview(past)
            return
        _print_runs(opened.history(found.pop(), number))
        for said in past.values():
            echo_lines(_since(opened, said))


def _chosen(opened: Ledger, case: str, ledger: Path) -> set[str]:
    """Find the cases that are meant.

    Raises:
        LedgerError: there are none.
    """
    known = opened.cases()
    found = {case} if case in known else {n for n in known if fnmatchcase(n, case)}
    if not found:
        near = difflib.get_close_matches(case, known, n=3, cutoff=0.5)
        hint = f"; it has {', '.join(near)}" if near else ""
        raise LedgerError(f"{ledger} has no result of a case {case!r}{hint}")
    return found


def _print_overview(past: dict[str, tuple[Past, ...]]) -> None:
    """Print a line for each case: how top-1 moved, the last of it, since when red."""
    rows = []
    # At least a few nights stand beside the other columns.
    longest = max(map(len, briefly([place.partition(" ")[0] for place in past])))
    most = max(_FEWEST, terminal_width() - longest - _OTHERS)
    for place, said in past.items():
        values = [one.top1 for one in said if one.top1 is not None]
        since = red_since_text(said)
        rows.append(
            (
                place.partition(" ")[0],
                f"{values[-1]:.3f}" if values else "",
                said[-1].verdict,
                # The date is that of the run, which `repro runs` has.
                since.partition(",")[0],
                sparkline(values[-most:]) if values else "",
            )
        )
    headers = ["case", "top-1 %", "verdict", "red", "runs"]
    echo("\n".join(fitted_table(headers, rows, ("top-1 %", "red"))))


def _print_runs(entries: Sequence[tuple[Run, CaseResult]]) -> None:
    rows = [_row(run, result) for run, result in reversed(entries)]
    headers = ["run", "started", "commit", "top-1 %", "top-5 %", "loss", "verdict"]
    dispensable = ("commit", "top-5 %", "started")
    echo("\n".join(fitted_table(headers, rows, dispensable)))
    echo()
    for name, values in _series(result for _, result in entries).items():
        if values:
            most = max(_FEWEST, terminal_width() - 32)
            line = sparkline(values[-most:])
            low, high = min(values), max(values)
            said = f"always {low:.6g}" if low == high else f"{low:.6g} to {high:.6g}"
            echo(f"{name:<6} {line}  {said}")


def _since(opened: Ledger, past: Sequence[Past]) -> Iterator[str]:
    """Yield since when a case is red, and what differed then."""
    first = red_since(past)
    if first is None:
        return
    yield f"red {red_since_text(past) or f'in run {first.run}'}"
    since = changes_then(opened, first)
    for label, text in causes_then(since):
        said = f"  {label}: {text}"
        yield from wrapped(said, terminal_width(), "    ")
    if since and not causes_then(since):
        yield f"  nothing that is recorded differs from run {since.run}"


def _row(run: Run, result: CaseResult) -> tuple[object, ...]:
    head = (
        run.id,
        f"{run.started.astimezone():%Y-%m-%d %H:%M}",
        run.commit[:10] + "+" * run.dirty,
    )
    if result.measurement is None:
        return *head, "", "", "", result.verdict
    metrics = result.measurement.metrics
    return (
        *head,
        f"{metrics.percent('top1'):.3f}",
        f"{metrics.percent('top5'):.3f}",
        f"{metrics.loss:.6f}",
        result.verdict,
    )


def _series(results: Iterable[CaseResult]) -> dict[str, list[float]]:
    """List what was measured on all images, oldest first."""
    metrics = [
        result.measurement.metrics
        for result in results
        if result.measurement and result.measurement.is_complete
    ]
    return {
        "top-1": [found.percent("top1") for found in metrics],
        "loss": [found.loss for found in metrics],
    }
