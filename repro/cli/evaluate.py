"""`repro eval`: evaluate one weights file, as the release's own scripts do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from tqdm import tqdm

from repro.cases import Case
from repro.cli.options import (
    Command,
    TableOption,
    accelerate_option,
    batch_size_option,
    cache_option,
    device_option,
    expected_option,
    precision_option,
)
from repro.errors import ExpectedError
from repro.options.table import Settings
from repro.published import Kind, Release, read_releases

if TYPE_CHECKING:
    from repro.data.dataset import Dataset
    from repro.records.result import Measurement


@click.command(cls=Command)
@click.argument("kind", type=click.Choice(["supervised", "clip"]))
@click.option(
    "--data-path",
    cls=TableOption,
    of=Settings.data,
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    metavar="D",
    help="Folder that holds val/<class>/<image>.",
)
@click.option(
    "--ckpt",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="F",
    help="Weights file.",
)
@click.option(
    "--protocol",
    metavar="NAME",
    help="Protocol of the release. [default: that of its own scripts]",
)
@click.option(
    "--details",
    is_flag=True,
    help="Print top-5, calibration error and the worst classes too.",
)
@click.option(
    "--real-labels",
    metavar="FILE",
    help="Score with ImageNet-ReaL labels too: a JSON file, or 'timm' for its copy.",
)
@batch_size_option
@expected_option
@cache_option
@device_option
@precision_option
@accelerate_option
def evaluate(
    kind: Kind,
    data_path: Path,
    ckpt: Path,
    batch_size: int | None,
    protocol: str | None,
    real_labels: str | None,
    expected: tuple[Path | str, ...],
    cache: Path | None,
    device: str,
    precision: Any,
    accelerate: tuple[str, ...],
    *,
    details: bool,
) -> None:
    """Evaluate one weights file and print what it scores."""
    if not ckpt.is_file():
        raise click.BadParameter(f"{ckpt} does not exist", param_hint="--ckpt")
    case = _case(read_releases(expected), kind, protocol)
    labels = _real_labels(real_labels) if real_labels else None

    from repro.engine.evaluator import Evaluator
    from repro.engine.settings import EngineSettings

    engine = Evaluator(
        EngineSettings(
            data=data_path,
            cache=cache,
            device=device,
            precision=precision,
            accelerate=accelerate,
            batch_size=batch_size,
        )
    )
    dataset = _index(case, data_path, cache)
    with tqdm(total=len(dataset), unit=" images", disable=None, leave=False) as bar:
        measurement, predictions = engine.measure(
            case, bar.update, weights=ckpt, dataset=dataset
        )
    if details or labels:
        from repro.evaluation.real_labels import real_score
        from repro.report.details import detail_lines

        real = real_score(predictions, dataset.files, labels) if labels else None
        for line in detail_lines(predictions, dataset.classes, real):
            click.echo(line)
    unused = [one for one in measurement.accelerations if not one.used]
    for one in unused if accelerate != ("auto",) else []:
        click.echo(f"{one.name} was not used: {one.reason}", err=True)
    for line in summary(kind, ckpt, measurement):
        click.echo(line)


def _index(case: Case, data: Path, cache: Path | None) -> Dataset:
    """Index what there is of a dataset, and say where that is not all of it."""
    from repro.data.dataset import index_part
    from repro.data.trusted_copy import read_record

    known = tuple(case.release.datasets.values())
    recorded = read_record(case.release, case.dataset)
    dataset = index_part(case.dataset, data, known, recorded, cache)
    if len(dataset) != case.dataset.images:
        click.echo(
            f"{dataset.root} holds {len(dataset):,} of the {case.dataset.images:,} "
            f"images of {case.dataset.title}: no published number belongs to them",
            err=True,
        )
    return dataset


def summary(kind: Kind, weights: Path, measurement: Measurement) -> list[str]:
    """Write the lines that end the output of the release's own scripts."""
    metrics = measurement.metrics
    accuracy, loss = metrics.percent("top1"), metrics.loss
    if kind == "clip":
        return [f"ImageNet zero-shot accuracy: {accuracy}, loss: {loss}"]
    return [f"checkpoint: {weights}", f"Top-1 Accuracy: {accuracy}", f"Loss: {loss}"]


def _real_labels(file: str) -> list[list[int]]:
    from repro.evaluation.real_labels import read_labels, shipped_labels

    path = shipped_labels() if file == "timm" else Path(file)
    if path is None:
        raise click.BadParameter(
            "timm ships no labels here", param_hint="--real-labels"
        )
    return read_labels(path)


def _case(releases: list[Release], kind: Kind, protocol: str | None) -> Case:
    """Make a case of the first release that has a family of this kind."""
    for release in releases:
        for family in release.families.values():
            chosen = protocol or family.protocols[0]
            if chosen in release.protocols and release.protocols[chosen].kind == kind:
                return Case(
                    release=release,
                    family=family,
                    checkpoint="",
                    protocol=release.protocols[chosen],
                    dataset=release.datasets[release.default_dataset],
                )
    known = ", ".join(
        name
        for release in releases
        for name, found in release.protocols.items()
        if found.kind == kind
    )
    raise ExpectedError(
        f"no {kind} family has the protocol {protocol!r}; known are {known or 'none'}"
    )
