"""`repro eval`: evaluate one checkpoint, as its release or its library does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click
import msgspec
import numpy as np
from tqdm import tqdm

from repro.cases import Case, named_case
from repro.cli.options import (
    EXISTING_FILE,
    FILE,
    FOLDER,
    Command,
    TableOption,
    accelerate_option,
    batch_size_option,
    cache_option,
    device_option,
    expected_option,
    precision_option,
)
from repro.cli.output import echo, echo_lines, terminal_width
from repro.errors import ExpectedError, NotAvailableError, OptionError
from repro.evaluation.predictions import (
    CALIBRATION_BINS,
    Predictions,
    RealLabels,
    RealScore,
    calibration_error,
    class_accuracy,
)
from repro.options.table import Settings
from repro.published import GUARDED, AskedPrecision, Kind, Release, read_releases

if TYPE_CHECKING:
    from repro.data.dataset import Dataset
    from repro.importing.checkpoints import LibraryCase
    from repro.records.result import Measurement

_WORST = 5


def detail_lines(
    predictions: Predictions, classes: Sequence[str], real: RealScore | None = None
) -> list[str]:
    """Write top-5, calibration, the worst classes and, if it is there, ReaL accuracy.

    Args:
        predictions: as evaluated, with confidences.
        classes: names of the dataset's classes in label order.
        real: score with the ImageNet-ReaL labels.
    """
    error = "not known from guarded precision"
    if predictions.confidences is not None:
        error = (
            f"{100 * calibration_error(predictions):.4f} % ({CALIBRATION_BINS} bins)"
        )
    by_class = class_accuracy(predictions, len(classes))
    worst = np.argsort(by_class)[:_WORST]
    listed = ", ".join(
        f"{classes[place]} {by_class[place]:.1f}"
        for place in worst.tolist()
        if not np.isnan(by_class[place])
    )
    lines = [
        f"Top-5 Accuracy: {predictions.metrics().percent('top5')}",
        f"Expected calibration error: {error}",
        f"Lowest class accuracies: {listed}",
    ]
    if real:
        lines.append(f"ImageNet-ReaL accuracy: {real.percent} ({real.images:,} images)")
    return lines


@click.command(cls=Command)
@click.argument("what", metavar="supervised|clip|LIBRARY:NAME")
@click.option(
    "--data-path",
    cls=TableOption,
    of=Settings.data,
    required=True,
    type=FOLDER,
    metavar="D",
    help="Folder that holds val/<class>/<image>.",
)
@click.option(
    "--ckpt",
    type=FILE,
    metavar="F",
    help="Weights file. [default: that in the library's own cache]",
)
@click.option(
    "--protocol",
    metavar="NAME",
    help="Protocol of the release. [default: that of its own scripts]",
)
@click.option(
    "--table",
    type=EXISTING_FILE,
    metavar="FILE",
    help="The library's table of numbers: results-imagenet.csv, openclip_results.csv.",
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
    what: str,
    data_path: Path,
    ckpt: Path | None,
    table: Path | None,
    protocol: str | None,
    real_labels: str | None,
    expected: tuple[Path | str, ...],
    *,
    details: bool,
    **computing: Any,
) -> None:
    """Evaluate one checkpoint and print what it scores.

    A file of the first release with such a family: supervised or clip. Or a checkpoint
    of a library with the library's own protocol, beside its published number:
    timm:resnet50.a1_in1k, torchvision:mobilenet_v2, open_clip:ViT-B-16.openai.
    """
    asked = _asked(what, ckpt, table, protocol, read_releases(expected))
    case = asked.case
    weights = ckpt or _cached(case)
    labels = _real_labels(real_labels, computing["precision"])

    from repro.engine.evaluator import Evaluator
    from repro.engine.settings import EngineSettings
    from repro.evaluation.predictions import real_score, right_answers

    # Whoever evaluates one checkpoint wants all of its number.
    settings = EngineSettings(data=data_path, early_stop=False, **computing)
    engine = Evaluator(settings)
    dataset = _index(case, data_path, settings.cache)
    # What cannot be used is said before an hour is spent.
    answers = labels and right_answers(dataset.files, len(dataset.classes), labels)
    with tqdm(total=len(dataset), unit=" images", disable=None, leave=False) as bar:
        measurement, predictions = engine.measure(
            case, bar.update, weights=weights, dataset=dataset
        )
    if details or answers:
        real = real_score(predictions, answers) if answers else None
        echo_lines(detail_lines(predictions, dataset.classes, real))
    for one in measurement.accelerations:
        if settings.accelerate != ("auto",) and not one.used:
            echo(f"{one.name} was not used: {one.reason}", err=True)
    if ":" in what:
        _echo_beside_published(asked, measurement)
        return
    if measurement.guarded:
        echo(measurement.arithmetic, err=True)
    echo_lines(summary(case.kind, weights, measurement))


def _asked(
    what: str,
    ckpt: Path | None,
    table: Path | None,
    protocol: str | None,
    releases: list[Release],
) -> LibraryCase:
    """Find the case that is asked for.

    Raises:
        OptionError: an option has no effect, or one is missing.
        ExpectedError: there is no such case.
        BadParameter: there is no such file of weights.
    """
    from repro.importing.checkpoints import LibraryCase, check_table, library_case

    if ckpt and not ckpt.is_file():
        raise click.BadParameter(f"{ckpt} does not exist", param_hint="--ckpt")
    library, colon, name = what.partition(":")
    if colon:
        if protocol is not None:
            raise OptionError(
                f"--protocol has no effect with {what}, which is evaluated as "
                f"{library} does; leave it out"
            )
        check_table(library, table)
        return library_case(
            library, name, has_file=ckpt is not None, table=table, releases=releases
        )
    if what not in get_args(Kind):
        raise OptionError(
            f"{what!r} cannot be evaluated; it must be supervised, clip, or a "
            "checkpoint of a library, such as timm:resnet50.a1_in1k"
        )
    if table is not None:
        raise OptionError(f"--table has no effect with {what}; leave it out")
    if ckpt is None:
        raise OptionError(f"--ckpt is missing; name the weights file of {what}")
    return LibraryCase(_case(releases, msgspec.convert(what, Kind), protocol))


def _cached(case: Case) -> Path:
    """Find what a library publishes in its own cache.

    Raises:
        NotAvailableError: it is not there; nothing is downloaded.
    """
    from repro.models.libraries import find_loader

    if found := find_loader(case.model.loader).cached(case.model):
        return found
    links = list(case.family.files.values())
    at = f" from {links[0]}" if len(links) == 1 else ""
    raise NotAvailableError(
        f"no weights: {case.model.loader} has no {case.checkpoint} in its cache here, "
        f"and nothing is downloaded; get them{at} and name the file with --ckpt"
    )


def _echo_beside_published(asked: LibraryCase, measurement: Measurement) -> None:
    from repro.records.result import judge_case
    from repro.report.terminal import table_lines

    case = asked.case
    protocol, release = case.protocol, case.release
    # A number is of the whole set, whatever part of it is in this copy.
    measurement = msgspec.structs.replace(measurement, total=case.dataset.images)
    result = judge_case(case, measurement)
    environment = f"{measurement.environment.summary()}, {measurement.arithmetic}"
    echo(f"protocol  {protocol.geometry}, {protocol.conditions}")
    echo(f"          {protocol.note}")
    echo(f"weights   {measurement.weights}")
    echo(f"with      {environment}")
    for source in dict.fromkeys(one.source for one in case.references):
        found = release.sources[source]
        echo(f"published {found.title}, {found.url}")
    if asked.hint:
        echo(f"published {asked.hint}")
    for line, _ in table_lines([result], terminal_width(), "verbose"):
        echo(line)


def _index(case: Case, data: Path, cache: Path | None) -> Dataset:
    """Index what there is of a dataset, and say where that is not all of it."""
    from repro.data.dataset import index_dataset
    from repro.data.digests import read_record

    known = tuple(case.release.datasets.values())
    recorded = read_record(case.release, case.dataset)
    dataset = index_dataset(case.dataset, data, known, recorded, cache, part=True)
    if len(dataset) != case.dataset.images:
        echo(
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


def _real_labels(file: str | None, precision: AskedPrecision) -> RealLabels | None:
    """Read the labels that are asked for; they go with every class in float32."""
    from repro.evaluation.predictions import read_labels, shipped_labels

    if file is None:
        return None
    if precision == GUARDED:
        raise OptionError(
            "--real-labels needs the first class of every image in float32, which "
            "--precision guarded does not give; leave one out"
        )
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
                return named_case(
                    release, family.id, "", chosen, release.default_dataset
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
