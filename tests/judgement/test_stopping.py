"""A run is stopped when its outcome is beyond doubt, and a correct one never is."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from repro.evaluation.predictions import Predictions
from repro.judgement import verdict
from repro.judgement.intervals import cells_of, error_bound
from repro.judgement.verdict import acceptable_shares, is_hopeless
from repro.published import Reference
from repro.published.metrics import TOP1

from .conftest import by_class, reference

SIZES = np.full(10, 50)
STRATA = 10


def first_strata(predictions: Predictions, strata: int) -> Predictions:
    """Take five images of each class a stratum, as a subset of the run."""
    order = np.argsort(predictions.labels, kind="stable").reshape(10, 50)
    kept = np.sort(order[:, : 5 * strata].ravel())
    return Predictions(
        indices=predictions.indices[kept],
        labels=predictions.labels[kept],
        classes=predictions.classes[kept],
        losses=predictions.losses[kept],
        total=predictions.total,
    )


def stop_probability(
    correct: npt.NDArray[np.int64],
    size: int,
    strata: int,
    published: Reference,
    looks: list[int],
) -> float:
    """Bound the probability that a run is stopped at one of some looks, exactly.

    Args:
        correct: right images of each class, `[C]`.
        size: images of each class.
        strata: how many strata the dataset has.
        published: the number that the run meets.
        looks: after how many strata.
    """
    low, high = acceptable_shares(published)
    total = 0.0
    for look in looks:
        per_class = size * look // strata
        # The distribution of the number of right images that were seen.
        seen = np.ones(1)
        for count, times in zip(*np.unique(correct, return_counts=True), strict=True):
            one = stats.hypergeom.pmf(np.arange(per_class + 1), size, count, per_class)
            for _ in range(times):
                seen = np.convolve(seen, one)
        labels = np.repeat(np.arange(len(correct)), per_class)
        cells = cells_of(labels, np.full(len(correct), size), strata)
        images = len(labels)
        stopped = [
            right
            for right in range(images + 1)
            if seen[right] > 0
            and error_bound(np.arange(images) < right, labels, cells, low, high)
            <= verdict.FALSE_STOP
        ]
        total += float(seen[stopped].sum())
    return total


def test_a_correct_checkpoint_is_stopped_less_than_once_in_a_million_runs(
    real_predictions: dict[str, Predictions],
) -> None:
    for predictions in real_predictions.values():
        hits = by_class(predictions, TOP1.each(predictions))
        measured = 100 * float(hits.mean())
        # As far off as an honest measurement may be, on either side.
        for off in (-0.05, 0.05):
            published = reference(f"{min(100, measured + off):.2f}")
            probability = stop_probability(
                hits.sum(axis=1), 50, STRATA, published, list(range(2, STRATA))
            )
            assert probability < 1e-6


def test_nor_is_a_correct_full_size_checkpoint(
    real_predictions: dict[str, Predictions],
) -> None:
    random = np.random.default_rng(0)
    hits = TOP1.each(real_predictions["supervised/real/160"])
    correct = random.permutation(np.tile(hits, 100)).reshape(1000, 50).sum(axis=1)
    published = reference(f"{100 * correct.sum() / 50_000 + 0.05:.3f}")
    # The first look has the heaviest tail, so 48 looks are at most 48 times it.
    first = stop_probability(correct, 50, 50, published, [2])
    assert 0 < 48 * first < 1e-6
    assert stop_probability(correct, 50, 50, published, [10]) < first


def test_no_simulated_correct_run_is_stopped(
    real_predictions: dict[str, Predictions],
) -> None:
    random = np.random.default_rng(0)
    predictions = real_predictions["clip/synthetic/640"]
    hits = by_class(predictions, TOP1.each(predictions))
    low, high = acceptable_shares(reference(f"{100 * float(hits.mean()):.2f}"))
    stopped_at_one_percent = 0
    for _ in range(500):
        order = np.argsort(random.random(hits.shape), axis=1)
        shuffled = np.take_along_axis(hits, order, axis=1)
        bounds = []
        for look in range(2, STRATA):
            labels = np.repeat(np.arange(10), 5 * look)
            cells = cells_of(labels, SIZES, STRATA)
            seen = shuffled[:, : 5 * look].ravel().astype(bool)
            bounds.append(error_bound(seen, labels, cells, low, high))
        assert min(bounds) > verdict.FALSE_STOP
        stopped_at_one_percent += min(bounds) < 0.01
    # The same rule at another level errs no more often than it says, over all looks.
    assert stopped_at_one_percent <= 500 * 2 * 8 * 0.01


@pytest.mark.parametrize("published", ["5.00", "99.90"])
def test_a_hopeless_run_is_stopped_after_two_strata(
    real_predictions: dict[str, Predictions], published: str
) -> None:
    predictions = real_predictions["clip/synthetic/640"]
    one, two = (first_strata(predictions, strata) for strata in (1, 2))
    numbers = [reference(published)]
    assert not is_hopeless(numbers, one, SIZES, STRATA)
    assert is_hopeless(numbers, two, SIZES, STRATA)


def test_a_run_goes_on_while_one_source_may_be_met(
    real_predictions: dict[str, Predictions],
) -> None:
    predictions = real_predictions["clip/synthetic/640"]
    part = first_strata(predictions, 3)
    measured = f"{predictions.metrics().percent('top1'):.2f}"
    wrong = reference("5.00")
    assert is_hopeless([wrong], part, SIZES, STRATA)
    for other in (
        reference(measured, source="another"),
        reference("9.9999", "loss", source="another"),
        reference("5.00", families=("f", "g"), source="another"),
    ):
        assert not is_hopeless([wrong, other], part, SIZES, STRATA)


def test_a_wide_tolerance_is_not_held_against_a_run(
    real_predictions: dict[str, Predictions],
) -> None:
    predictions = real_predictions["clip/synthetic/640"]
    measured = predictions.metrics().percent("top1")
    generous = reference(
        f"{measured:.0f}", tolerance=Fraction(30), tolerance_reason="for the test"
    )
    assert not is_hopeless([generous], first_strata(predictions, 9), SIZES, STRATA)


def test_a_run_without_numbers_is_never_hopeless(
    real_predictions: dict[str, Predictions],
) -> None:
    part = first_strata(real_predictions["clip/real/1280"], 5)
    assert not is_hopeless([], part, SIZES, STRATA)


def test_a_complete_run_is_not_stopped(
    real_predictions: dict[str, Predictions],
) -> None:
    complete = real_predictions["clip/real/1280"]
    assert not is_hopeless([reference("5.00")], complete, SIZES, STRATA)
