"""Runs in the ledger: `repro runs`, `show`, `compare`, `merge`, `report`, `prune`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
import msgspec

from repro.claims.result import ClaimResult
from repro.cli.options import (
    EXISTING_FOLDER,
    Command,
    baseline_option,
    expected_option,
    ledger_option,
    named,
    newest_option,
    read_with,
)
from repro.cli.output import echo, echo_lines, fitted_table, terminal_width
from repro.errors import LedgerError
from repro.options import option as read
from repro.published import read_releases
from repro.records import upkeep
from repro.records.comparison import compare_runs
from repro.records.ledger import Ledger
from repro.records.result import Run
from repro.records.upkeep import diverge, merge_runs, parse_part
from repro.report.claims_report import claim_lines
from repro.report.comparison import ROWS_SHOWN, comparison_lines
from repro.report.faces import write_report
from repro.report.report import Report, report_of_run, since_run
from repro.report.rows import in_order
from repro.report.terminal import Style, Verbosity, table_lines
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
    # Each once: the shard is recorded besides, since it may come from the environment.
    found: dict[tuple[str, ...], None] = {}
    words = iter(run.arguments)
    for word in words:
        name = word.partition("=")[0]
        if name in _SELECTING:
            found[(word, next(words, "")) if name == word else (word,)] = None
        elif not word.startswith("-") and "::" in word:
            found[(word,)] = None
    return shlex.join(word for words in found for word in words)


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
    echo(f"{took}, {found.cases:,} of {counted(found.planned, 'case')}")
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


def _output_option(said: str, *, required: bool = False) -> Callable[[Any], Any]:
    return click.option(
        "-o",
        "--output",
        "outputs",
        multiple=True,
        required=required,
        callback=read_with(read.report),
        metavar="FILE",
        help=said,
    )


@click.command(cls=Command)
@click.argument("parts", nargs=-1, required=True, metavar="PART...")
@_output_option("Write a report, as `repro report` does. Repeatable.")
@click.option(
    "--incomplete",
    is_flag=True,
    help="Take what there is where a shard is missing or was not finished.",
)
@expected_option
@ledger_option
def merge(
    parts: tuple[str, ...],
    outputs: tuple[Path, ...],
    expected: tuple[Path | str, ...],
    ledger: Path,
    *,
    incomplete: bool,
) -> None:
    """Join runs that were parts of one (--repro-shard).

    They become one run of the ledger. PART is the folder of a ledger, whose last run
    counts, or FOLDER:RUN. Claims of the
    releases that were measured are checked with all parts. The exit status is that of
    one run with all cases.
    """
    chosen = [parse_part(part) for part in parts]
    with Ledger(ledger, create=True) as opened:
        with opened.transaction():
            number = merge_runs(chosen, opened, incomplete=incomplete)
            # No shard could check a claim, which needs all of them; so the exit status
            # that it gives is known only here.
            if _is_surprised(opened, number, expected):
                diverge(opened, opened.find_run(str(number)))
        run = opened.find_run(str(number))
        print_run(opened, run, "normal")
        if outputs:
            _write(report_of_run(opened, run), outputs)
    sys.exit(run.exit_status)


def _is_surprised(ledger: Ledger, run: int, expected: tuple[Path | str, ...]) -> bool:
    """Check the claims that no shard could; tell whether one came out otherwise."""
    from repro.claims.evidence import Stated
    from repro.records.past import judge_from_ledger

    judged: list[ClaimResult] = []
    measured = {result.release for result in ledger.results(run)}
    for release in read_releases(expected):
        if release.id in measured:
            for claim in release.claims:
                found = judge_from_ledger(Stated(release, claim), ledger)
                ledger.record_claim(run, found)
                judged.append(found)
    return any(claim.is_surprise for claim in judged)


@click.command(cls=Command)
@click.argument("run", default="last")
@_output_option(
    "What to write; the suffix chooses the kind: .json, .md, .csv, .html or "
    ".badge.json. Repeatable.",
    required=True,
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
    _write(msgspec.structs.replace(content, photographs=thumbnails), outputs)


def _write(report: Report, files: Iterable[Path]) -> None:
    for file in files:
        write_report(file, report)
        echo(f"report: {file}")


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
    default=upkeep.PREDICTION_BYTES // 10**6,
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
        removed = upkeep.prune(opened, keep_runs, predictions_mb * 10**6)
    runs, sets = counted(removed.runs, "run"), counted(removed.predictions, "set")
    size = f"{removed.bytes / 1e6:,.1f} MB"
    echo(f"removed {runs} and {sets} of predictions, {size}")
