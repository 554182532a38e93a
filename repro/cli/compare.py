"""`repro compare`: what has changed between two runs."""

from __future__ import annotations

from pathlib import Path

import click

from repro.cli.options import Command, ledger_option
from repro.cli.output import echo_lines, terminal_width
from repro.records.comparison import compare_runs
from repro.records.ledger import Ledger
from repro.report.comparison import ROWS_SHOWN, comparison_lines


@click.command(cls=Command)
@click.argument("run_a")
@click.argument("run_b", default="last")
@click.option("--all", "everything", is_flag=True, help="List every case that differs.")
@ledger_option
def compare(run_a: str, run_b: str, everything: bool, ledger: Path) -> None:
    """Compare two runs, case by case and image by image.

    A run is a number, `last` (the default of RUN_B), or `green` for the last one in
    which every case met its numbers; as RUN_A, both mean the last before RUN_B, of
    green runs that with most of the same cases.
    """
    with Ledger(ledger) as opened:
        after = opened.find_run(run_b)
        before = opened.find_run(
            run_a,
            before=None if run_a.isdecimal() else after.id,
            cases={result.id for result in opened.results(after.id)},
        )
        found = compare_runs(opened, before.id, after.id)
    rows = None if everything else ROWS_SHOWN
    echo_lines(comparison_lines(found, rows, terminal_width()))
