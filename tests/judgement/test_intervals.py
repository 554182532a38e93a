"""Intervals cover the value on all images as often as they say."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from repro.data.dataset import Dataset
from repro.evaluation.predictions import Predictions
from repro.judgement import intervals
from repro.judgement.intervals import (
    Cells,
    Interval,
    Sample,
    accuracy_interval,
    cells_of,
    class_mean_interval,
    error_bound,
    interval_of,
    loss_interval,
)
from repro.published import METRICS
from repro.published.metrics import TOP1

from ..conftest import Often
from .conftest import by_class, drawn

SIZES = np.full(10, 50)


@pytest.mark.slow
def test_three_nines_are_three_nines_for_accuracies_of_real_predictions(
    real_predictions: dict[str, Predictions], often: Often
) -> None:
    random = np.random.default_rng(0)
    missed, tries = 0, 0
    for predictions in real_predictions.values():
        for metric in ("top1", "top5"):
            hits = by_class(predictions, METRICS[metric].each(predictions))
            truth = float(hits.mean())
            for per_class in (5, 10, 25):
                labels = np.repeat(np.arange(10), per_class)
                cells = cells_of(labels, SIZES, 10)
                for _ in range(often(80, 20)):
                    sample = drawn(hits, per_class, random).astype(bool)
                    found = accuracy_interval(sample, labels, cells)
                    missed += found.excludes(truth - 1e-9, truth + 1e-9)
                    tries += 1
    assert stats.binomtest(missed, tries, 0.001, "greater").pvalue > 0.001
    # Neither is it so wide that it says nothing.
    assert found.high - found.low < 0.25


@pytest.mark.slow
@pytest.mark.parametrize("per_class", [5, 10, 20])
def test_accuracies_are_covered_at_each_size_of_a_subset(
    real_predictions: dict[str, Predictions], per_class: int, often: Often
) -> None:
    tries = often(10_000, 2000)
    random = np.random.default_rng(per_class)
    labels = np.repeat(np.arange(10), per_class)
    cells = cells_of(labels, SIZES, 10)
    for predictions in real_predictions.values():
        hits = by_class(predictions, TOP1.each(predictions))
        truth = float(hits.mean())
        missed = sum(
            accuracy_interval(
                drawn(hits, per_class, random).astype(bool), labels, cells
            ).excludes(truth - 1e-9, truth + 1e-9)
            for _ in range(tries)
        )
        assert stats.binomtest(missed, tries, 0.001, "greater").pvalue > 0.001


@pytest.mark.slow
@pytest.mark.parametrize("per_class", [1, 2, 5])
def test_three_nines_are_three_nines_for_losses_of_a_full_size_dataset(
    real_predictions: dict[str, Predictions], per_class: int, often: Often
) -> None:
    each = often(2000, 400)
    random = np.random.default_rng(per_class)
    labels = np.repeat(np.arange(1000), per_class)
    cells = cells_of(labels, np.full(1000, 50), 50)
    missed, tries = 0, 0
    for predictions in real_predictions.values():
        # Each image of the real set a hundred times: 50,000 images of 1,000 classes.
        losses = random.permutation(np.tile(predictions.losses, 100)).reshape(1000, 50)
        truth = float(losses.mean())
        for _ in range(each):
            sample = drawn(losses, per_class, random).astype(np.float64)
            found = loss_interval(sample, labels, cells)
            if found is not None:
                missed += found.excludes(truth, truth)
                tries += 1
    assert tries > 2 * each
    assert stats.binomtest(missed, tries, 0.001, "greater").pvalue > 0.001


#: Classes of each size, as datasets have them: alike, unlike, and of two kinds.
PROFILES = {
    "ImageNet": np.full(1000, 50),
    "ImageNet-V2": np.full(1000, 10),
    "ImageNet-A": 3 + (np.arange(200) ** 2 * 97) // 39_601,
    "ImageNet-R": 51 + (np.arange(200) ** 2 * 379) // 39_601,
    "digits": np.full(10, 50),
    "ten large, ninety small": np.repeat([1000, 10], [10, 90]),
    "a tenth large": np.repeat([100, 5], [100, 1000]),
    "small ones alone in a stratum": np.repeat([100, 14], [50, 500]),
    "mostly single images": np.repeat([250, 1], [40, 5000]),
}


@pytest.mark.slow
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("share", [1 / 3, 0.8])
def test_losses_are_covered_whichever_classes_carry_them(
    profile: str, share: float, often: Often
) -> None:
    sizes = PROFILES[profile]
    labels = np.repeat(np.arange(len(sizes)), sizes)
    names = tuple(f"{number}" for number in range(len(labels)))
    dataset = Dataset(
        name=profile,
        root=Path(),
        classes=tuple(f"{label}" for label in range(len(sizes))),
        files=names,
        digests=names,
        sizes=(1,) * len(names),
        labels=labels,
    )
    strata = len(dataset.strata)
    part = np.concatenate(dataset.strata[: max(1, int(share * strata))])
    random = np.random.default_rng(len(labels))
    is_small = (sizes < strata)[labels]
    missed, tries = 0, 0
    for _ in range(often(200, 20)):
        each, heavy = random.exponential(size=(2, len(labels)))
        of_class = random.exponential(size=len(sizes))[labels]
        for population in (
            each**2,
            of_class * heavy,
            np.where(is_small, heavy**2, 1 + each / 100),
            np.where(is_small, 1, heavy**2),
            np.where(is_small, 3, 0.2) * of_class * heavy,
        ):
            for _ in range(5):
                losses = population[np.lexsort((random.random(len(labels)), labels))]
                sample = Sample(losses[part], labels[part], sizes, strata)
                place, cells = sample.cells()
                found = loss_interval(sample.values, place, cells)
                if found is not None:
                    truth = float(losses.mean())
                    missed += found.excludes(truth - 1e-9, truth + 1e-9)
                    tries += 1
    assert tries > 0 or len(part) < intervals.LOSS_IMAGES
    assert stats.binomtest(missed, max(1, tries), 0.001, "greater").pvalue > 0.001


def test_a_loss_of_few_images_has_no_interval(
    real_predictions: dict[str, Predictions],
) -> None:
    predictions = real_predictions["clip/real/1280"]
    assert interval_of(predictions, "loss", SIZES, 10) is None


def test_a_loss_that_few_images_carry_has_no_interval() -> None:
    losses = np.zeros(2000)
    losses[:2] = 30.0
    labels = np.arange(2000) % 1000
    cells = cells_of(labels, np.full(1000, 50), 50)
    assert loss_interval(losses, labels, cells) is None


@given(
    total=st.integers(20, 400), data=st.data(), level=st.sampled_from([0.9, 0.95, 0.99])
)
@settings(max_examples=60)
def test_without_classes_it_is_the_exact_hypergeometric_interval(
    total: int, data: st.DataObject, level: float
) -> None:
    images = data.draw(st.integers(2, total - 1))
    found = data.draw(st.integers(0, images))
    hits = np.arange(images) < found
    cells = Cells(np.array([0]), np.array([total]), np.array([images]))
    interval = accuracy_interval(hits, np.zeros(images, dtype=np.int64), cells, level)
    # Every number of hits in the dataset that neither one-sided test refuses.
    possible = np.arange(found, total - images + found + 1)
    alpha = (1 - level) / 2
    accepted = possible[
        (stats.hypergeom.cdf(found, total, possible, images) >= alpha)
        & (stats.hypergeom.sf(found - 1, total, possible, images) >= alpha)
    ]
    assert interval.low <= accepted.min() / total + 1e-8
    assert interval.high >= accepted.max() / total - 1e-8
    # A design effect near 1 cannot widen it much.
    width = (accepted.max() - accepted.min()) / total
    assert interval.high - interval.low <= 1.5 * width + 1e-8


def test_of_all_images_the_interval_is_the_value(
    real_predictions: dict[str, Predictions],
) -> None:
    predictions = real_predictions["supervised/real/160"]
    found = interval_of(predictions, "top1", SIZES, 10)
    assert found is not None
    assert found.low == pytest.approx(predictions.metrics().percent("top1"))
    assert found.high == pytest.approx(found.low)


def test_classes_count_with_their_size_in_the_dataset() -> None:
    # Class 0 has 90 images, all right; class 1 has 10, all wrong; 10 of each are seen.
    labels = np.repeat([0, 1], 10)
    cells = cells_of(labels, np.array([90, 10]), 5)
    found = accuracy_interval(labels == 0, labels, cells)
    assert found.low < 0.9 < found.high
    assert found.low > 0.5


def test_classes_that_no_stratum_holds_may_be_all_right_or_all_wrong() -> None:
    cells = cells_of(np.zeros(50, dtype=np.int64), np.array([90, 5, 5]), 9)
    assert cells.sizes.tolist() == [90, 10]
    found = accuracy_interval(np.ones(50, bool), np.zeros(50, dtype=np.int64), cells)
    assert found.low <= 0.9
    assert found.high == pytest.approx(1)


@given(
    share=st.floats(0.01, 0.99),
    images=st.integers(10, 2000),
    data=st.data(),
)
@settings(max_examples=200)
def test_the_safe_bound_is_never_below_the_exact_tail(
    share: float, images: int, data: st.DataObject
) -> None:
    found = data.draw(st.integers(0, images))
    cells = Cells(np.array([0]), np.array([10 * images]), np.array([images]))
    hits = np.arange(images) < found
    place = np.zeros(images, dtype=np.int64)
    bound = error_bound(hits, place, cells, share, share)
    tail = min(
        stats.binom.cdf(found, images, share), stats.binom.sf(found - 1, images, share)
    )
    assert bound >= tail * (1 - 1e-9)


def test_the_bound_doubts_nothing_inside_the_range() -> None:
    cells = Cells(np.array([0]), np.array([50_000]), np.array([20_000]))
    hits = np.arange(20_000) < 14_000
    place = np.zeros(20_000, dtype=np.int64)
    assert error_bound(hits, place, cells, 0.6, 0.8) == 1
    assert error_bound(hits, place, cells, 0.75, 0.8) < 1e-9


def test_a_mean_over_unequal_classes_is_covered_whichever_are_hard() -> None:
    random = np.random.default_rng(0)
    sizes = np.array([8, 12, 20, 60, 200])
    shares = np.array([0.5, 0.9, 0.2, 0.95, 0.99])
    values = [
        random.permutation(np.arange(n) < s * n)
        for n, s in zip(sizes, shares, strict=True)
    ]
    truth = float(np.mean([v.mean() for v in values]))
    for drawn_sizes in ([2, 3, 5, 15, 50], [4, 6, 10, 30, 100], [0, 3, 5, 15, 50]):
        labels = np.repeat(np.arange(5), drawn_sizes)
        for _ in range(200):
            parts = [
                random.permutation(v)[:n]
                for v, n in zip(values, drawn_sizes, strict=True)
            ]
            sample = Sample(np.concatenate(parts), labels, sizes, 4)
            found = class_mean_interval(sample)
            assert found.low <= truth <= found.high
            assert found.high - found.low < 1
    whole = Sample(np.concatenate(values), np.repeat(np.arange(5), sizes), sizes, 4)
    found = class_mean_interval(whole)
    assert found.low == pytest.approx(truth) == pytest.approx(found.high)


@pytest.mark.parametrize("metric", METRICS)
def test_an_interval_travels_as_plain_numbers(
    real_predictions: dict[str, Predictions], metric: str
) -> None:
    found = interval_of(real_predictions["clip/real/1280"], metric, SIZES * 3, 30)
    assert (
        msgspec.json.decode(msgspec.json.encode(found), type=Interval | None) == found
    )


def test_the_levels_are_what_the_documents_say() -> None:
    assert intervals.CONFIDENCE == 0.999
    assert intervals.LOSS_IMAGES == 1000
