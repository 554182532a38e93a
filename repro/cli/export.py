"""`repro export`: what was measured, in the formats of others."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

import click

from repro.cli.options import FILE, Group, ledger_option
from repro.cli.output import echo
from repro.errors import LedgerError, OptionError
from repro.files import replace_bytes
from repro.judgement.verdict import Verdict
from repro.records.ledger import Ledger
from repro.records.result import CaseResult
from repro.words import counted, listed


@click.group(cls=Group)
def export() -> None:
    """Write what was measured as others read it."""


@export.command(name="model-card")
@click.argument("run", default="last")
@click.option(
    "-o",
    "--output",
    "file",
    required=True,
    type=FILE,
    metavar="README.md",
    help="Card that the numbers are put into; made where it is not there.",
)
@click.option(
    "--case",
    "pattern",
    default="*",
    metavar="GLOB",
    help="Cases by their ids; all must be of one checkpoint. [default: all]",
)
@click.option("--unmet", is_flag=True, help="Write numbers that were not reproduced.")
@ledger_option
def model_card(
    run: str, file: Path, pattern: str, ledger: Path, *, unmet: bool
) -> None:
    """Put measured values into a model card of the Hub.

    RUN is a number, `last` (the default), or `green`. Prose and all that the card says
    itself stay as they are; what an earlier call wrote is replaced.
    """
    from repro.report.model_card import card_with, eval_results

    with Ledger(ledger) as opened:
        found = opened.find_run(run)
        results = [
            result
            for result in opened.results(found.id)
            if fnmatchcase(result.id, pattern) and result.measurement
        ]
    _check(results, f"run {found.id}", pattern, unmet=unmet)
    measured = eval_results(results)
    try:
        text = file.read_bytes().decode() if file.exists() else ""
        try:
            written = card_with(text, results[0].checkpoint, measured)
        except OptionError as error:
            raise OptionError(f"{file}: {error}") from error
        replace_bytes(file, written.encode())
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(
            f"{file} cannot be read and written as a card: {error}"
        ) from error
    said = counted(len(measured), "number")
    echo(f"{said} of {results[0].checkpoint} in {file}")


def _check(results: list[CaseResult], run: str, pattern: str, *, unmet: bool) -> None:
    """Insist on results that one card can have.

    Raises:
        LedgerError: there is none, or they are of several checkpoints.
        OptionError: one was not reproduced, and nobody said that this is known.
    """
    if not any(result.comparisons for result in results):
        raise LedgerError(
            f"{run} compared no case {pattern!r} with a published number; name another "
            "run, or other cases with --case"
        )
    owners = {(one.release, one.family, one.checkpoint) for one in results}
    if len(owners) > 1:
        names = listed(sorted({result.id for result in results}))
        raise OptionError(
            f"{run} has cases of {len(owners)} checkpoints ({names}), and a card is of "
            "one; choose its cases with --case"
        )
    if any(result.kind is None for result in results):
        raise LedgerError(
            f"{run} is of a version that did not note what is zero-shot; run it again"
        )
    failed = [one for one in results if one.verdict is not Verdict.REPRODUCED]
    if failed and not unmet:
        said = listed([f"{one.id}: {one.verdict.value}" for one in failed])
        raise OptionError(
            f"{run} did not reproduce all that would be written ({said}); choose other "
            "cases with --case, or write them with their verdict with --unmet"
        )
