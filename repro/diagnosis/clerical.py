"""What somebody may have written down wrongly: causes that cost no forward pass.

Each is an account of what would have been printed, had the source measured what was
measured here. It is named only where so many accounts were looked at that hardly one
would fit by chance; needs no torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from statistics import median

import msgspec

from repro.cases import Case, list_cases
from repro.diagnosis.findings import Target
from repro.diagnosis.trials import ERRORS
from repro.diagnosis.what_if import estimate
from repro.evaluation.predictions import Predictions
from repro.published import METRICS, Printed

#: So many of the accounts, were all of them beside the point, may be expected to fit.
FITTING = 0.02

#: The same for a digit, where what else was published rules out another evaluation: one
#: that decides images otherwise moves the loss too.
FITTING_ALONE = 0.25


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """How a number may have been written down wrongly.

    `name` is the cause, `premise` what would have to be true, and `fit` how many of the
    accounts of its kind would fit by chance.
    """

    name: str
    premise: str
    fit: float


class Number(msgspec.Struct, frozen=True, kw_only=True):
    """A published number that is not met, with what was measured and its error.

    `room` is how far an honest measurement may be off, besides the rounding, and `step`
    half a unit of the last digit, or half an image where that is more.
    """

    metric: str
    published: Printed
    measured: float
    error: float
    room: float
    step: float

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
        allowed = scale * (self.room + ERRORS * self.error) + self.half_unit
        if near > allowed + 1e-9:
            return None
        return min(1.0, max(near, self.step, ERRORS * self.error) / self.gap)


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """Another way to read what was measured: values by metric from values by metric.

    It is one for shares of images or for losses; values are `scale` times as large.
    """

    name: str
    premise: str
    is_share: bool
    values: Callable[[dict[str, float]], dict[str, float]]
    scale: float = 1.0


_IN_OTHER_UNITS = (
    Reading(
        name="the error printed as the accuracy, or the other way round",
        premise="what was printed is 100 minus what was measured",
        is_share=True,
        values=lambda measured: {m: 100 - value for m, value in measured.items()},
    ),
    Reading(
        name="a fraction printed as percent",
        premise="what was printed is a hundredth of what was measured",
        is_share=True,
        values=lambda measured: {m: value / 100 for m, value in measured.items()},
        scale=0.01,
    ),
    Reading(
        name="a loss in bits",
        premise="the logarithm was that to the base of 2",
        is_share=False,
        values=lambda measured: {m: v / math.log(2) for m, v in measured.items()},
        scale=1 / math.log(2),
    ),
)


def find_account(
    case: Case, run: Predictions, targets: Sequence[Target]
) -> Account | None:
    """Find what was written down wrongly, where that can be told from chance.

    Args:
        case: that diverges.
        run: its predictions.
        targets: its published numbers, of the sources that are contradicted.
    """
    missed = [_number(run, target) for target in targets if target.is_missed]
    if not missed:
        return None
    numbers = [_number(run, target) for target in targets]
    found = [*_read_otherwise(run, missed), *_of_another_case(case, numbers, missed)]
    best = min(found, key=lambda account: account.fit, default=None)
    if best and best.fit <= FITTING:
        return best
    slip = _mistyped(run, targets, missed)
    if slip is None:
        return None
    # Only a loss can be moved while all images are decided as they were.
    is_alone = METRICS[missed[0].metric].unit.whole and any(
        METRICS[target.metric].unit.whole is None for target in targets
    )
    return slip if slip.fit <= (FITTING_ALONE if is_alone else FITTING) else None


def _number(run: Predictions, target: Target) -> Number:
    found = estimate(run, run, target.metric)
    half_unit = float(target.published.half_unit)
    return Number(
        metric=target.metric,
        published=target.published,
        measured=found.value,
        error=found.error,
        room=max(0.0, target.tolerance - half_unit),
        step=max(half_unit, (METRICS[target.metric].unit.whole or 0) / 2 / run.total),
    )


def _read_otherwise(run: Predictions, missed: Sequence[Number]) -> Iterator[Account]:
    """Yield accounts of what was measured, in another unit or as another metric."""
    readings = [*_IN_OTHER_UNITS, *_of_other_metrics(missed)]
    measured = {metric: estimate(run, run, metric).value for metric in METRICS}
    for reading in readings:
        # All that is not met has to be of that kind.
        values = [
            reading.values(measured).get(number.metric)
            if reading.is_share == bool(METRICS[number.metric].unit.whole)
            else None
            for number in missed
        ]
        chances = [
            None if value is None else number.chance(value, reading.scale)
            for number, value in zip(missed, values, strict=True)
        ]
        if (chance := _product(chances)) is not None:
            fit = chance * len(readings)
            yield Account(name=reading.name, premise=reading.premise, fit=fit)


def _of_other_metrics(missed: Sequence[Number]) -> Iterator[Reading]:
    """Yield readings by which a metric was printed as another, or two swapped."""
    names = [number.metric for number in missed]
    if not all(METRICS[name].unit.whole for name in names):
        return
    if len(names) == 1:
        for other in METRICS:
            if METRICS[other].unit.whole and other != names[0]:
                yield _printed_as({names[0]: other}, "printed as")
    if len(names) == 2:
        yield _printed_as({names[0]: names[1], names[1]: names[0]}, "swapped with")


def _printed_as(source: dict[str, str], verb: str) -> Reading:
    metric, other = next(iter(source.items()))
    title = METRICS[other].title
    return Reading(
        name=f"{title} {verb} {METRICS[metric].title}",
        premise=f"what was printed as {METRICS[metric].title} is the {title}",
        is_share=True,
        values=lambda measured: {m: measured[s] for m, s in source.items()},
    )


def _of_another_case(
    case: Case, numbers: Sequence[Number], missed: Sequence[Number]
) -> Iterator[Account]:
    """Yield accounts by which numbers, or weights, are those of another case.

    Checkpoints of a release score alike, so what is near to a number is measured by how
    far the numbers of all other cases are from it.
    """
    others: dict[str, dict[str, float]] = {}
    for other in list_cases([case.release]):
        if other.id != case.id and other.references:
            others[other.id] = {
                r.metric: float(r.published.value) for r in other.references
            }

    def chances(number: Number, wanted: float, room: float) -> dict[str, float]:
        metric = number.metric
        away = {o: abs(v[metric] - wanted) for o, v in others.items() if metric in v}
        near = [name for name, distance in away.items() if distance <= room + 1e-9]
        if not near:
            return {}
        usual = max(median(away.values()), number.step)
        return dict.fromkeys(near, min(1.0, max(room, number.step) / usual))

    as_published = [chances(n, n.value, 0.0) for n in missed]
    as_measured = [
        chances(n, n.measured, n.room + n.half_unit + ERRORS * n.error) for n in numbers
    ]
    for name in others:
        copied = _product([found.get(name) for found in as_published])
        if copied is not None:
            yield Account(
                name=f"the number of {name}",
                premise=f"what is published for {name} was written down here too",
                fit=copied * len(others),
            )
        exchanged = _product([found.get(name) for found in as_measured])
        if exchanged is not None:
            yield Account(
                name=f"the row or the weights of {name}",
                premise=f"what was measured is what is published for {name}: rows of "
                "the table were exchanged or shifted, or the weights are those of the "
                "other",
                fit=exchanged * len(others),
            )


def _mistyped(
    run: Predictions, targets: Sequence[Target], missed: Sequence[Number]
) -> Account | None:
    """Give the account of one digit, where every other number is met to its last."""
    if len(missed) > 1 or len(targets) < 2 or not run.is_complete:
        return None
    (number,) = missed
    for target in targets:
        exact = _number(run, target)
        if target.metric != number.metric and exact.gap > exact.half_unit + 1e-9:
            return None
    right = f"{number.measured:.{number.published.decimals}f}"
    slips = {**_transposed(right), **_mistyped_digits(right)}
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


def _mistyped_digits(text: str) -> dict[str, str]:
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


def _product(chances: Sequence[float | None]) -> float | None:
    """Multiply, where all are known."""
    known = [chance for chance in chances if chance is not None]
    return math.prod(known) if len(known) == len(chances) else None
