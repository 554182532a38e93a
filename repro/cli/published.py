"""`repro cases`, `claims`, `plan` and `schema`: what was published.

What it says, what it will take to measure it, and how it is written down.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import click
import msgspec

from repro.cases import Case, list_cases, order_for_reading
from repro.cli.options import (
    FILE,
    Command,
    cache_option,
    checkpoints_option,
    data_option,
    existing,
    expected_option,
    insist,
    ledger_or_none_option,
    limit_option,
    named,
)
from repro.cli.output import echo, echo_json, echo_lines, fitted_table, terminal_width
from repro.errors import NotAvailableError, OptionError
from repro.files import replace_bytes
from repro.judgement.tolerance import tolerance_of
from repro.machine import available_cores, visible_gpus
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
    from repro.claims.evidence import PublishedEvidence, Stated
    from repro.claims.judge import judge_claim
    from repro.records.ledger import Ledger
    from repro.records.past import judge_from_ledger
    from repro.report.claims_report import claim_lines

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
        results = [
            judge_claim(of.release, of.claim, PublishedEvidence(of.release, of.claim))
            for of in stated
        ]
    else:
        with Ledger(insist(ledger, "--ledger")) as opened:
            results = [judge_from_ledger(one, opened) for one in stated]
    if as_json:
        echo_json(results)
        return
    for line, style in claim_lines(results, terminal_width(88), "verbose"):
        echo(line, dim=style == "dim")
    if not results:
        echo("no [[claim]] in the published numbers")


@click.command(cls=Command)
@click.argument("patterns", nargs=-1, metavar="[CASE]...")
@expected_option
@checkpoints_option
@data_option
@cache_option
@ledger_or_none_option
@click.option(
    "--gpus",
    type=click.IntRange(min=0),
    help="Plan for N GPUs; 0 plans for the processor. [default: those of this machine]",
)
@click.option(
    "--cores",
    type=click.IntRange(min=1),
    help="Plan for N processor cores, over all machines that share the pixels. "
    "[default: those of this machine]",
)
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True),
    metavar="TFLOPS",
    help="Assume this speed of a GPU (or of the whole processor) where no earlier run "
    "says better, in 10^12 operations a second.",
)
@limit_option
@click.option(
    "--costs",
    "costs_file",
    type=FILE,
    metavar="FILE",
    help="Write the seconds of each case there, for --repro-costs.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of lines.")
@click.pass_context
def plan(
    context: click.Context,
    /,
    patterns: tuple[str, ...],
    expected: tuple[Path | str, ...],
    ledger: Path | None,
    gpus: int | None,
    cores: int | None,
    speed: float | None,
    costs_file: Path | None,
    *,
    as_json: bool,
    **where: Any,
) -> None:
    """Say what a run will take: images, bytes, hours.

    CASE is a case id or a pattern of them, such as 'supervised/*'. Nothing is
    downloaded, decoded or computed. Hours come from earlier runs in the ledger; where
    there are none for this kind of device, they are an estimate, and named so.
    """
    from repro.planning.costs import recorded_costs, timings_in
    from repro.planning.plan import Machine, make_plan
    from repro.records.ledger import Ledger

    here = len(visible_gpus(os.environ)) if gpus is None else gpus
    machine = Machine(here, cores or available_cores())
    known = list_cases(read_releases(expected), where["checkpoints"])
    chosen = _chosen(known, patterns)
    if (data := where["data"]) and not data.exists():
        raise NotAvailableError(
            f"{data} does not exist; name the folder of the images with --data, or "
            "leave it out"
        )
    if ledger and named(context, "ledger"):
        # One that was only looked for may be missing.
        Ledger(ledger).close()
    timings = timings_in(ledger)
    costs = recorded_costs(known, timings, machine.device, machine.cores)
    if speed:
        costs = msgspec.structs.replace(costs, assumed=speed * 1e12 / 2)
    made = make_plan(chosen, costs, machine, **where)
    if costs_file:
        costs.write(costs_file)
    if as_json:
        echo_json(made)
    else:
        echo_lines(made.lines())


def _chosen(known: list[Case], patterns: tuple[str, ...]) -> list[Case]:
    for pattern in patterns:
        if not any(fnmatchcase(case.id, pattern) for case in known):
            raise OptionError(
                f"no case is named {pattern!r}; 'repro cases' lists those there are"
            )
    wanted = patterns or ("*",)
    return [case for case in known if any(fnmatchcase(case.id, p) for p in wanted)]
