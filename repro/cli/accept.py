"""`repro accept`: take measured values as references."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

import click

from repro.cases import Case, list_cases
from repro.cli.options import (
    Command,
    checkpoints_option,
    existing,
    expected_option,
    ledger_option,
)
from repro.cli.output import echo
from repro.errors import LedgerError
from repro.published import read_releases
from repro.records.accept import accept as write_reference
from repro.records.ledger import Ledger
from repro.records.result import CaseResult
from repro.report.variants import names


@click.command(cls=Command)
@click.argument("cases", nargs=-1, required=True, metavar="CASE...")
@click.option("--run", required=True, help="A number, 'last' or 'green'.")
@expected_option
@checkpoints_option
@ledger_option
def accept(
    cases: tuple[str, ...],
    run: str,
    expected: tuple[Path | str, ...],
    checkpoints: Path | None,
    ledger: Path,
) -> None:
    """Write measured values as numbers of `measured`.

    CASE is an id or a pattern such as 'supervised/real/*'. Published numbers are never
    changed: the accepted ones stand beside them, with run, environment and date. The
    run stays as it was, failed if it failed.
    """
    weights = existing(checkpoints)
    with Ledger(ledger) as opened:
        found = opened.find_run(run)
        results = opened.results(found.id)
    for result in _chosen(cases, results):
        # Read again each time: the one before has changed the file.
        known = list_cases(read_releases(expected), weights)
        accepted = write_reference(_case(result.id, known), result, found)
        numbers = ", ".join(f"{name} {text}" for name, text in accepted.numbers.items())
        done = "replaced" if accepted.replaced else "added"
        echo(f"{accepted.case}: {numbers} {done} in {accepted.file}")


def _chosen(patterns: tuple[str, ...], results: list[CaseResult]) -> list[CaseResult]:
    """Find the results that are meant, before anything is written."""
    chosen: dict[str, CaseResult] = {}
    called = names(results)
    for pattern in patterns:
        met = [r for r in results if r.id == pattern or fnmatchcase(r.id, pattern)]
        if not met:
            raise LedgerError(
                f"the run has no case {pattern!r}; 'repro show RUN' lists them"
            )
        for result in met:
            other = chosen.setdefault(result.id, result)
            if other.place != result.place:
                raise LedgerError(
                    f"the run has {called[other.place]} and {called[result.place]}; "
                    "accept a run that has measured the case in one way"
                )
    return list(chosen.values())


def _case(name: str, known: list[Case]) -> Case:
    for case in known:
        if case.id == name:
            return case
    raise LedgerError(
        f"{name} is no case of the published numbers; name their file with --expected"
    )
