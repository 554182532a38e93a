"""What somebody may have written down wrongly: causes that cost no forward pass.

Each is an account of what would have been printed, had the source measured what was
measured here, or a slip in the digits of that: mistyped, transposed, cut. It is named
only where so many accounts were looked at that hardly one would fit by chance; needs no
torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from repro.cases import Case
from repro.data.dataset import Dataset
from repro.diagnosis.accounts import Account, Number, contradiction, may_be_flipped
from repro.diagnosis.findings import Known
from repro.diagnosis.other_cases import edited_number, of_other_cases
from repro.diagnosis.readings import read_otherwise
from repro.diagnosis.what_if import Floats
from repro.evaluation.predictions import Predictions
from repro.published import METRICS


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


#: So many of the accounts, were all of them beside the point, may be expected to fit.
FITTING = 0.02

#: The same for a digit, where what else was published rules out another evaluation: one
#: that decides images otherwise moves the loss too.
FITTING_ALONE = 0.25


def find_account(
    case: Case,
    run: Predictions,
    numbers: Sequence[Number],
    each: Mapping[str, Floats],
    dataset: Dataset | None = None,
    known: Known | None = None,
) -> Account | None:
    """Find what was written down wrongly, where that can be told from chance.

    Args:
        case: that diverges.
        run: its predictions.
        numbers: its published ones, of the sources that are contradicted.
        each: see `values_of`.
        dataset: its images, whose names tell the order of batches.
        known: what earlier measurements tell.
    """
    missed = [number for number in numbers if not number.is_met]
    if not missed:
        return None
    known = known or Known()
    if edited := edited_number(missed, known):
        return edited
    found = [
        *read_otherwise(run, numbers, each, dataset),
        *of_other_cases(case, numbers, known),
    ]
    if run.is_complete:
        found += cut_digits(numbers, run)
    best = min(found, key=lambda account: account.fit, default=None)
    impossible = contradiction(numbers, len(case.dataset.classes))
    # Numbers that no evaluation gives were written down wrongly: it is only asked how.
    if best and best.fit <= (FITTING_ALONE if impossible else FITTING):
        return best
    # Only a loss can be moved while all images are decided as they were.
    is_alone = METRICS[missed[0].metric].unit.whole and any(
        METRICS[number.metric].unit.whole is None for number in numbers
    )
    slip = mistyped_digit(numbers, run) if run.is_complete else None
    if slip and slip.fit <= (FITTING_ALONE if is_alone else FITTING):
        return slip
    return impossible
