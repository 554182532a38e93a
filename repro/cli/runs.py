"""`repro runs`: the runs in the ledger."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from repro.cli.options import Command, ledger_option, newest_option
from repro.cli.output import echo, echo_lines, fitted_table, terminal_width
from repro.records.ledger import Ledger
from repro.records.run import Run
from repro.words import counted, shortened, wrapped

#: Options by which a part of all cases is run, or a part of the images.
_SELECTING = (
    *("-k", "-m", "--deselect", "--repro-expected"),
    *("--repro-case", "--repro-limit", "--repro-shard"),
)


@click.command(cls=Command)
@newest_option
@ledger_option
def runs(number: int, ledger: Path) -> None:
    """List runs, newest first."""
    with Ledger(ledger) as opened:
        found = opened.runs(limit=number)
    if not found:
        echo("no run yet")
        return
    rows = [
        (
            run.id,
            f"{run.started.astimezone():%Y-%m-%d %H:%M}",
            duration_text(run),
            run.commit[:10] + "+" * run.dirty,
            f"{run.cases}/{run.planned}",
            "" if run.exit_status is None else run.exit_status,
            verdicts_text(run),
        )
        for run in found
    ]
    headers = ["run", "started", "took", "commit", "cases", "exit", "verdicts"]
    dispensable = ("commit", "took", "cases")
    table = fitted_table(headers, rows, (*dispensable, "verdicts"))
    is_below = "verdicts" not in table[0]
    if is_below:
        table = fitted_table(headers[:-1], [row[:-1] for row in rows], dispensable)
    for line, run in zip(table, [None, None, *found], strict=True):
        echo(line)
        if run and is_below:
            said = f"     {verdicts_text(run)}"
            echo_lines(wrapped(said, terminal_width(), "     "))
        if run and (chosen := selection(run)):
            echo(shortened(f"     {chosen}", terminal_width()), dim=True)


def selection(run: Run) -> str:
    """Give the arguments that chose what a run measured; empty where none did."""
    found: list[str] = []
    words = iter(run.arguments)
    for word in words:
        name = word.partition("=")[0]
        if name in _SELECTING:
            found.append(word)
            if name == word:
                found.append(next(words, ""))
        elif not word.startswith("-") and "::" in word:
            found.append(word)
    return shlex.join(found)


def verdicts_text(run: Run) -> str:
    """Count the verdicts of a run, what makes it red first."""
    ordered = sorted(
        run.counts.items(),
        key=lambda pair: (not pair[0].is_failure, pair[0].is_as_expected),
    )
    said = ", ".join(f"{count:,} {verdict}" for verdict, count in ordered)
    return said or f"none of {counted(run.planned, 'case')}"


def duration_text(run: Run) -> str:
    """Write how long a run took."""
    if run.finished is None:
        return "unfinished"
    seconds = round((run.finished - run.started).total_seconds())
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
