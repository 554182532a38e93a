"""Slips of whoever writes a number down, planted in numbers that are right."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from repro.cases import Case
from repro.diagnosis.accounts import number_of, values_of
from repro.diagnosis.clerical import find_account
from repro.diagnosis.trials import targets_of
from repro.engine.evaluator import Evaluator
from repro.engine.settings import EngineSettings
from repro.evaluation.predictions import Predictions
from repro.published import printed

from .planting import embedded_cases

Numbers = dict[str, str]


class Measured(NamedTuple):
    """What a slip is made of: numbers of a case and its neighbour, and predictions.

    `order` are the images as a loader of class folders goes through them.
    """

    own: Numbers
    other: Numbers
    run: Predictions
    order: npt.NDArray[np.int64]

    def means(self, images: npt.NDArray[np.int64]) -> Numbers:
        """Give the means over some images, which may be there more than once."""
        hits = self.run.classes[images] == self.run.labels[images, None]
        return {
            "top1": f"{100 * hits[:, 0].mean():.2f}",
            "top5": f"{100 * hits.any(axis=1).mean():.2f}",
            "loss": f"{self.run.losses[images].mean():.6f}",
        }

    def mean_of_batches(self, size: int) -> Numbers:
        """Give the loss as a mean over the means of batches."""
        losses = self.run.losses[self.order]
        batches = [losses[n : n + size].mean() for n in range(0, len(losses), size)]
        return {**self.own, "loss": f"{np.mean(batches):.6f}"}

    def with_loss(self, factor: float) -> Numbers:
        """Give the loss in another unit."""
        return {**self.own, "loss": f"{float(self.own['loss']) * factor:.6f}"}

    def with_shares(self, change: Callable[[Decimal], Decimal]) -> Numbers:
        """Give the accuracies otherwise."""
        changed = {n: str(change(Decimal(self.own[n]))) for n in ("top1", "top5")}
        return {**self.own, **changed}


class Slip(NamedTuple):
    """A slip: how its name begins, and which numbers are published."""

    name: str
    make: Callable[[Measured], Numbers]


class Found(NamedTuple):
    """A slip in a case, how it was called, if at all, and how long that took."""

    slip: Slip
    case: str
    named: str
    seconds: float

    @property
    def is_right(self) -> bool:
        """Whether it was called by its name."""
        return self.named.startswith(self.slip.name)

    @property
    def is_false(self) -> bool:
        """Whether it was called another one."""
        return bool(self.named) and self.slip.name not in self.named


def _transposed(digits: str) -> str:
    """Exchange the digits before and after the point."""
    place = digits.index(".")
    before, after = digits[place - 1], digits[place + 1]
    return f"{digits[: place - 1]}{after}.{before}{digits[place + 2 :]}"


SLIPS = (
    Slip(
        "the error printed as the accuracy",
        lambda m: m.with_shares(lambda share: 100 - share),
    ),
    Slip(
        "a fraction printed as percent",
        lambda m: m.with_shares(lambda share: share / 100),
    ),
    Slip(
        "top-5 accuracy",
        lambda m: {**m.own, "top1": m.own["top5"], "top5": m.own["top1"]},
    ),
    Slip("a loss in bits", lambda m: m.with_loss(1 / math.log(2))),
    Slip("a loss with the logarithm", lambda m: m.with_loss(1 / math.log(10))),
    Slip("a loss summed over each of 8 batches", lambda m: m.with_loss(500 / 8)),
    Slip(
        "a perplexity printed as the loss",
        lambda m: {**m.own, "loss": f"{math.exp(float(m.own['loss'])):.6f}"},
    ),
    Slip("a mean over the means of batches of 64", lambda m: m.mean_of_batches(64)),
    Slip("a mean without the last 52 images", lambda m: m.means(m.order[:-52])),
    Slip(
        "a mean in which the first 12 images count twice",
        lambda m: m.means(np.concatenate([m.order, m.order[:12]])),
    ),
    Slip("the number of", lambda m: m.other),
    Slip(
        "two neighbouring digits transposed",
        lambda m: {**m.own, "top1": _transposed(m.own["top1"])},
    ),
)


def plant_slips(number: int, cache: Path) -> Iterator[Found]:
    """Plant each slip in so many cases."""
    engine = Evaluator(EngineSettings(cache=cache, device="cpu"))
    cases = list(embedded_cases().items())
    neighbours = [*cases[1:], cases[0]]
    pairs = list(zip(cases, neighbours, strict=True))[:number]
    for (name, case), (_, other) in pairs:
        _, predictions = engine.measure(case)
        dataset = engine.dataset(case)
        sizes, strata = dataset.class_sizes, len(dataset.strata)
        order = np.array(sorted(range(len(dataset)), key=dataset.files.__getitem__))
        measured = Measured(_numbers(case), _numbers(other), predictions, order)
        for slip in SLIPS:
            planted = _publish(case, slip.make(measured))
            targets = targets_of(planted.references, predictions, sizes, strata)
            # Numbers that happen to stay as they are have no slip to find.
            if any(target.is_missed for target in targets):
                start = time.perf_counter()
                each = values_of(predictions)
                numbers = [number_of(predictions, t, each) for t in targets]
                found = find_account(planted, predictions, numbers, each, dataset)
                seconds = time.perf_counter() - start
                yield Found(slip, name, found.name if found else "", seconds)


def _numbers(case: Case) -> Numbers:
    return {r.metric: r.published.digits for r in case.references}


def _publish(case: Case, numbers: Numbers) -> Case:
    references = tuple(
        msgspec.structs.replace(r, published=printed(numbers[r.metric]))
        for r in case.references
    )
    return msgspec.structs.replace(case, references=references)
