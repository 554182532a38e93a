"""`repro cases`: which cases there are, with their published numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec
from tabulate import tabulate

from repro.cases import Case, list_cases, order_for_reading
from repro.cli.options import checkpoints_option, expected_option
from repro.published import read_releases


@click.command()
@expected_option
@checkpoints_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def cases(
    expected: tuple[str, ...], checkpoints: Path | None, *, as_json: bool
) -> None:
    """List all cases with their published numbers."""
    found = order_for_reading(list_cases(read_releases(expected), checkpoints))
    if as_json:
        content = [_as_data(case) for case in found]
        click.echo(msgspec.json.format(msgspec.json.encode(content)))
        return
    rows = [
        (
            case.id,
            "  ".join(f"{r.metric} {r.printed}" for r in case.references) or "none",
            ", ".join(dict.fromkeys(r.source for r in case.references)),
        )
        for case in found
    ]
    if rows:
        headers = ["case", "published", "source"]
        click.echo(tabulate(rows, headers=headers, disable_numparse=True))
    referenced = sum(bool(case.references) for case in found)
    number = f"{len(found):,} case{'s' * (len(found) != 1)}"
    click.echo(f"{number}, {referenced:,} with published numbers")


def _as_data(case: Case) -> dict[str, Any]:
    return {
        "id": case.id,
        "release": case.release.id,
        "kind": case.kind,
        "family": case.family.id,
        "checkpoint": case.checkpoint,
        "training_images": case.training_images,
        "protocol": case.protocol.id,
        "geometry": case.protocol.geometry,
        "dataset": case.dataset.id,
        "images": case.dataset.images,
        "references": [
            {
                "metric": reference.metric,
                "published": reference.digits,
                "one_of": list(reference.families),
                "source": case.release.sources[reference.source].url,
                "note": reference.note,
            }
            for reference in case.references
        ],
    }
