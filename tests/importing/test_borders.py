"""Imported numbers are met up to the border of their tolerance, on both sides."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import msgspec
import pytest

from repro.cases import list_cases
from repro.evaluation.predictions import Metrics
from repro.importing.clip_benchmark import clip_benchmark_table
from repro.importing.open_clip import open_clip_table
from repro.importing.supervised import timm_table
from repro.importing.tables import Table
from repro.importing.writing import write_release
from repro.judgement.tolerance import tolerance_of
from repro.judgement.verdict import Verdict, compare
from repro.published import METRICS, Reference, Release, printed, read_releases

from .tables import OPEN_CLIP, numbers

IMAGES = 50_000
#: As results-imagenet.csv, but that it prints errors only, to a hundredth.
ERRORS = """\
model,img_size,top1_err,top5_err,param_count,crop_pct,interpolation
resnet50.a1_in1k,288,18.80,4.60,25.56,1.000,bicubic
"""
CLIP_BENCHMARK = """\
acc1,acc5,mean_per_class_recall,dataset,model,pretrained,task
0.665,0.89844,0.66506,imagenet1k,ViT-B-32,laion2b_s34b_b79k,zeroshot_classification
0.7557,0.9386,0.7554000000000001,vtab/cifar100,ViT-B-32,openai,zeroshot_classification
0.1,0.2,0.1,imagenet1k,ViT-B-32,/disk/b_290.pt,zeroshot_classification
"""
TABLES = {
    "timm": (timm_table, ERRORS),
    "open_clip": (open_clip_table, OPEN_CLIP),
    "clip_benchmark": (clip_benchmark_table, CLIP_BENCHMARK),
}


def imported(folder: Path, name: str) -> Release:
    """Import a table, and read what was written."""
    read_table, text = TABLES[name]
    file = folder / "table.csv"
    file.write_text(text)
    table: Table = read_table(file)
    write_release(folder / name, table)
    (release,) = read_releases([folder / name])
    return release


def measured(metric: str, value: Fraction) -> Metrics:
    """Make the counts of a run that measures that value."""
    made = Metrics(images=IMAGES, top1=0, top5=0, loss_sum=0.0)
    entry = METRICS[metric]
    if entry.complement_of:
        return measured(entry.complement_of, entry.unit.scale - value)
    share = value / entry.unit.scale
    if metric in ("top1", "top5"):
        count = share * IMAGES
        assert count.denominator == 1
        return msgspec.structs.replace(made, **{metric: int(count)})
    if metric == "loss":
        return msgspec.structs.replace(made, loss_sum=float(share * IMAGES))
    return msgspec.structs.replace(made, others={metric: str(share)})


@pytest.mark.parametrize(
    ("table", "metric", "low", "high"),
    [
        # 25 images and half of a hundredth of a percent: 27.5 images around 9,400.
        ("timm", "error", 9_373, 9_427),
        ("timm", "error5", 2_273, 2_327),
        # 0.8437 of 50,000 are 42,185; its source has a tolerance of 61 images.
        ("open_clip", "top1", 42_122, 42_248),
        # 0.66500, as Python leaves zeros out: half a unit is a quarter of an image.
        ("clip_benchmark", "top1", 33_225, 33_275),
        # Classes of 50 images: the mean over classes moves like the accuracy.
        ("clip_benchmark", "mean_per_class_recall", 33_228, 33_278),
    ],
)
def test_the_last_image_within_the_border_is_met_and_the_next_is_not(
    tmp_path: Path, table: str, metric: str, low: int, high: int
) -> None:
    release = imported(tmp_path, table)
    reference = next(r for r in release.references if r.metric == metric)
    found = [
        compare(
            reference, release, measured(metric, Fraction(100 * count, IMAGES))
        ).verdict
        for count in (low - 1, low, high, high + 1)
    ]
    assert found == [
        Verdict.BELOW,
        Verdict.REPRODUCED,
        Verdict.REPRODUCED,
        Verdict.ABOVE,
    ]


def references() -> list[Reference]:
    """Make a number of every metric, and one that is the mean of several runs."""
    made = [
        Reference(
            metric=name,
            published=printed("12.50"),
            families=("f",),
            checkpoint="c",
            dataset="imagenet-val",
            protocol="p",
            source="published",
        )
        for name in METRICS
    ]
    runs = msgspec.structs.replace(made[0], runs=5, spread=printed("0.12"))
    return [*made, runs]


@pytest.mark.parametrize(
    "reference", references(), ids=lambda r: f"{r.metric} {r.printed}"
)
def test_every_metric_is_met_exactly_on_the_border_and_not_beyond(
    tmp_path: Path, reference: Reference
) -> None:
    release = imported(tmp_path, "timm")
    tolerance = tolerance_of(reference).value
    for side, divergence in ((-1, Verdict.BELOW), (1, Verdict.ABOVE)):
        border = reference.published.value + side * tolerance
        for beyond, verdict in (
            (Fraction(0), Verdict.REPRODUCED),
            (Fraction(1, 10**30), divergence),
        ):
            metrics = Exactly(border + side * beyond)
            found = compare(reference, release, metrics)  # type: ignore[arg-type]
            assert found.verdict is verdict


class Exactly:
    """A measurement of one exact value, which no count of images need give."""

    images = IMAGES

    def __init__(self, value: Fraction) -> None:
        self._value = value

    def value(self, metric: str) -> Fraction:
        return self._value


def test_one_run_may_be_as_far_from_the_mean_of_five_as_their_spread_says() -> None:
    tolerance = tolerance_of(references()[-1])
    # 5.0435 deviations of 0.12, which may have been 0.125; 25 images; half a digit.
    expected = Fraction("5.0435") * Fraction("0.125") + Fraction("0.055")
    assert tolerance.value == expected
    assert "prediction interval of one run" in tolerance.origin
    error = msgspec.structs.replace(references()[-1], spread_is="standard error")
    wider = (tolerance_of(error).value - Fraction("0.055")) / Fraction("0.125")
    assert float(wider) == pytest.approx(5.0435 * 5**0.5, rel=1e-4)


def test_errors_are_imported_where_no_accuracy_is_printed(tmp_path: Path) -> None:
    (case,) = list_cases([imported(tmp_path, "timm")])
    assert numbers(case) == {"error": "18.80", "error5": "4.60"}


def test_clip_benchmark_gives_imagenet_of_weights_that_were_published(
    tmp_path: Path,
) -> None:
    release = imported(tmp_path, "clip_benchmark")
    (case,) = list_cases([release])
    assert case.id == (
        "clip_benchmark/ViT-B-32.laion2b_s34b_b79k@224-bicubic-crop224-clip"
    )
    assert numbers(case) == {
        "top1": "66.500",
        "top5": "89.844",
        "mean_per_class_recall": "66.506",
    }
    assert case.model.loader == "open_clip"
    assert "1 of weights that are not published" in release.sources["published"].note
