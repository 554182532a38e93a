"""`repro prune`: make the ledger smaller."""

from __future__ import annotations

from pathlib import Path

import click

from repro.cli.options import Command, ledger_option
from repro.cli.output import echo
from repro.records import pruning
from repro.records.ledger import Ledger
from repro.words import counted


@click.command(cls=Command)
@click.option(
    "--keep-runs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Remove all but the newest N runs and the last green one.",
)
@click.option(
    "--predictions-mb",
    type=click.IntRange(min=0),
    default=pruning.PREDICTION_BYTES // 10**6,
    show_default=True,
    metavar="MB",
    help="Keep per-image predictions of the newest runs, up to this size.",
)
@ledger_option
def prune(keep_runs: int | None, predictions_mb: int, ledger: Path) -> None:
    """Remove old runs and predictions.

    Metrics of the runs that stay are kept.

    Every run of pytest does this by itself with the default size.
    """
    with Ledger(ledger) as opened:
        removed = pruning.prune(opened, keep_runs, predictions_mb * 10**6)
    runs, sets = counted(removed.runs, "run"), counted(removed.predictions, "set")
    size = f"{removed.bytes / 1e6:,.1f} MB"
    echo(f"removed {runs} and {sets} of predictions, {size}")
