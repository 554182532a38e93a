"""`repro claims`: what the paper says about scaling, and whether it holds."""

from __future__ import annotations

import shutil

import click
import msgspec

from repro.cli.options import expected_option
from repro.published import read_releases


@click.command()
@expected_option
@click.option(
    "--published",
    is_flag=True,
    required=True,
    help="Check them with the published numbers alone; no weights are needed.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def claims(expected: tuple[str, ...], *, published: bool, as_json: bool) -> None:
    """Check the claims of a paper: exponents, orderings, saturation."""
    from repro.claims.evidence import PublishedEvidence
    from repro.claims.judge import judge
    from repro.report.claims import claim_lines, claims_data

    results = [
        judge(release, claim, PublishedEvidence(release, claim))
        for release in read_releases(expected)
        for claim in release.claims
    ]
    if as_json:
        content = msgspec.json.encode(claims_data(results))
        click.echo(msgspec.json.format(content))
        return
    width = shutil.get_terminal_size((88, 24)).columns
    for line, style in claim_lines(results, width):
        click.secho(line, dim=style == "dim")
    if not results:
        click.echo("no [[claim]] in the published numbers")
