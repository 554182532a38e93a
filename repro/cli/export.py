"""`repro export`, `attest` and `accept`: what was measured, written down elsewhere."""

from __future__ import annotations

import hashlib
import re
from fnmatch import fnmatchcase
from itertools import zip_longest
from pathlib import Path

import click

from repro.cases import Case, list_cases
from repro.cli.options import (
    EXISTING_FILE,
    FILE,
    FOLDER,
    Command,
    Group,
    checkpoints_option,
    existing,
    expected_option,
    ledger_option,
)
from repro.cli.output import echo
from repro.errors import LedgerError, OptionError
from repro.files import replace_bytes
from repro.judgement.verdict import Verdict
from repro.published import read_releases
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
    from repro.report.for_programs import card_with, eval_results

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


@click.command(cls=Command)
@click.argument("run", default="last")
@click.option(
    "-o",
    "--output",
    "folder",
    required=True,
    type=FOLDER,
    metavar="DIR",
    help="Folder for the statements, one file a case.",
)
@click.option(
    "--key",
    type=EXISTING_FILE,
    metavar="PEM",
    help="Sign with this private key; needs the extra 'attest'.",
)
@ledger_option
def attest(run: str, folder: Path, key: Path | None, ledger: Path) -> None:
    """Write in-toto statements of what weights scored.

    RUN is a number, `last` (the default), or `green`. What is stated follows from the
    ledger alone; cases that were not measured, or have no number, are left out.
    """
    from repro.attestation import attestation_bytes, is_attestable, statement_of

    with Ledger(ledger) as opened:
        found = opened.find_run(run)
        results = opened.results(found.id)
    stated = [result for result in results if is_attestable(result)]
    if not stated:
        raise LedgerError(
            f"run {found.id} compared no case with a published number, so there is "
            "nothing to state; name another run"
        )
    contents = {
        _file_name(result): attestation_bytes(statement_of(found, result), key)
        for result in stated
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        replace_bytes(folder / name, content)
    left = len(results) - len(stated)
    signed = "signed" if key else "not signed"
    rest = f"; {counted(left, 'case')} without a comparison left out" if left else ""
    echo(f"{counted(len(contents), 'statement')} in {folder}, {signed}{rest}")


def _file_name(result: CaseResult) -> str:
    """Name the file of a result: readable, and another one for each of a run."""
    readable = re.sub(r"[^\w.+@-]", "_", result.id)
    digest = hashlib.sha256(result.place.encode()).hexdigest()
    return f"{readable}-{digest[:8]}.intoto.json"


@click.command(cls=Command, name="verify-attestation")
@click.argument("file", type=EXISTING_FILE)
@click.option(
    "--weights",
    required=True,
    type=EXISTING_FILE,
    metavar="W",
    help="Weights file that it must be about.",
)
@click.option(
    "--public-key",
    type=EXISTING_FILE,
    metavar="PEM",
    help="Of whom it must be signed by; needs the extra 'attest'.",
)
def verify_attestation(file: Path, weights: Path, public_key: Path | None) -> None:
    """Check that a statement is about these weights.

    It must be one, and be signed by whom --public-key names. Nothing is measured. The
    exit code is 1 where it says that a published number was not met.
    """
    from repro.attestation import check_subject, numbers_of, read_attestation
    from repro.models.weights import hash_file

    statement = read_attestation(file, public_key)
    digest = hash_file(weights)
    check_subject(statement, file, weights, digest)
    predicate = statement.predicate
    who = f"signed by the key in {public_key}" if public_key else "not signed"
    echo(f"{predicate.result}: {weights} by {file}, {who}")
    measured = numbers_of(statement, digest)
    words = {"PASSED": "met", "WARNED": "warned", "FAILED": "not met"}
    for outcome, tests in reversed(predicate.tests.items()):
        # Whoever wrote it without repro may not say what was measured.
        for test, number in zip_longest(tests, measured[outcome]):
            echo(
                f"  {words[outcome]:<8}{test}{f': {number.outcome}' if number else ''}"
            )
    if predicate.result == "FAILED":
        raise SystemExit(1)


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
    from repro.records.accept import accept as write_reference

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
    from repro.report.texts import names

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
