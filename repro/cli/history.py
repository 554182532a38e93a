"""`repro history`: one case through all runs."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

import click

from repro.cli.options import Command, ledger_option, newest_option
from repro.cli.output import echo
from repro.cli.tables import fitted_table, terminal_width
from repro.errors import LedgerError
from repro.records.ledger import Ledger
from repro.records.result import CaseResult
from repro.records.run import Run
from repro.report.sparkline import sparkline


@click.command(cls=Command)
@click.argument("case")
@newest_option
@ledger_option
def history(case: str, number: int, ledger: Path) -> None:
    """Show what a case scored in every run."""
    with Ledger(ledger) as opened:
        entries = opened.history(case, number)
        known = opened.cases() if not entries else []
    if not entries:
        near = difflib.get_close_matches(case, known, n=3, cutoff=0.5)
        hint = f"; it has {', '.join(near)}" if near else ""
        raise LedgerError(f"{ledger} has no result of a case {case!r}{hint}")
    rows = [_row(run, result) for run, result in reversed(entries)]
    headers = ["run", "started", "commit", "top-1 %", "top-5 %", "loss", "verdict"]
    dispensable = ("commit", "top-5 %", "started")
    echo("\n".join(fitted_table(headers, rows, dispensable)))
    echo()
    for name, values in _series([result for _, result in entries]).items():
        if values:
            most = max(8, terminal_width() - 32)
            line = sparkline(values[-most:])
            low, high = min(values), max(values)
            echo(f"{name:<6} {line}  {low:.6g} to {high:.6g}")


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


def _series(results: Sequence[CaseResult]) -> dict[str, list[float]]:
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
