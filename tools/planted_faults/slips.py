"""Slips of whoever writes a number down, planted in numbers that are right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import msgspec

from repro.cases import Case
from repro.diagnosis.clerical import find_account
from repro.diagnosis.trials import targets_of
from repro.engine.evaluator import Evaluator
from repro.engine.settings import EngineSettings
from repro.published import printed

from .planting import embedded_cases

Numbers = dict[str, str]


class Slip(NamedTuple):
    """A slip: how its name begins, and what it makes of the numbers of two cases."""

    name: str
    make: Callable[[Numbers, Numbers], Numbers]


def _transposed(digits: str) -> str:
    """Exchange the digits before and after the point."""
    place = digits.index(".")
    before, after = digits[place - 1], digits[place + 1]
    return f"{digits[: place - 1]}{after}.{before}{digits[place + 2 :]}"


SLIPS = (
    Slip(
        "the error printed as the accuracy",
        lambda own, other: {
            **own,
            "top1": str(100 - Decimal(own["top1"])),
            "top5": str(100 - Decimal(own["top5"])),
        },
    ),
    Slip(
        "a fraction printed as percent",
        lambda own, other: {
            **own,
            "top1": str(Decimal(own["top1"]) / 100),
            "top5": str(Decimal(own["top5"]) / 100),
        },
    ),
    Slip(
        "top-5 accuracy",
        lambda own, other: {**own, "top1": own["top5"], "top5": own["top1"]},
    ),
    Slip(
        "a loss in bits",
        lambda own, other: {
            **own,
            "loss": f"{Decimal(own['loss']) / Decimal(2).ln():.6f}",
        },
    ),
    Slip("the number of", lambda own, other: other),
    Slip(
        "two neighbouring digits transposed",
        lambda own, other: {**own, "top1": _transposed(own["top1"])},
    ),
)


def plant_slips(number: int, cache: Path) -> Iterator[tuple[Slip, str, str]]:
    """Plant each slip in so many cases; yield it, the case and what is named."""
    engine = Evaluator(EngineSettings(cache=cache, device="cpu"))
    cases = list(embedded_cases().items())
    neighbours = [*cases[1:], cases[0]]
    pairs = list(zip(cases, neighbours, strict=True))[:number]
    for (name, case), (_, other) in pairs:
        _, predictions = engine.measure(case)
        dataset = engine.dataset(case)
        sizes, strata = dataset.class_sizes, len(dataset.strata)
        for slip in SLIPS:
            planted = _publish(case, slip.make(_numbers(case), _numbers(other)))
            targets = targets_of(planted.references, predictions, sizes, strata)
            # Numbers that happen to stay as they are have no slip to find.
            if any(target.is_missed for target in targets):
                found = find_account(planted, predictions, targets)
                yield slip, name, found.name if found else ""


def _numbers(case: Case) -> Numbers:
    return {r.metric: r.published.digits for r in case.references}


def _publish(case: Case, numbers: Numbers) -> Case:
    references = tuple(
        msgspec.structs.replace(r, published=printed(numbers[r.metric]))
        for r in case.references
    )
    return msgspec.structs.replace(case, references=references)
