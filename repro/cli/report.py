"""`repro report`: make a report of a run from the ledger."""

from __future__ import annotations

from pathlib import Path

import click

from repro.cli.options import Command, ledger_option, read_with
from repro.options import readers
from repro.records.ledger import Ledger
from repro.report.faces import write_report
from repro.report.report import report_of_run, since_run


@click.command(cls=Command)
@click.argument("run", default="last")
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    required=True,
    callback=read_with(readers.report),
    metavar="FILE",
    help="What to write; the suffix chooses the kind: .json, .md, .csv, .html or "
    ".badge.json. Repeatable.",
)
@click.option(
    "--baseline",
    metavar="RUN",
    help="Show which images flipped since this run.",
)
@ledger_option
def report(
    run: str, outputs: tuple[Path, ...], baseline: str | None, ledger: Path
) -> None:
    """Write a report of a run, as --repro-report does.

    RUN is a number, `last` (the default), or `green` for the last one in which every
    case met its numbers. With --baseline, `last` and `green` mean the last before RUN.
    """
    with Ledger(ledger) as opened:
        found = opened.find_run(run)
        content = report_of_run(opened, found)
        if baseline:
            cases = {result.id for result in content.results}
            before = opened.find_run(baseline, before=found.id, cases=cases)
            content = since_run(content, opened, found.id, before)
    for file in outputs:
        write_report(file, content)
        click.echo(f"report: {file}")
