"""`repro attest` and `repro verify-attestation`: what a run measured, for others."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path

import click

from repro.cli.options import EXISTING_FILE, FOLDER, Command, ledger_option
from repro.cli.output import echo
from repro.errors import LedgerError
from repro.files import replace_bytes
from repro.records.ledger import Ledger
from repro.words import counted


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
    from repro.attestation.envelope import attestation_bytes, file_name
    from repro.attestation.statement import is_attestable, statement_of

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
        file_name(result): attestation_bytes(statement_of(found, result), key)
        for result in stated
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        replace_bytes(folder / name, content)
    left = len(results) - len(stated)
    signed = "signed" if key else "not signed"
    rest = f"; {counted(left, 'case')} without a comparison left out" if left else ""
    echo(f"{counted(len(contents), 'statement')} in {folder}, {signed}{rest}")


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
    from repro.attestation.envelope import check_subject, read_attestation
    from repro.attestation.statement import numbers_of
    from repro.models.weights import hash_file

    statement = read_attestation(file, public_key)
    digest = hash_file(weights)
    check_subject(statement, file, weights, digest)
    predicate = statement.predicate
    who = f"signed by the key in {public_key}" if public_key else "not signed"
    echo(f"{predicate.result}: {weights} by {file}, {who}")
    measured = numbers_of(statement, digest)
    for word, tests, numbers in (
        ("met", predicate.passed_tests, measured["PASSED"]),
        ("warned", predicate.warned_tests, measured["WARNED"]),
        ("not met", predicate.failed_tests, measured["FAILED"]),
    ):
        # Whoever wrote it without repro may not say what was measured.
        for test, number in zip_longest(tests, numbers):
            echo(f"  {word:<8}{test}{f': {number.outcome}' if number else ''}")
    if predicate.result == "FAILED":
        raise SystemExit(1)
