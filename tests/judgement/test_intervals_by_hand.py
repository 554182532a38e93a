"""Intervals are those of the textbooks, computed class by class in plain loops."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import optimize, special, stats

from repro.judgement.intervals import (
    Interval,
    Sample,
    accuracy_interval,
    cells_of,
    class_mean_interval,
    error_bound,
    loss_interval,
)

#: Sizes of classes, images drawn of each, and strata: which of them are cells of their
#: own, and which of these show their own variance, differs.
LOSS_PLANS = {
    "three large": ([4000, 2000, 1000], [1000, 500, 250], 4),
    "one large, many small": ([4000] + [80] * 60, [1000] + [20] * 60, 4),
    "all small": ([80] * 80, [20] * 80, 4),
    "one image of some": ([4000] + [4] * 40, [1200] + [1] * 40, 4),
    "thirty show it, less do not": ([120] * 60 + [116] * 60, [30] * 60 + [29] * 60, 4),
    "two images of some": ([4000] + [8] * 40, [1200] + [2] * 40, 4),
    "smaller than the strata": ([4000, 2000] + [3] * 50, [1000, 500] + [1] * 50, 4),
    "whole": ([1500, 1500], [1500, 1500], 4),
}


def cells_by_hand(
    sizes: Sequence[int], drawn: Sequence[int], strata: int
) -> list[list[int]]:
    """List the classes of each cell: those smaller than the strata share one."""
    own = [[number] for number, size in enumerate(sizes) if size >= strata]
    shared = [number for number, size in enumerate(sizes) if size < strata]
    return [*own, shared] if shared else own


def interval_by_hand(
    values: list[npt.NDArray[np.float64]], sizes: list[int], level: float
) -> Interval | None:
    """Bound the mean from the values drawn of each cell, of so many images each."""
    total, count = sum(sizes), sum(map(len, values))
    mean = sum(
        size / total * float(cell.mean())
        for size, cell in zip(sizes, values, strict=True)
    )
    alone = [[n] for n in range(len(sizes)) if len(values[n]) >= 30]
    others = [n for n in range(len(sizes)) if len(values[n]) < 30]
    variance = skewed = freedoms = plain = carried = third_sum = 0.0
    for group in [*alone, others] if others else alone:
        drawn = np.concatenate([values[n] for n in group])
        size = sum(sizes[n] for n in group)
        weight, left = size / total, 1 - len(drawn) / size
        if all(len(values[n]) >= 2 for n in group):
            squares = sum(float(values[n].var()) * len(values[n]) for n in group)
            freedom = len(drawn) - len(group)
        else:
            center = sum(sizes[n] / size * float(values[n].mean()) for n in group)
            squares = float((drawn - center) @ (drawn - center))
            freedom = len(drawn) - 1
        spread = squares / freedom
        second = weight**2 * spread / len(drawn)
        skewness = float(stats.skew(drawn)) if drawn.std() else 0.0
        third = weight**3 * skewness * spread**1.5 / len(drawn) ** 2
        variance += left * second
        skewed += left * (1 + left) * third / 2
        freedoms += (left * second) ** 2 / freedom
        plain, third_sum = plain + second, third_sum + third
        carried += second**2 / len(drawn)
    if not variance:
        return Interval(mean, mean)
    if plain**2 / carried < 1000 - 1e-6 or abs(third_sum) > 0.2 * plain**1.5:
        return None
    bend = skewed / variance**1.5
    quantile = float(stats.t.ppf((1 + level) / 2, variance**2 / freedoms))

    def straight(t: float) -> float:
        return float(t + bend * t**2 / 3 + bend**2 * t**3 / 27 + bend / 6)

    ends = [
        optimize.brentq(lambda t, q=q: straight(t) - q, -50, 50, xtol=1e-12)
        for q in (quantile, -quantile)
    ]
    error = math.sqrt(variance)
    assert count >= 1000
    return Interval(mean - error * ends[0], mean - error * ends[1])


@pytest.mark.parametrize("plan", LOSS_PLANS)
@pytest.mark.parametrize("shape", ["even", "skewed", "of the class", "alike in one"])
@pytest.mark.parametrize("level", [0.9, 0.999])
def test_a_loss_has_the_interval_of_hall_stratified(
    plan: str, shape: str, level: float
) -> None:
    sizes, drawn, strata = LOSS_PLANS[plan]
    random = np.random.default_rng(len(sizes))
    labels = np.repeat(np.arange(len(sizes)), drawn)
    losses = random.random(len(labels))
    if shape == "skewed":
        losses = random.exponential(size=len(labels))
    if shape == "of the class":
        losses = losses + (labels % 7)
    if shape == "alike in one":
        losses[labels == 0] = 0.5
    sample = Sample(losses, labels, np.array(sizes), strata)
    found = loss_interval(losses, *sample.cells(), level)
    cells = cells_by_hand(sizes, drawn, strata)
    expected = interval_by_hand(
        [losses[np.isin(labels, cell)] for cell in cells],
        [sum(sizes[n] for n in cell) for cell in cells],
        level,
    )
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert found.low == pytest.approx(expected.low, rel=1e-9)
        assert found.high == pytest.approx(expected.high, rel=1e-9)


def test_losses_that_lie_alike_on_both_sides_have_the_interval_of_student() -> None:
    losses = np.tile([0.5, 1.5], 1000)
    place = np.zeros(2000, dtype=np.int64)
    found = loss_interval(losses, place, cells_of(place, np.array([8000]), 5), 0.9)
    error = math.sqrt((1 - 2000 / 8000) * losses.var(ddof=1) / 2000)
    reach = error * float(stats.t.ppf(0.95, 1999))
    assert found is not None
    assert (found.low, found.high) == pytest.approx((1 - reach, 1 + reach))


def test_a_loss_needs_a_thousand_images_and_one_of_each_cell() -> None:
    random = np.random.default_rng(0)
    for images, is_enough in ((999, False), (1000, True)):
        losses = random.random(images)
        place = np.zeros(images, dtype=np.int64)
        cells = cells_of(place, np.array([5000]), 5)
        assert (loss_interval(losses, place, cells) is not None) is is_enough
    place = np.zeros(2000, dtype=np.int64)
    cells = cells_of(place, np.array([5000, 5000]), 5)
    assert loss_interval(random.random(2000), place, cells) is None


@pytest.mark.parametrize("seed", range(20))
def test_a_thousand_images_are_a_thousand_whatever_is_rounded(seed: int) -> None:
    losses = np.random.default_rng(seed).random(1000)
    place = np.zeros(1000, dtype=np.int64)
    assert loss_interval(losses, place, cells_of(place, np.array([5000]), 5))


@st.composite
def parts(draw: st.DrawFn) -> tuple[list[int], list[int], list[int], int]:
    """Draw sizes of classes, images drawn and hits of each, and strata."""
    strata = draw(st.integers(2, 6))
    sizes = draw(st.lists(st.integers(1, 40), min_size=1, max_size=6))
    sizes[0] = max(sizes[0], 2 * strata)
    drawn = [draw(st.integers(0 if n else 2, size)) for n, size in enumerate(sizes)]
    hits = [draw(st.integers(0, count)) for count in drawn]
    return sizes, drawn, hits, strata


def sample_of(part: tuple[list[int], list[int], list[int], int]) -> Sample:
    sizes, drawn, hits, strata = part
    right = np.concatenate(
        [np.arange(count) < hit for count, hit in zip(drawn, hits, strict=True)]
    )
    labels = np.repeat(np.arange(len(sizes)), drawn)
    return Sample(right, labels, np.array(sizes), strata)


def accuracy_by_hand(
    sizes: list[int], drawn: list[int], hits: list[int], level: float
) -> Interval:
    """Bound a share of hits from what was drawn of each cell."""
    everything = sum(sizes)
    seen = [n for n in range(len(sizes)) if drawn[n]]
    total, images = sum(sizes[n] for n in seen), sum(drawn)
    share = sum(sizes[n] / total * hits[n] / drawn[n] for n in seen)
    alpha = (1 - level) / 2
    few, many = math.floor(share * images + 1e-9), math.ceil(share * images - 1e-9)
    possible = range(total + 1)
    low = next(
        k
        for k in possible
        if k >= few and stats.hypergeom.sf(few - 1, total, k, images) >= alpha
    )
    high = max(
        k
        for k in possible
        if k <= total - images + many
        and stats.hypergeom.cdf(many, total, k, images) >= alpha
    )
    plain = share * (1 - share) * (1 - images / total) / images
    plain *= total / max(1, total - 1)
    alike = estimated = 0.0
    for n in seen:
        rest = (sizes[n] / everything) ** 2 * (1 - drawn[n] / sizes[n]) / drawn[n]
        alike += rest * share * (1 - share) * sizes[n] / max(1, sizes[n] - 1)
        own = hits[n] / drawn[n]
        if drawn[n] > 1:
            estimated += rest * own * (1 - own) * drawn[n] / (drawn[n] - 1)
    effect = 1.0
    if plain and any(drawn[n] < 2 for n in seen):
        effect = max(1.0, alike / plain)
    elif plain:
        freedom = sum(drawn[n] - 1 for n in seen)
        unsure = stats.t.ppf(1 - alpha, freedom) / stats.norm.ppf(1 - alpha)
        effect = max(estimated * unsure**2, alike / 2)
        effect = min(effect, max(plain, alike)) / plain
    wider = math.sqrt(effect)
    known = total / everything
    return Interval(
        known * max(0.0, share - wider * (share - low / total)),
        known * min(1.0, share + wider * (high / total - share)) + 1 - known,
    )


@settings(max_examples=150)
@given(parts(), st.sampled_from([0.9, 0.999]))
# Three of three, by weights in floats, are a share of 1.0000000000000002.
@example(([8, 2], [3, 0], [3, 0], 4), 0.9)
def test_a_share_has_the_interval_of_korn_and_graubard(
    part: tuple[list[int], list[int], list[int], int], level: float
) -> None:
    sizes, drawn, hits, strata = part
    sample = sample_of(part)
    found = accuracy_interval(sample.values, *sample.cells(), level)
    cells = cells_by_hand(sizes, drawn, strata)
    large, taken, met = (
        [sum(values[n] for n in cell) for cell in cells]
        for values in (sizes, drawn, hits)
    )
    expected = accuracy_by_hand(large, taken, met, level)
    assert found.low == pytest.approx(expected.low, abs=1e-9)
    assert found.high == pytest.approx(expected.high, abs=1e-9)


@given(parts(), st.sampled_from([0.9, 0.999]))
def test_a_mean_over_classes_has_the_interval_of_hoeffding(
    part: tuple[list[int], list[int], list[int], int], level: float
) -> None:
    sizes, drawn, hits, _ = part
    found = class_mean_interval(sample_of(part), level)
    known = [n for n in range(len(sizes)) if drawn[n]]
    mean = sum(hits[n] / drawn[n] for n in known) / len(sizes)
    squares = sum(1 / drawn[n] / len(sizes) ** 2 for n in known if drawn[n] < sizes[n])
    reach = math.sqrt(-math.log((1 - level) / 2) * squares / 2)
    unseen = (len(sizes) - len(known)) / len(sizes)
    assert found.low == pytest.approx(max(0, mean - reach))
    assert found.high == pytest.approx(min(1, mean + unseen + reach))


def test_what_is_wrong_once_never_meets_all_and_what_is_right_once_never_none() -> None:
    labels = np.zeros(10, dtype=np.int64)
    place, cells = Sample(labels > 0, labels, np.array([100]), 5).cells()
    for right in range(1, 10):
        hits = np.arange(10) < right
        assert error_bound(hits, place, cells, 1, 1) == 0
        assert error_bound(hits, place, cells, 0, 0) == 0
    assert error_bound(labels == 0, place, cells, 1, 1) == 1
    assert error_bound(labels > 0, place, cells, 0, 0) == 1


@given(parts(), st.floats(0, 1), st.floats(0, 1.5))
def test_the_safe_bound_is_the_entropy_to_the_nearest_share_that_is_allowed(
    part: tuple[list[int], list[int], list[int], int], one: float, two: float
) -> None:
    sizes, drawn, hits, strata = part
    low, high = sorted((one, two))
    labels = np.repeat(np.arange(len(sizes)), drawn)
    right = np.concatenate(
        [np.arange(count) < hit for count, hit in zip(drawn, hits, strict=True)]
    )
    place, cells = Sample(right, labels, np.array(sizes), strata).cells()
    seen = cells.drawn > 0
    each = cells.weights[seen] / cells.drawn[seen]
    unseen = 1 - float(cells.weights[seen].sum())
    scale = len(right) * float(each.max())
    of = np.bincount(place, weights=right, minlength=len(cells.sizes))[seen]
    found = float((each * of).sum()) / scale
    nearest = min(max(found, max(low - unseen, 0) / scale), min(high, 1) / scale)
    bound = error_bound(right, place, cells, low, high)
    if nearest == pytest.approx(found, abs=1e-12):
        assert bound == pytest.approx(1, abs=1e-6)
    elif nearest > 1 - 1e-12:
        assert bound <= 1
    else:
        entropy = special.kl_div([found, 1 - found], [nearest, 1 - nearest]).sum()
        assert bound == pytest.approx(math.exp(-len(right) * entropy), rel=1e-6)
