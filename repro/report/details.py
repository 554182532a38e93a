"""Metrics beside top-1 and loss, as lines of text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from repro.evaluation.metrics import CALIBRATION_BINS, calibration_error, class_accuracy
from repro.evaluation.predictions import Predictions
from repro.evaluation.real_labels import RealScore

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
