"""`repro show`: the table of one run."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from repro.cli.options import Command, ledger_option
from repro.cli.output import echo, terminal_width
from repro.cli.runs import duration_text
from repro.records.ledger import Ledger
from repro.records.run import Run
from repro.report.claims_report import claim_lines
from repro.report.rows import in_order
from repro.report.terminal import Style, Verbosity, table_lines
from repro.words import wrapped

_COLOURS: dict[Style, str | None] = {
    "good": "green",
    "bad": "red",
}


@click.command(cls=Command)
@click.argument("run", default="last")
@ledger_option
def show(run: str, ledger: Path) -> None:
    """Show what a run measured, beside what was published.

    RUN is a number, `last` (the default), or `green` for the last one in which every
    case met its numbers.
    """
    with Ledger(ledger) as opened:
        print_run(opened, opened.find_run(run), "verbose")


def print_run(ledger: Ledger, found: Run, verbosity: Verbosity) -> None:
    """Print the head of a run, its table and its claims."""
    results = in_order([*ledger.results(found.id), *ledger.unrun(found.id)])
    claims = ledger.claims(found.id)
    width = terminal_width()
    echo(f"run {found.id}, {found.started.astimezone():%Y-%m-%d %H:%M:%S}")
    took = "unfinished" if found.finished is None else f"took {duration_text(found)}"
    echo(f"{took}, {found.cases} of {found.planned} cases")
    if found.commit:
        changed = " with local changes" if found.dirty else ""
        echo(f"commit {found.commit}{changed}")
    environments = dict.fromkeys(
        result.measurement.environment.summary()
        for result in results
        if result.measurement
    )
    for environment in environments:
        echo("\n".join(wrapped(environment, width)))
    _echo(table_lines(results, width, verbosity))
    if claims:
        _echo(claim_lines(claims, width, verbosity))


def _echo(lines: Iterable[tuple[str, Style]]) -> None:
    """Write lines in their styles below an empty one."""
    echo()
    for line, style in lines:
        echo(line, fg=_COLOURS.get(style), dim=style == "dim")
