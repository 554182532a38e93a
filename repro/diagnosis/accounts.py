"""How a number may have been written down wrongly, and how probable chance is.

Slips in its digits are accounts of it: mistyped, transposed, cut.

Decisions that the rounding of another machine may turn are undecided, and belong to
chance; needs no torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Literal

import msgspec
import numpy as np

from repro.diagnosis.findings import Target
from repro.diagnosis.trials import ERRORS
from repro.diagnosis.what_if import Estimate, Floats, estimate
from repro.evaluation.predictions import TOP, Predictions, weighted_values
from repro.published import METRICS, Printed


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """How a number may have been written down wrongly.

    `name` is the cause, `premise` what would have to be true, and `fit` how many of the
    accounts of its kind would fit by chance. `wrong` is what belongs to another case.
    """

    name: str
    premise: str
    fit: float
    wrong: Literal["number", "weights", "either"] = "number"


class Number(msgspec.Struct, frozen=True, kw_only=True):
    """A published number, with what was measured and its error.

    `is_met` tells that the measurement does not contradict it;
    `room` is how far an honest measurement may be off, besides the rounding, and `step`
    half a unit of the last digit, or half an image where that is more; `image` is what
    one image counts in an accuracy, 0 in a loss.
    """

    metric: str
    published: Printed
    measured: float
    error: float
    is_met: bool
    room: float
    step: float
    image: float

    @property
    def value(self) -> float:
        """The published value."""
        return float(self.published.value)

    @property
    def half_unit(self) -> float:
        """Half a unit of its last digit."""
        return float(self.published.half_unit)

    @property
    def gap(self) -> float:
        """How far it is from what was measured."""
        return abs(self.value - self.measured)

    @property
    def is_exact(self) -> bool:
        """Whether it is met to its last digit."""
        return self.gap <= self.half_unit + 1e-9

    def room_of(self, value: float) -> float:
        """Tell how far an honest measurement of another value may be off."""
        if METRICS[self.metric].allowance.is_relative and self.value:
            return self.room * value / self.value
        return self.room

    def chance(self, value: float, scale: float = 1.0) -> float | None:
        """Tell how likely a wrong number is as near to a value as this one is.

        A wrong number is taken to lie anywhere as far from the measured one as this,
        so that is a share of the gap. Where a part of the images was evaluated, nothing
        is nearer than its error. None where it is not near at all.

        Args:
            value: that would have been printed.
            scale: by which that is larger than what it was made of.
        """
        near = abs(self.value - value)
        # What is allowed of a value itself has become larger with it.
        is_relative = METRICS[self.metric].allowance.is_relative
        room = self.room if is_relative else scale * self.room
        allowed = room + scale * ERRORS * self.error + self.half_unit
        if near > allowed + 1e-9:
            return None
        near = max(near, self.step, ERRORS * self.error)
        return near / self.gap if near < self.gap else 1.0


def values_of(run: Predictions) -> dict[str, Floats]:
    """Give what each image adds to each metric, as `weighted_values` does."""
    found: dict[str, Floats] = {}
    for name, metric in METRICS.items():
        rest = found.get(metric.complement_of)
        found[name] = (
            weighted_values(run, metric) if rest is None else metric.unit.scale - rest
        )
    return found


def number_of(run: Predictions, target: Target, each: Mapping[str, Floats]) -> Number:
    """Set a published number beside what was measured.

    Args:
        run: what was measured.
        target: the number.
        each: see `values_of`.
    """
    entry = METRICS[target.metric]
    if run.is_complete:
        found = Estimate(float(each[target.metric].mean()), 0.0)
    else:
        found = estimate(run, run, target.metric)
    half_unit = float(target.published.half_unit)
    image = (entry.unit.whole or 0) / run.total
    return Number(
        metric=target.metric,
        published=target.published,
        measured=found.value,
        error=found.error,
        is_met=not target.is_missed,
        room=max(0.0, target.tolerance - half_unit),
        step=max(half_unit, image / 2),
        image=image,
    )


def product(chances: Sequence[float | None]) -> float | None:
    """Multiply, where all are known."""
    known = [chance for chance in chances if chance is not None]
    return math.prod(known) if len(known) == len(chances) else None


def contradiction(numbers: Sequence[Number], classes: int) -> Account | None:
    """Tell whether no evaluation at all gives these numbers together.

    An image that is wrong has a loss of at least the logarithm of 2, since another
    class is as likely as the right one; one that five others come before, of 6.
    """
    by_metric = {number.metric: number for number in numbers}
    is_one_source = len(by_metric) == len(numbers)
    if not {"top1", "top5"} <= by_metric.keys() or not is_one_source or classes <= TOP:
        return None
    top1, top5 = (
        (by_metric[name].value + by_metric[name].half_unit) / 100
        for name in ("top1", "top5")
    )
    if by_metric["top5"].value < by_metric["top1"].value:
        premise = "more images are right at once than among the first five"
    elif loss := by_metric.get("loss"):
        least = (1 - min(1, top5)) * math.log(TOP + 1)
        least += max(0.0, top5 - top1) * math.log(2)
        if loss.value + loss.half_unit >= least:
            return None
        premise = f"with these accuracies the loss is at least {least:.3f}"
    else:
        return None
    return Account(
        name="numbers that contradict each other",
        premise=f"{premise}, however it was measured",
        fit=0.0,
    )


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


def mistyped_digit(numbers: Sequence[Number], run: Predictions) -> Account | None:
    """Give the account of one digit, where every other number is met to its last.

    Args:
        numbers: of the sources that are contradicted.
        run: what was measured, on all images.
    """
    missed = _missed_alone(numbers, run)
    if len(missed) != 1 or len(numbers) < 2:
        return None
    (number,) = missed
    right = f"{number.measured:.{number.published.decimals}f}"
    slips = {**_transposed(right), **_mistyped(right)}
    if number.published.digits not in slips:
        return None
    # So many of the numbers as near as that could have been taken for a slip.
    near = sum(abs(float(s) - number.measured) <= number.gap + 1e-9 for s in slips)
    return Account(
        name=slips[number.published.digits],
        premise=f"{right} was meant, as every other number of the source is met to its "
        "last digit",
        fit=min(1.0, near * number.half_unit / number.gap),
    )


def cut_digits(numbers: Sequence[Number], run: Predictions) -> Iterator[Account]:
    """Yield accounts of numbers that were cut, or rounded to fewer digits.

    What is so near to the measured number is told from another evaluation by the others
    alone, which are met to the last digit: hardly any would leave them so.

    Args:
        numbers: of the sources that are contradicted.
        run: what was measured, on all images.
    """
    missed = _missed_alone(numbers, run)
    others = [number for number in numbers if number.is_met]
    if not missed or not others:
        return
    chance = math.prod(
        max(n.half_unit, n.step) / (n.half_unit + n.room) for n in others
    )
    shared = set.intersection(*(set(_shortened(number)) for number in missed))
    for what in sorted(shared):
        yield Account(
            name=f"a number that was {what}",
            premise=f"{_meant(missed)} was {what}, as every other number of the source "
            "is met to its last digit",
            fit=min(1.0, chance * len(_WAYS)),
        )


#: How a number loses digits, and what then is its last one, counted from the point.
_WAYS = {
    "cut in place of rounded": None,
    "rounded to whole ones": 0,
    "rounded to one decimal": 1,
    "cut to whole ones": 0,
    "cut to one decimal": 1,
}


def _shortened(number: Number) -> Iterator[str]:
    """Yield in which ways the measured number becomes the published one."""
    decimals = number.published.decimals
    for what, kept in _WAYS.items():
        if kept is not None and kept >= decimals:
            continue
        last = decimals if kept is None else kept
        scaled = number.measured * 10**last
        # A product may fall short of a whole number by its last binary digit.
        left = math.floor(scaled + 1e-9) if what.startswith("cut") else round(scaled)
        if f"{left / 10**last:.{decimals}f}" == number.published.digits:
            yield what


def _meant(numbers: Sequence[Number]) -> str:
    return " and ".join(
        f"{number.measured:.{number.published.decimals + 2}f}" for number in numbers
    )


def _missed_alone(numbers: Sequence[Number], run: Predictions) -> list[Number]:
    """Give those that are not met, where all others are met to their last digit.

    None where one of them is off by no more images than rounding may have decided
    otherwise, which leaves the loss as it is.
    """
    if any(number.is_met and not number.is_exact for number in numbers):
        return []
    missed = [number for number in numbers if not number.is_met]
    if any(may_be_flipped(number, numbers, run) for number in missed):
        return []
    return missed


def _mistyped(text: str) -> dict[str, str]:
    return {
        f"{text[:place]}{digit}{text[place + 1 :]}": "one digit mistyped"
        for place, old in enumerate(text)
        for digit in "0123456789"
        if old.isdigit() and digit != old
    }


def _transposed(text: str) -> dict[str, str]:
    """Exchange each two digits that are neighbours, also around the point."""
    places = [place for place, letter in enumerate(text) if letter.isdigit()]
    found = {}
    for first, second in pairwise(places):
        letters = list(text)
        letters[first], letters[second] = letters[second], letters[first]
        found["".join(letters)] = "two neighbouring digits transposed"
    found.pop(text, None)
    return found
