"""`repro cases` and `repro schema`: what was published, and how it is written down."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from repro.cases import Case, list_cases, order_for_reading
from repro.cli.options import (
    FILE,
    Command,
    checkpoints_option,
    existing,
    expected_option,
)
from repro.cli.output import echo, echo_json, fitted_table
from repro.files import replace_bytes
from repro.judgement.tolerance import tolerance_of
from repro.published import METRICS, Reference, read_releases
from repro.published.json_schema import release_schema
from repro.words import counted


@click.command(cls=Command)
@expected_option
@checkpoints_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def cases(
    expected: tuple[Path | str, ...], checkpoints: Path | None, *, as_json: bool
) -> None:
    """List all cases with their published numbers."""
    found = order_for_reading(
        list_cases(read_releases(expected), existing(checkpoints))
    )
    if as_json:
        echo_json([_as_data(case) for case in found])
        return
    if found:
        _print_table(found)
    referenced = sum(bool(case.references) for case in found)
    number = counted(len(found), "case")
    echo(f"{number}, {referenced:,} with published numbers")


def _print_table(found: Sequence[Case]) -> None:
    """Print a line for each case, with its numbers of each metric in a column."""
    metrics = dict.fromkeys(r.metric for case in found for r in case.references)
    rows = [
        (
            case.id,
            *(
                ", ".join(r.printed for r in case.references if r.metric == metric)
                for metric in metrics
            ),
            ", ".join(dict.fromkeys(r.source for r in case.references)),
        )
        for case in found
    ]
    headers = ["case", *metrics, "source"]
    dispensable = ("source", *reversed(list(metrics)[1:]))
    echo("\n".join(fitted_table(headers, rows, dispensable)))


def _as_data(case: Case) -> dict[str, Any]:
    release, family, dataset = case.release, case.family, case.dataset
    return {
        "id": case.id,
        "release": release.id,
        "title": release.title,
        "paper": release.paper,
        "code": release.code,
        "kind": case.kind,
        "family": family.id,
        "training_data": family.training_data,
        "prompt": family.prompt,
        "cfg_scale": family.cfg_scale,
        "download": family.files or family.folder,
        "checkpoint": case.checkpoint,
        "training_images": case.training_images,
        "model": msgspec.to_builtins(case.model),
        "gflops": case.gflops,
        "protocol": case.protocol.id,
        "geometry": case.protocol.geometry,
        "conditions": case.protocol.conditions,
        "text": msgspec.to_builtins(case.protocol.text),
        "protocol_source": release.sources[case.protocol.source].url,
        "dataset": dataset.id,
        "dataset_title": dataset.title,
        "dataset_url": dataset.url,
        "classes": len(dataset.classes),
        "own_data": str(release.own_data or ""),
        "own_checkpoints": str(release.own_checkpoints or ""),
        "images": dataset.images,
        "notes": {
            "release": release.note,
            "family": family.note,
            "protocol": case.protocol.note,
            "dataset": dataset.note,
        },
        "references": [_reference(case, reference) for reference in case.references],
    }


def _reference(case: Case, reference: Reference) -> dict[str, Any]:
    source = case.release.sources[reference.source]
    tolerance = tolerance_of(reference)
    return {
        "metric": reference.metric,
        "published": reference.published.digits,
        "spread": None if reference.spread is None else reference.spread.digits,
        "runs": reference.runs,
        "tolerance": float(tolerance.value),
        "tolerance_origin": tolerance.origin,
        "one_of": list(reference.families),
        "source": source.url,
        "source_title": source.title,
        "source_note": source.note,
        "note": reference.note,
        "xfail": reference.xfail,
    }


@click.command(cls=Command)
@click.option(
    "-o",
    "--output",
    type=FILE,
    metavar="FILE",
    help="Write it there instead of printing it.",
)
def schema(output: Path | None) -> None:
    """Print the JSON Schema of files of published numbers.

    Editors complete and check keys with it; metrics of other packages are in it.
    """
    METRICS.load()
    text = msgspec.json.format(msgspec.json.encode(release_schema())) + b"\n"
    if output is None:
        echo(text, nl=False)
        return
    replace_bytes(output, text)
    echo(output)
