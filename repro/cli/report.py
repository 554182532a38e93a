"""`repro report`: make a report of a run from the ledger."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from repro.cli.options import (
    EXISTING_FOLDER,
    Command,
    baseline_option,
    ledger_option,
    named,
    read_with,
)
from repro.cli.output import echo
from repro.errors import LedgerError
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
@baseline_option
@click.option(
    "--thumbnails",
    type=EXISTING_FOLDER,
    metavar="DIR",
    help="Show the first images that flipped since the baseline, small, in a .html: "
    "DIR has them, one folder a class.",
)
@ledger_option
@click.pass_context
def report(
    context: click.Context,
    run: str,
    outputs: tuple[Path, ...],
    baseline: str | None,
    thumbnails: Path | None,
    ledger: Path,
) -> None:
    """Write a report of a run, as --repro-report does.

    RUN is a number, `last` (the default), or `green` for the last one in which every
    case met its numbers. With --baseline, `last` and `green` mean the last before RUN.
    """
    with Ledger(ledger) as opened:
        found = opened.find_run(run)
        content = report_of_run(opened, found)
        before = None
        if baseline:
            cases = {result.id for result in content.results}
            try:
                before = opened.find_run(baseline, before=found.id, cases=cases)
            except LedgerError as error:
                if named(context, "baseline"):
                    raise
                # As in a run, what stands in the environment need not be there yet.
                echo(f"nothing to compare with: {error}", err=True)
        if before:
            content = since_run(content, opened, found.id, before)
    content = msgspec.structs.replace(content, photographs=thumbnails)
    for file in outputs:
        write_report(file, content)
        echo(f"report: {file}")
