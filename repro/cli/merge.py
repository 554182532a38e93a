"""`repro merge`: the shards of several machines become one run."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from repro.claims.result import ClaimResult
from repro.cli.options import Command, expected_option, ledger_option, read_with
from repro.cli.output import echo
from repro.cli.show import print_run
from repro.options import readers
from repro.published import read_releases
from repro.records.ledger import Ledger
from repro.records.merging import diverge, merge_runs, parse_part
from repro.report.faces import write_report
from repro.report.report import report_of_run


@click.command(cls=Command)
@click.argument("parts", nargs=-1, required=True, metavar="PART...")
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    callback=read_with(readers.report),
    metavar="FILE",
    help="Write a report, as `repro report` does. Repeatable.",
)
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
        report = report_of_run(opened, run) if outputs else None
    for file in outputs:
        assert report is not None
        write_report(file, report)
        echo(f"report: {file}")
    sys.exit(run.exit_status)


def _is_surprised(ledger: Ledger, run: int, expected: tuple[Path | str, ...]) -> bool:
    """Check the claims that no shard could; tell whether one came out otherwise."""
    from repro.claims.evidence import Stated
    from repro.records.claims_from_ledger import judge_from_ledger

    judged: list[ClaimResult] = []
    measured = {result.release for result in ledger.results(run)}
    for release in read_releases(expected):
        if release.id in measured:
            for claim in release.claims:
                found = judge_from_ledger(Stated(release, claim), ledger)
                ledger.record_claim(run, found)
                judged.append(found)
    return any(claim.is_surprise for claim in judged)
