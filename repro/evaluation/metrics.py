"""Metrics beside counts and loss, from the same predictions; needs no torch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from repro.errors import EvaluationError
from repro.evaluation.predictions import Predictions

#: Bins of the calibration errors in github.com/visinf/benchmarking-synthetic-clones,
#: calibration/configs/default.yaml (`num_bins`).
CALIBRATION_BINS = 20


def calibration_error(predictions: Predictions, bins: int = CALIBRATION_BINS) -> float:
    """Give the expected calibration error of predictions, a share from 0 to 1.

    Raises:
        EvaluationError: the predictions were kept without their confidences.
    """
    if predictions.confidences is None:
        raise EvaluationError(
            "the predictions were kept without confidences, which the ledger leaves "
            "out; evaluate the checkpoint to get its calibration error"
        )
    correct = predictions.classes[:, 0] == predictions.labels
    return expected_calibration_error(predictions.confidences, correct, bins)


def expected_calibration_error(
    confidences: npt.NDArray[np.floating],
    correct: npt.NDArray[np.bool_],
    bins: int = CALIBRATION_BINS,
) -> float:
    """Average the gap between confidence and accuracy over equally wide bins.

    A confidence on the border of two bins belongs to the lower one. Empty bins count
    for nothing. Method: Guo et al., "On Calibration of Modern Neural Networks" (2017),
    https://arxiv.org/abs/1706.04599.

    Args:
        confidences: probability of the predicted class of each image, 0 to 1: `[N]`.
        correct: whether that class is right: `[N]`.
        bins: how many.
    """
    borders = np.linspace(0, 1, bins + 1)
    members = np.searchsorted(borders, confidences, side="left") - 1
    gaps = np.bincount(
        members.clip(0, bins - 1),
        weights=correct.astype(np.float64) - confidences.astype(np.float64),
        minlength=bins,
    )
    return float(np.abs(gaps).sum() / len(confidences))


def class_accuracy(predictions: Predictions, classes: int) -> npt.NDArray[np.float64]:
    """Give the top-1 accuracy of each class in percent: `[C]`, NaN without images.

    Args:
        predictions: of a dataset.
        classes: how many the dataset has.
    """
    correct = predictions.classes[:, 0] == predictions.labels
    images = np.bincount(predictions.labels, minlength=classes)
    right = np.bincount(predictions.labels, weights=correct, minlength=classes)
    with np.errstate(invalid="ignore"):
        percent: npt.NDArray[np.float64] = 100 * right / images
    return percent
