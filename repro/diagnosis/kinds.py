"""Of which kind a cause is that nobody listed, where the numbers tell; no torch.

Pixels, text and weights all move decisions and losses together, and no three numbers
tell these apart. What is said here is what they rule out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from repro.diagnosis.findings import Restored, Trial
from repro.diagnosis.undecided import FLIPPED

#: A loss that moved by such a share of itself, where nothing else did, was computed
#: otherwise: whatever moves images so much decides some of them otherwise.
MOVED = 0.25

#: A number of fewer digits is met to its last one by what was evaluated otherwise too:
#: half a unit of that as a share of a loss, and in points of an accuracy.
FINE_LOSS, FINE_SHARE = 1e-4, 0.05

#: Standard errors by which wrong labels may miss what is expected of them.
ERRORS = 2.5

#: Share of the expected change of the loss that may be missed, or be unknown.
LOSS_ERROR = 0.15


#: The suspect that tells what the loss of any label is, and how much it counts there.
SMOOTHED, SMOOTHING = "labels smoothed by 0.1", 0.1


class Kind(msgspec.Struct, frozen=True):
    """What kind of cause it is, and why; `because` completes a sentence."""

    name: str
    because: str


def kind_of(trials: Sequence[Trial], classes: int, images: int) -> Kind | None:
    """Tell of which kind the cause is, where nothing that was tried is.

    Args:
        trials: of which one spreads labels, or none.
        classes: how many the dataset has.
        images: how many it has.
    """
    numbers = {r.metric: r for r in trials[0].restored} if trials else {}
    loss, top1 = numbers.get("loss"), numbers.get("top1")
    if loss is None or top1 is None:
        return None
    shares = [r for name, r in numbers.items() if name != "loss"]
    least = FLIPPED * 100 / images
    if _is_exact(loss) and any(abs(_gap(number)) >= least for number in shares):
        return Kind(
            "bookkeeping",
            "the loss is met to its last digit, so every image was evaluated as here, "
            "and only the counts were written down otherwise",
        )
    if all(map(_is_exact, shares)) and abs(_gap(loss)) > MOVED * loss.measured:
        return Kind(
            "arithmetic",
            "every accuracy is met to its last digit and only the loss is not, so "
            "images, labels and weights are the same: it is the scale of the logits, "
            "or how the loss is computed",
        )
    of_any = _loss_of_any_label(trials)
    if of_any and "top5" in numbers:
        return _of_labels(top1, numbers["top5"], loss, of_any, classes, images)
    return None


def _of_labels(
    top1: Restored,
    top5: Restored,
    loss: Restored,
    of_any: tuple[float, float],
    classes: int,
    images: int,
) -> Kind | None:
    """Tell whether a share of the labels being wrong would do all three."""
    others = classes - 1
    right, five = top1.measured / 100, top5.measured / 100
    wrong = (1 - right) / others - right, (5 - five) / others - five
    share = _gap(top1) / 100 / wrong[0]
    if not 0 < share < 1:
        return None
    error = 100 * math.sqrt(share * (1 - share) / images)
    if abs(_gap(top5) - 100 * share * wrong[1]) > ERRORS * error:
        return None
    value, uncertain = of_any
    change = share * ((classes * value - loss.measured) / others - loss.measured)
    room = LOSS_ERROR * change
    if change <= 0 or share * uncertain > room or abs(_gap(loss) - change) > room:
        return None
    return Kind(
        "labels",
        "accuracies and loss are what they would be with about "
        f"{100 * share:.1f} % of the labels exchanged for any other",
    )


def _loss_of_any_label(trials: Sequence[Trial]) -> tuple[float, float] | None:
    """Give the loss if every class were right alike, and its error."""
    for trial in trials:
        if trial.topic == "loss" and trial.suspect == SMOOTHED:
            (loss,) = (r for r in trial.restored if r.metric == "loss")
            moved = (loss.value - loss.measured) / SMOOTHING
            return loss.measured + moved, loss.error / SMOOTHING
    return None


def _gap(number: Restored) -> float:
    return float(number.number.value) - number.measured


def _is_exact(number: Restored) -> bool:
    """Tell whether a number is met to its last digit, and has enough of them."""
    half_unit = float(number.number.half_unit)
    is_loss = number.metric == "loss"
    finest = FINE_LOSS * number.measured if is_loss else FINE_SHARE
    return half_unit <= finest and abs(_gap(number)) <= half_unit + 1e-9
