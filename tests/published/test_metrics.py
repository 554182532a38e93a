"""A metric is one entry of a table, and numbers are read as they are printed."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.evaluation.predictions import Predictions, exact_mean, weighted_values
from repro.published import METRICS, Printed, Reference, main_metrics, printed
from repro.published.metrics import TOP1, complement, hits_within, variant

from ..releases import HEAD, edited, fault_of
from ..releases import read_release as read
from .made_claims import CLAIMS


def numbers(tmp_path: Path, *lines: str) -> list[Reference]:
    return list(read(tmp_path, edited('top1 = "50.580"', "\n".join(lines))).references)


def test_where_nothing_was_published_one_accuracy_and_the_loss_are_shown() -> None:
    shown = {metric.name: metric.is_higher_better for metric in main_metrics()}
    assert shown == {"top1": True, "loss": False}


@pytest.mark.parametrize(
    ("digits", "percent", "half_unit"),
    [
        ("0.6831", "68.31", "0.005"),
        ("0.68310", "68.310", "0.0005"),
        ("0.7", "70", "5"),
        ("1", "100", "50"),
        ("0.000", "0.0", "0.05"),
    ],
)
def test_a_fraction_keeps_its_digits_in_percent(
    tmp_path: Path, digits: str, percent: str, half_unit: str
) -> None:
    (number,) = numbers(tmp_path, f'top1 = "{digits}"', 'unit = "fraction"')
    assert number.published == Printed(percent, Fraction(percent), Fraction(half_unit))


def test_a_fraction_is_never_guessed(tmp_path: Path) -> None:
    (number,) = numbers(tmp_path, 'top1 = "0.6831"')
    assert number.published == printed("0.6831")


def test_the_unit_of_a_source_holds_for_its_shares_unless_a_reference_has_its_own(
    tmp_path: Path,
) -> None:
    source = edited("[source.paper]", '[source.paper]\nunit = "fraction"')
    text = source.replace('top1 = "50.580"', 'error = "0.4942"\nloss = "0.9"')
    assert [str(r.published) for r in read(tmp_path, text).references] == [
        "0.9",
        "49.42",
    ]
    own = text.replace('error = "0.4942"', 'unit = "percent"\nerror = "49.42"')
    assert [str(r.published) for r in read(tmp_path, own).references] == [
        "0.9",
        "49.42",
    ]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (('top1 = "50.58"', 'unit = "fraction"'), "between 0 and 1 as a fraction"),
        (('loss = "0.9"', 'unit = "fraction"'), "but loss is no share of the images"),
        (('error = "100.01"',), "error = '100.01' is out of range"),
        (('top1 = "91.6 +- 0.1"',), "'91.60 ± 0.12'"),
        (('top1 = "91.6 ± 0.1"',), "runs is missing"),
        (('top1 = "91.6"', "runs = 5"), "each number needs its spread"),
        (('top1 = "9 ± 1"', 'loss = "2"', "runs = 5"), "each number needs its"),
        (('top1 = "9"', 'spread = "standard error"'), "each number needs its"),
        (('top1 = "9 ± 1"', "runs = 1"), "between 2 and 10,000"),
        (('top2 = "9"',), "allowed are family, checkpoint, dataset"),
    ],
)
def test_a_number_that_cannot_be_is_an_error(
    tmp_path: Path, lines: tuple[str, ...], message: str
) -> None:
    assert message in fault_of(tmp_path, edited('top1 = "50.580"', "\n".join(lines)))


def test_a_mean_of_runs_keeps_the_digits_of_its_spread(tmp_path: Path) -> None:
    (number,) = numbers(tmp_path, 'top1 = "91.60 ± 0.120"', "runs = 5")
    assert number.printed == "91.60 ± 0.120"
    assert (number.runs, number.spread) == (5, printed("0.120"))
    (number,) = numbers(
        tmp_path, 'top1 = "0.9160 ± 0.0012"', "runs = 5", 'unit = "fraction"'
    )
    assert number.printed == "91.60 ± 0.12"


def test_a_claim_about_an_unknown_metric_is_an_error(tmp_path: Path) -> None:
    claim = CLAIMS["ordering"].replace('metric = "top1"', 'metric = "top2"')
    assert "metric is 'top2'; it must be one of top1" in fault_of(
        tmp_path, HEAD + claim
    )


@st.composite
def made(draw: st.DrawFn) -> Predictions:
    """Draw predictions of classes of unequal size."""
    count, classes = draw(st.integers(1, 60)), draw(st.integers(5, 9))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    ranked = [random.permutation(classes)[:5] for _ in range(count)]
    return Predictions(
        indices=np.arange(count),
        labels=random.integers(0, classes, count) // random.integers(1, 3),
        classes=np.array(ranked, dtype=np.int32),
        losses=random.exponential(size=count),
        total=count,
    )


@given(made())
def test_what_is_counted_is_the_mean_of_what_each_image_adds(
    predictions: Predictions,
) -> None:
    metrics = predictions.metrics()
    assert metrics.counted() == list(METRICS)
    for name, metric in METRICS.items():
        value = metrics.value(name)
        assert value == metric.unit.scale * exact_mean(predictions, metric)
        mean = weighted_values(predictions, metric).mean()
        assert float(value) == pytest.approx(mean)
    assert metrics.value("error") + metrics.value("top1") == 100
    assert metrics.value("error5") + metrics.value("top5") == 100


@pytest.mark.parametrize("name", METRICS)
def test_the_origin_of_a_tolerance_says_its_share(name: str) -> None:
    allowance = METRICS[name].allowance
    number, _, words = allowance.origin.replace(",", "").partition(" ")
    if words == "%":
        share = Fraction(number) / 100
    else:
        share = Fraction(int(number), int(words.split()[1]))
    assert allowance.share == share
    assert allowance.is_relative is (words == "%")


@given(made(), st.integers(0, 2**32 - 1))
def test_a_guarded_metric_hangs_on_nothing_but_first_five_and_loss(
    predictions: Predictions, seed: int
) -> None:
    random = np.random.default_rng(seed)
    classes = predictions.classes.copy()
    for row in classes:
        # Another order of all but the first, and another wrong first class.
        row[1:] = random.permutation(row[1:])
    other = msgspec.structs.replace(predictions, classes=classes)
    third = variant(TOP1, name="top3", title="t", phrase="p", each=hits_within(3))
    rest = complement(third, name="error3", title="t", phrase="p")
    assert not third.is_guarded
    assert not rest.is_guarded
    for metric in METRICS.values():
        assert metric.is_guarded
        found = exact_mean(predictions, metric), exact_mean(other, metric)
        assert found[0] == found[1]


@pytest.mark.parametrize("name", METRICS)
def test_what_is_the_rest_of_another_metric_points_the_other_way(name: str) -> None:
    metric = METRICS[name]
    assert metric.is_higher_better == (name not in ("error", "error5", "loss"))
    assert metric.complement_of == {"error": "top1", "error5": "top5"}.get(name, "")
    if metric.complement_of:
        whole = METRICS[metric.complement_of]
        assert metric.is_higher_better is not whole.is_higher_better
        assert not metric.is_main


def test_small_classes_count_as_much_as_large_ones() -> None:
    labels = np.array([0] * 9 + [2])
    predictions = Predictions(
        indices=np.arange(10),
        labels=labels,
        classes=np.zeros((10, 1), dtype=np.int32),
        losses=np.zeros(10),
        total=10,
    )
    assert predictions.metrics().value("top1") == 90
    # Class 1 has no image, and is none of the classes that are averaged.
    assert predictions.metrics().value("mean_per_class_recall") == 50
