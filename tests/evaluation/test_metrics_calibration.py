"""The calibration error agrees with torchmetrics and with sums done by hand."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional.classification import multiclass_calibration_error

from repro.errors import EvaluationError
from repro.evaluation.predictions import calibration_error, expected_calibration_error

from .made_predictions import predictions_of, random_logits


@given(
    st.integers(1, 300), st.integers(2, 12), st.integers(1, 30), st.integers(0, 2**31)
)
@settings(max_examples=40)
def test_it_agrees_with_torchmetrics(
    images: int, classes: int, bins: int, seed: int
) -> None:
    logits, labels = random_logits(images, classes, seed)
    theirs = multiclass_calibration_error(
        logits.softmax(dim=1), labels, classes, n_bins=bins, norm="l1"
    )
    ours = calibration_error(predictions_of(logits, labels), bins)
    assert ours == pytest.approx(float(theirs), abs=1e-5)


def test_a_sum_by_hand() -> None:
    confidences = np.array([0.95, 0.85, 0.65, 0.55])
    correct = np.array([True, False, True, False])
    # Two bins of a half: all four in the upper one, 2 of 4 right, mean 0.75.
    assert expected_calibration_error(confidences, correct, 2) == pytest.approx(0.25)
    # Ten bins: each image is alone, gaps 0.05, 0.85, 0.35, 0.55.
    assert expected_calibration_error(confidences, correct, 10) == pytest.approx(0.45)


def test_whoever_is_as_often_right_as_sure_has_no_error() -> None:
    # So many bins as the source of the default counts: 0.51 and 0.54 share one of 20.
    near, right = np.array([0.51, 0.54]), np.array([True, False])
    assert expected_calibration_error(near, right) == pytest.approx(0.025)
    near = np.array([0.52, 0.53, 0.05, 0.051])
    right = np.array([True, False, True, False])
    both = abs(1 - 1.05) + 0.95 + 0.051
    assert expected_calibration_error(near, right) == pytest.approx(both / 4)
    confidences = np.array([0.75] * 4 + [1.0] * 3)
    correct = np.array([True, True, True, False] + [True] * 3)
    assert expected_calibration_error(confidences, correct) == pytest.approx(0)


def test_a_confidence_that_is_rounded_above_one_is_in_the_last_bin() -> None:
    confidences, correct = np.array([1.0000001, 0.99]), np.array([False, True])
    assert expected_calibration_error(confidences, correct) == pytest.approx(0.495)


def test_a_border_belongs_to_the_lower_bin() -> None:
    # 0.5 and 0.4 are in one bin of two, where their gaps cancel.
    confidences = np.array([0.5, 0.4])
    correct = np.array([True, False])
    assert expected_calibration_error(confidences, correct, 2) == pytest.approx(0.05)
    # Nothing at all is in the lowest bin, as what is a little more is.
    lowest = expected_calibration_error(
        np.array([0.0, 0.1]), np.array([True, False]), 2
    )
    assert lowest == pytest.approx(0.45)
    certain = expected_calibration_error(np.array([0.0, 1.0]), np.array([False, True]))
    assert certain == 0


def test_without_confidences_it_says_where_to_get_them() -> None:
    made = predictions_of(*random_logits(4, 3, 0))
    stripped = msgspec.structs.replace(made, confidences=None)
    with pytest.raises(EvaluationError, match="without confidences"):
        calibration_error(stripped)
    assert calibration_error(made) >= 0
