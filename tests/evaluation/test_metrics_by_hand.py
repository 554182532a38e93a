"""Metrics are the fractions that a loop over images counts, to the last bit."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.evaluation.predictions import (
    PER_IMAGE,
    Metrics,
    Predictions,
    exact_mean,
    join,
    weighted_values,
)
from repro.published import METRICS

from .made_predictions import predictions_of, random_logits

MADE = st.builds(
    lambda images, classes, seed: predictions_of(*random_logits(images, classes, seed)),
    st.integers(1, 60),
    st.integers(2, 9),
    st.integers(0, 2**31),
)


def by_hand(predictions: Predictions) -> dict[str, Fraction]:
    """Count every metric in exact fractions, in its unit."""
    labels = predictions.labels.tolist()
    classes = predictions.classes.tolist()
    right = defaultdict(list)
    for label, best in zip(labels, classes, strict=True):
        right[label].append(label == best[0])
    images = len(labels)
    first = Fraction(sum(sum(found) for found in right.values()), images)
    five = Fraction(
        sum(n in best for n, best in zip(labels, classes, strict=True)), images
    )
    loss = Fraction(predictions.losses.sum().item()) / images
    each = [Fraction(sum(found), len(found)) for found in right.values()]
    return {
        "top1": 100 * first,
        "top5": 100 * five,
        "error": 100 - 100 * first,
        "error5": 100 - 100 * five,
        "loss": loss,
        "mean_per_class_recall": 100 * sum(each, Fraction()) / len(each),
    }


@given(MADE)
def test_every_metric_is_exact(predictions: Predictions) -> None:
    found = predictions.metrics()
    expected = by_hand(predictions)
    assert set(found.counted()) == set(expected)
    assert {name: found.value(name) for name in expected} == expected
    assert found.loss == pytest.approx(float(expected["loss"]))
    assert found.percent("top1") == float(expected["top1"])


@given(MADE)
def test_a_mean_of_another_package_over_images_is_exact(
    predictions: Predictions,
) -> None:
    by_images = exact_mean(predictions, METRICS["top5"])
    assert 100 * by_images == by_hand(predictions)["top5"]


@given(MADE)
def test_what_images_add_to_a_metric_has_it_as_its_mean(
    predictions: Predictions,
) -> None:
    found = predictions.metrics()
    for name in found.counted():
        each = weighted_values(predictions, METRICS[name])
        assert len(each) == len(predictions.labels)
        assert each.mean() == pytest.approx(float(found.value(name)))


@given(MADE, st.data())
def test_a_part_weighs_its_images_by_the_classes_of_the_whole(
    predictions: Predictions, data: st.DataObject
) -> None:
    rows = sorted(
        data.draw(st.sets(st.integers(0, len(predictions.labels) - 1), min_size=1))
    )
    part = _rows(predictions, np.array(rows))
    for name in predictions.metrics().counted():
        whole = weighted_values(predictions, METRICS[name])
        found = weighted_values(part, METRICS[name], among=predictions)
        assert found == pytest.approx(whole[rows])


@given(MADE, st.data())
def test_parts_are_joined_to_the_whole_whatever_their_order(
    predictions: Predictions, data: st.DataObject
) -> None:
    images = len(predictions.labels)
    order = np.array(data.draw(st.permutations(range(images))))
    cut = data.draw(st.integers(0, images))
    joined = join([_rows(predictions, order[cut:]), _rows(predictions, order[:cut])])
    assert joined.is_complete
    for name in PER_IMAGE:
        ours, whole = getattr(joined, name), getattr(predictions, name)
        assert (ours is None) == (whole is None)
        assert ours is None or np.array_equal(ours, whole)
    bare = msgspec.structs.replace(_rows(predictions, order[:cut]), confidences=None)
    assert join([bare, _rows(predictions, order[cut:])]).confidences is None


def _rows(predictions: Predictions, rows: np.ndarray) -> Predictions:
    fields = {name: getattr(predictions, name) for name in PER_IMAGE}
    chosen: dict[str, Any] = {
        name: None if value is None else value[rows.astype(int)]
        for name, value in fields.items()
    }
    return Predictions(total=predictions.total, **chosen)


@given(MADE)
def test_predictions_are_complete_with_the_last_image_and_not_before(
    predictions: Predictions,
) -> None:
    assert predictions.is_complete
    more = msgspec.structs.replace(predictions, total=predictions.total + 1)
    assert not more.is_complete


def test_a_metric_that_was_not_counted_has_no_value() -> None:
    predictions = predictions_of(*random_logits(5, 3, 0))
    old = msgspec.structs.replace(predictions.metrics(), others={})
    assert set(old.counted()) == {"top1", "top5", "loss", "error", "error5"}
    with pytest.raises(KeyError):
        old.value("mean_per_class_recall")


@pytest.mark.parametrize(
    ("field", "value", "is_so"),
    [
        ("images", 0, False),
        ("images", 1, True),
        ("top1", -1, False),
        ("top1", 0, True),
        ("top5", -1, False),
        ("others", {"mean_per_class_recall": "17/20"}, True),
        ("others", {"mean_per_class_recall": "-3"}, True),
        ("others", {"mean_per_class_recall": "1/0"}, False),
        ("others", {"mean_per_class_recall": "1/02"}, False),
        ("others", {"mean_per_class_recall": "1\n"}, False),
    ],
)
def test_counts_of_a_record_are_numbers_that_can_be(
    field: str, value: Any, is_so: bool
) -> None:
    """Somebody else may have written it."""
    record = {"images": 20, "top1": 3, "top5": 17, "loss_sum": 1.5, field: value}
    if is_so:
        found = msgspec.convert(record, Metrics)
        assert msgspec.to_builtins(found) == {"others": {}, **record}
    else:
        with pytest.raises(msgspec.ValidationError, match=field):
            msgspec.convert(record, Metrics)
