"""`repro plan`: what a run will take, without running it."""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import click
import msgspec

from repro.cases import Case, list_cases
from repro.cli.options import (
    FILE,
    Command,
    cache_option,
    checkpoints_option,
    data_option,
    expected_option,
    ledger_or_none_option,
    limit_option,
    named,
)
from repro.cli.output import echo_json, echo_lines
from repro.errors import NotAvailableError, OptionError
from repro.machine import available_cores, visible_gpus
from repro.planning.costs import costs_from_ledger
from repro.planning.plan import Machine, make_plan
from repro.published import read_releases
from repro.records.ledger import Ledger


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
    costs = costs_from_ledger(known, ledger, machine.device, machine.cores)
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
