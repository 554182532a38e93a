"""The race of suspects: the right one is found, and no more is spent than allowed."""

from __future__ import annotations

import numpy as np
import pytest

from repro.diagnosis.images import spread_order
from repro.diagnosis.pace import race
from repro.evaluation.predictions import Predictions

TOTAL = 1000


class Runner:
    """A contender whose value is known the better, the more images it has seen.

    The sought value is 0; `fit` is a normal log likelihood.
    """

    passes = 1

    def __init__(self, value: float, images: int = 10) -> None:
        self.value = value
        self.images = images

    @property
    def fit(self) -> float:
        error = 0.01 + 1 / self.images**0.5
        return float(-((self.value / error) ** 2) / 2 - np.log(error))

    @property
    def is_met(self) -> bool:
        return self.images == TOTAL and abs(self.value) < 0.01

    def look(self, images: int) -> None:
        assert images > 0
        self.images += images
        assert self.images <= TOTAL


def test_the_right_one_sees_all_images_and_the_others_few() -> None:
    runners = [Runner(value) for value in (3.0, 1.0, 0.0, -0.5, 2.0)]
    spent = race(runners, TOTAL, 5 * TOTAL)
    assert runners[2].is_met
    assert runners[0].images < 100
    assert spent == sum(runner.images - 10 for runner in runners)
    assert spent < 2 * TOTAL


@pytest.mark.parametrize("budget", [0, 1, 7, 500, 1234])
def test_never_more_is_seen_than_the_budget(budget: int) -> None:
    runners = [Runner(value) for value in (0.3, 0.2, 0.1, 0.15)]
    assert race(runners, TOTAL, budget) <= budget
    assert sum(runner.images - 10 for runner in runners) <= budget


def test_one_that_does_as_well_is_looked_at_too() -> None:
    runners = [Runner(0.0), Runner(0.001)]
    race(runners, TOTAL, 10 * TOTAL)
    assert [runner.images for runner in runners] == [TOTAL, TOTAL]


def test_where_nothing_is_right_all_is_seen_or_spent() -> None:
    runners = [Runner(0.5), Runner(0.6)]
    assert race(runners, TOTAL, 10 * TOTAL) == 2 * (TOTAL - 10)
    assert race([], TOTAL, TOTAL) == 0


def test_every_beginning_of_the_order_has_easy_and_hard_images() -> None:
    random = np.random.default_rng(3)
    images = 500
    run = Predictions(
        indices=np.sort(random.permutation(2 * images)[:images]),
        labels=np.zeros(images, np.int64),
        classes=np.zeros((images, 1), np.int32),
        losses=random.exponential(size=images),
        total=2 * images,
    )
    order = spread_order(run)
    assert sorted(order) == list(run.indices)
    quarter = np.argsort(np.argsort(run.losses)) * 4 // images
    of_index = dict(zip(run.indices.tolist(), quarter.tolist(), strict=True))
    for beginning in (8, 20, 100):
        counts = np.bincount([of_index[i] for i in order[:beginning]], minlength=4)
        assert counts.max() - counts.min() <= 3
