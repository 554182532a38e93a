"""`repro runs`: the runs in the ledger."""

from __future__ import annotations

from pathlib import Path

import click
from tabulate import tabulate

from repro.cli.options import Command, ledger_option, newest_option
from repro.records.ledger import Ledger
from repro.records.run import Run


@click.command(cls=Command)
@newest_option
@ledger_option
def runs(number: int, ledger: Path) -> None:
    """List runs, newest first."""
    with Ledger(ledger) as opened:
        found = opened.runs(limit=number)
    if not found:
        click.echo("no run yet")
        return
    rows = [
        (
            run.id,
            f"{run.started.astimezone():%Y-%m-%d %H:%M}",
            duration_text(run),
            run.commit[:10] + "+" * run.dirty,
            f"{run.cases}/{run.planned}",
            ", ".join(f"{count:,} {verdict}" for verdict, count in run.counts.items()),
        )
        for run in found
    ]
    headers = ["run", "started", "took", "commit", "cases", "verdicts"]
    click.echo(tabulate(rows, headers=headers, disable_numparse=True))


def duration_text(run: Run) -> str:
    """Write how long a run took."""
    if run.finished is None:
        return "unfinished"
    seconds = round((run.finished - run.started).total_seconds())
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
