"""`python -m benchmarks [--quick] [-o FILE]`: measure everything in one run."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import click
import msgspec
import torch

from benchmarks import (
    decoding,
    evaluating,
    gpu,
    guarded,
    indexing,
    keeping,
    loading,
    memory,
    precision,
    scale,
    starting,
    suite,
    text,
)
from benchmarks.chart import draw
from benchmarks.row import Results, Row
from benchmarks.setting import Setting
from benchmarks.stand_ins import StandIns
from benchmarks.table import table
from repro.records.identity import describe_environment

MEASUREMENTS = [
    measurement
    for module in (
        evaluating,
        decoding,
        text,
        suite,
        loading,
        memory,
        precision,
        keeping,
        guarded,
        gpu,
        indexing,
        scale,
        starting,
    )
    for measurement in module.MEASUREMENTS
]


@click.command()
@click.option("--quick", is_flag=True, help="Fewer repetitions on fewer images.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the numbers as JSON, and a table and a chart beside them.",
)
@click.option(
    "--only",
    multiple=True,
    help="Measure what has this in its name; other rows of --output are kept.",
)
@click.option(
    "--photographs",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Real ones, for what is decided about photographs.",
)
def main(
    output: Path | None,
    only: tuple[str, ...],
    photographs: Path | None,
    *,
    quick: bool,
) -> None:
    """Measure what is fast, side by side, on stand-ins that are made for it."""
    start = time.perf_counter()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rows: list[Row] = []
    chosen = [
        measurement
        for measurement in MEASUREMENTS
        if not only or any(part in measurement.__name__ for part in only)
    ]
    if not chosen:
        names = ", ".join(measurement.__name__ for measurement in MEASUREMENTS)
        raise click.UsageError(f"--only must be a part of one of {names}")
    before = _earlier(output, device, quick=quick) if output and only else None
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        setting = Setting(
            stand_ins=StandIns(Path(folder)),
            repetitions=2 if quick else 3,
            is_quick=quick,
            device=device,
            own_photographs=photographs,
        )
        for measurement in chosen:
            name = measurement.__name__
            begun = time.perf_counter()
            rows += measurement(setting)
            click.echo(f"{name}: {time.perf_counter() - begun:.0f} s", err=True)
            results = Results(
                machine=_machine(device),
                quick=quick,
                seconds=time.perf_counter() - start,
                rows=rows,
            )
            # After each, so that a run that is killed has not been for nothing.
            if output is not None:
                _write(joined(before, results), output)
    click.echo(table(results))


def _earlier(output: Path, device: torch.device, *, quick: bool) -> Results | None:
    """Read the rows of an earlier run, of which some are measured again."""
    if not output.exists():
        return None
    found = msgspec.json.decode(output.read_bytes(), type=Results)
    if found.machine != _machine(device) or found.quick != quick:
        raise click.UsageError(
            f"{output} was measured on another machine, with other versions, or with "
            "--quick; give another --output"
        )
    return found


def joined(before: Results | None, found: Results) -> Results:
    """Put rows that were measured again in their places; new ones come last."""
    if before is None:
        return found
    anew = {row.id: row for row in found.rows}
    kept = [anew.pop(row.id, row) for row in before.rows]
    return msgspec.structs.replace(
        found, rows=[*kept, *anew.values()], seconds=before.seconds + found.seconds
    )


def _write(results: Results, output: Path) -> None:
    """Write numbers, and beside them a table and a chart."""
    content = msgspec.json.format(msgspec.json.encode(results))
    output.write_bytes(content + b"\n")
    output.with_suffix(".md").write_text(f"{table(results)}\n", encoding="utf-8")
    draw(results, output.with_suffix(".svg"))


def _machine(device: torch.device) -> dict[str, str]:
    """Say what it ran on, without the machine's name."""
    environment = describe_environment(str(device))
    versions = ("torch", "torchvision", "timm", "open_clip_torch", "pillow")
    return {
        "processor": environment.cpu,
        "cores": str(environment.cores),
        "device": environment.device,
        "decoder": environment.decoder,
        "python": environment.python,
        **{name: environment.packages[name] for name in versions},
    }


if __name__ == "__main__":
    main()
