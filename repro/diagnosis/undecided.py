"""Which decisions the rounding of another machine may turn; needs no torch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from repro.diagnosis.accounts import Number
from repro.evaluation.predictions import Predictions

#: Fewer images, between classes that are all but equally likely, may be decided
#: otherwise by the rounding of another machine, where nothing tells how many are.
FLIPPED = 10
#: How far float32 may move a difference of two logits, whatever it does to the loss.
_MOVED = 1e-3
#: Standard deviations of the mean loss that its last digit leaves room for.
_DEVIATIONS = 3.0


def may_be_rounding(numbers: Sequence[Number], run: Predictions) -> bool:
    """Whether the loss is met exactly, and the rounding of a machine may give the rest.

    Args:
        numbers: of a source.
        run: what was measured.
    """
    return any(n.metric == "loss" for n in numbers) and all(
        n.is_exact or may_be_flipped(n, numbers, run) for n in numbers
    )


def may_be_flipped(number: Number, numbers: Sequence[Number], run: Predictions) -> bool:
    """Whether images that are all but undecided would be enough to give a number.

    Args:
        number: an accuracy that is not met.
        numbers: all of its source; the others are met to their last digit.
        run: what was measured.
    """
    if not number.image:
        return False
    most = min(FLIPPED - 1, _count_undecided(number, numbers, run))
    return number.gap < (most + 1) * number.image - 1e-9


def _count_undecided(
    number: Number, numbers: Sequence[Number], run: Predictions
) -> float:
    """Bound how many images rounding may decide as the published number wants it."""
    losses = [other.half_unit for other in numbers if other.metric == "loss"]
    if not losses or run.confidences is None:
        return math.inf
    # Logits that were moved by more would have moved the mean loss past its last digit.
    moved = max(_MOVED, _DEVIATIONS * min(losses) * math.sqrt(len(run.labels)))
    if number.metric == "top5":
        return _count_at_the_fifth(number, run, moved)
    if number.metric != "top1":
        return math.inf
    best = np.log(run.confidences.astype(np.float64))
    is_right = run.classes[:, 0] == run.labels
    if number.value > number.measured:
        return int(np.count_nonzero(~is_right & (best + run.losses <= moved)))
    # Of the second class is known that it has no more than what the first one leaves.
    rest = np.log(np.maximum(1.0 - np.exp(best), np.finfo(np.float64).tiny))
    return int(np.count_nonzero(is_right & (best - rest <= moved)))


def _count_at_the_fifth(number: Number, run: Predictions, moved: float) -> float:
    """Estimate how many labels are all but as likely as what is between them and five.

    How likely the fifth and the sixth class are was not kept: labels that have one of
    these ranks are taken to be anywhere within a nat of the other one.
    """
    if number.value > number.measured:
        near = (run.classes != run.labels[:, None]).all(axis=1)
    else:
        near = run.classes[:, -1] == run.labels
    return math.ceil(np.count_nonzero(near) * min(1.0, moved))
