"""`repro claims`: what the paper says about scaling, and whether it holds."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from repro.cli.options import (
    Command,
    expected_option,
    insist,
    ledger_or_none_option,
    named,
)
from repro.cli.output import echo, echo_json
from repro.errors import OptionError
from repro.published import read_releases

if TYPE_CHECKING:
    from repro.claims.evidence import Stated
    from repro.claims.result import ClaimResult


@click.command(cls=Command)
@expected_option
@ledger_or_none_option
@click.option(
    "--published",
    is_flag=True,
    help="Use the published numbers alone, which need no weights.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.pass_context
def claims(
    context: click.Context,
    expected: tuple[Path | str, ...],
    ledger: Path | None,
    *,
    published: bool,
    as_json: bool,
) -> None:
    """Check the claims of a paper by the ledger."""
    from repro.claims.evidence import Stated
    from repro.report.claims_report import claim_lines, claims_data

    if published and named(context, "ledger"):
        raise OptionError(
            "--ledger has no effect, since --published takes no measured numbers; "
            "leave one of them out"
        )
    stated = [
        Stated(release, claim)
        for release in read_releases(expected)
        for claim in release.claims
    ]
    if published:
        results = _from_references(stated)
    else:
        results = _from_ledger(stated, insist(ledger, "--ledger"))
    if as_json:
        echo_json(claims_data(results))
        return
    width = shutil.get_terminal_size((88, 24)).columns
    for line, style in claim_lines(results, width, "verbose"):
        echo(line, dim=style == "dim")
    if not results:
        echo("no [[claim]] in the published numbers")


def _from_references(stated: Sequence[Stated]) -> list[ClaimResult]:
    from repro.claims.evidence import PublishedEvidence
    from repro.claims.judge import judge_claim

    return [
        judge_claim(one.release, one.claim, PublishedEvidence(one.release, one.claim))
        for one in stated
    ]


def _from_ledger(stated: Sequence[Stated], folder: Path) -> list[ClaimResult]:
    from repro.records.ledger import Ledger
    from repro.records.past import judge_from_ledger

    with Ledger(folder) as ledger:
        return [judge_from_ledger(one, ledger) for one in stated]
