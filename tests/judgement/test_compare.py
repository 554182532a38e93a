"""Two runs compared: exact tests, and the most telling case first."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from repro.evaluation.predictions import Metrics, Predictions
from repro.judgement.compare import (
    CaseDifference,
    compare_predictions,
    mcnemar_p,
    most_telling_first,
    total_flips,
)
from tests.made_results import metrics, predictions

FLIPS = st.integers(0, 400)


@given(gained=FLIPS, lost=FLIPS)
def test_mcnemar_doubles_the_smaller_tail_of_a_fair_coin(
    gained: int, lost: int
) -> None:
    tail = stats.binom.cdf(min(gained, lost), gained + lost, 0.5)
    assert mcnemar_p(gained, lost) == pytest.approx(min(1.0, 2 * tail), rel=1e-9)


@given(gained=FLIPS, lost=FLIPS)
def test_mcnemar_is_the_same_seen_from_either_run(gained: int, lost: int) -> None:
    assert mcnemar_p(gained, lost) == mcnemar_p(lost, gained)


def test_mcnemar_calls_a_fair_coin_unfair_no_more_often_than_it_says() -> None:
    for flips in (5, 20, 101):
        ways = stats.binom.pmf(np.arange(flips + 1), flips, 0.5)
        p = np.array([mcnemar_p(gained, flips - gained) for gained in range(flips + 1)])
        for level in (0.001, 0.01, 0.05, 0.3):
            assert ways[p <= level].sum() <= level + 1e-12


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_flips_agree_with_the_table_of_two_measurements(one: int, two: int) -> None:
    before, after = predictions(seed=0), predictions(seed=0)
    before = _with_hits(before, np.random.default_rng(one).random(200) < 0.7)
    after = _with_hits(after, np.random.default_rng(two).random(200) < 0.8)
    flips = compare_predictions(before, after)
    gain = after.metrics().top1 - before.metrics().top1
    assert flips.gained - flips.lost == gain
    assert flips.images == 200
    back = compare_predictions(after, before)
    assert (back.gained, back.lost) == (flips.lost, flips.gained)


def test_the_most_telling_case_comes_first() -> None:
    cases = [
        _difference("balanced", 0, 20, 20),
        _difference("same", 0, 0, 0),
        _difference("one way", 12, 12, 0),
        _difference("lost", -9, 0, 9),
        _difference("two of 200", 0, 1, 1),
    ]
    order = [found.case for found in most_telling_first(cases)]
    assert order == ["one way", "lost", "balanced", "two of 200", "same"]
    assert total_flips(cases).gained == 33


def _difference(case: str, moved: int, gained: int, lost: int) -> CaseDifference:
    before = metrics()
    after = metrics(top1=before.top1 + moved)
    flips = compare_predictions(
        _with_hits(predictions(), np.arange(200) < 100),
        _with_hits(
            predictions(),
            (np.arange(200) >= lost) & (np.arange(200) < 100 + gained),
        ),
    )
    return CaseDifference(case=case, before=before, after=after, flips=flips)


def _with_hits(made: Predictions, hits: np.ndarray) -> Predictions:
    classes = made.classes.copy()
    classes[:, 0] = np.where(hits, made.labels, (made.labels + 1) % 10)
    return Predictions(
        indices=made.indices,
        labels=made.labels,
        classes=classes,
        losses=made.losses,
        total=made.total,
    )


@pytest.mark.parametrize(("moved", "same"), [(1e-8, True), (1e-4, False)])
def test_a_loss_that_is_only_rounded_otherwise_has_not_changed(
    moved: float, same: bool
) -> None:
    before = Metrics(images=500, top1=400, top5=490, loss_sum=300.0)
    after = msgspec.structs.replace(before, loss_sum=300.0 * (1 + moved))
    found = CaseDifference(case="a", before=before, after=after)
    assert found.is_same is same
