"""Numbers and verdicts of claims are those of their definitions, borders included."""

from __future__ import annotations

import math
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from repro.claims.estimates import (
    Estimate,
    Point,
    difference_interval,
    exponent,
    exponent_difference,
    fit_curve,
    fitted,
    improvement,
    percentile_interval,
    resampled_means,
)
from repro.claims.evidence import Observation
from repro.claims.judge import _above, _within
from repro.claims.result import ClaimVerdict, all_of

SIZES = (40, 160, 640, 2560)
#: Quarters, which are exact, so that borders are met and not rounded.
QUARTERS = st.integers(-12, 12).map(lambda n: n / 4)
WIDTHS = st.integers(0, 8).map(lambda n: n / 4)


@given(QUARTERS, WIDTHS, WIDTHS, QUARTERS, WIDTHS, st.booleans())
def test_a_number_is_within_another_up_to_the_border_and_fails_beyond_its_interval(
    value: float,
    below: float,
    above: float,
    published: float,
    tolerance: float,
    is_range_known: bool,
) -> None:
    estimate = Estimate(value, (value - below, value + above), "")
    found = _within(estimate, published, tolerance, is_range_known=is_range_known)
    near = published - tolerance, published + tolerance
    quarters = {n / 4 for n in range(-200, 200)}
    allowed = {q for q in quarters if near[0] <= q <= near[1]}
    likely = {q for q in quarters if value - below <= q <= value + above}
    expected = ClaimVerdict.UNDECIDED
    if value in allowed:
        expected = ClaimVerdict.HOLDS
    elif is_range_known and not allowed & likely:
        expected = ClaimVerdict.FAILS
    assert found is expected


@given(QUARTERS, WIDTHS, st.booleans())
def test_a_number_is_above_zero_where_all_of_its_interval_is(
    low: float, width: float, or_equal: bool
) -> None:
    estimate = Estimate(low, (low, low + width), "")
    found = _above(estimate, or_equal=or_equal)
    expected = ClaimVerdict.UNDECIDED
    if low > 0 or (or_equal and low == 0):
        expected = ClaimVerdict.HOLDS
    elif low + width < 0:
        expected = ClaimVerdict.FAILS
    assert found is expected


def test_what_has_to_hold_altogether_is_as_its_worst_part() -> None:
    worst_first = (
        ClaimVerdict.MISSING,
        ClaimVerdict.FAILS,
        ClaimVerdict.UNDECIDED,
        ClaimVerdict.HOLDS,
    )
    assert all_of([]) is ClaimVerdict.HOLDS
    for parts in product(worst_first, repeat=3):
        assert all_of(parts) is min(parts, key=worst_first.index)


def test_a_fit_through_its_points_bends_a_band_as_linear_regression_says() -> None:
    random = np.random.default_rng(0)
    losses = [3 * n**-0.3 * math.exp(random.normal(0, 0.05)) for n in SIZES]
    fit = fit_curve([Point(n, y) for n, y in zip(SIZES, losses, strict=True)])
    x, y = np.log(SIZES), np.log(losses)
    theirs = stats.linregress(x, y)
    residuals = y - theirs.intercept - theirs.slope * x
    deviation = math.sqrt(float(residuals @ residuals) / 2)
    assert fit.freedom == 2
    assert fit.deviation == pytest.approx(deviation)
    assert fit.coefficient == pytest.approx(math.exp(theirs.intercept))
    for images in (10, 160, 10_000):
        far = (math.log(images) - x.mean()) ** 2 / ((x - x.mean()) ** 2).sum()
        reach = stats.t.ppf(0.975, 2) * deviation * math.sqrt(1 / 4 + far)
        middle = theirs.intercept + theirs.slope * math.log(images)
        assert fit.band(images) == pytest.approx(
            (math.exp(middle - reach), math.exp(middle + reach))
        )


@pytest.mark.parametrize("ratio", [1.0, 0.5, 3.0])
def test_a_difference_of_slopes_is_welch(ratio: float) -> None:
    random = np.random.default_rng(1)
    fits, theirs = [], []
    for k, noise, sizes in ((0.5, 0.02, SIZES), (0.2, 0.2, (*SIZES, 10_240))):
        losses = [n**-k * math.exp(random.normal(0, noise)) for n in sizes]
        fits.append(
            fit_curve([Point(n, y) for n, y in zip(sizes, losses, strict=True)])
        )
        theirs.append(stats.linregress(np.log(sizes), np.log(losses)))
    one, two = theirs[0].stderr ** 2, (ratio * theirs[1].stderr) ** 2
    freedom = (one + two) ** 2 / (one**2 / 2 + two**2 / 3)
    reach = stats.t.ppf(0.975, freedom) * math.sqrt(one + two)
    middle = ratio * theirs[1].slope - theirs[0].slope
    expected = middle - reach, middle + reach
    assert difference_interval(fits[0], fits[1], ratio) == pytest.approx(expected)


def test_slopes_that_are_known_exactly_have_a_difference_without_width() -> None:
    exact = [fit_curve([Point(n, float(n) ** -1) for n in (1, 2, 4)]) for _ in range(2)]
    assert exact[0].deviation == pytest.approx(0, abs=1e-12)
    found = difference_interval(exact[0], exact[1], 2.0)
    assert found == pytest.approx((-1, -1))


def seen(value: float, rounding: float = 0.0, images: int = 500) -> Observation:
    return Observation(value=value, images=images, rounding=rounding)


def test_printed_digits_move_an_exponent_no_further_than_its_rounding_says() -> None:
    points = [(n, seen(3 * n**-0.3, 0.004)) for n in SIZES[:2]]
    found = exponent(fitted(points))
    assert found.origin == "rounding only"
    ends = [
        fit_curve(
            [
                Point(n, o.value * (1 + side * o.rounding / o.value))
                for (n, o), side in zip(points, sides, strict=True)
            ]
        ).exponent
        for sides in product((-1, 1), repeat=2)
    ]
    assert found.interval[0] == pytest.approx(min(ends), abs=1e-5)
    assert found.interval[1] == pytest.approx(max(ends), abs=1e-5)
    reach = fitted(points).reach(1e-4)
    moved = [
        fit_curve(
            [
                Point(n, o.value * (1 + 1e-4 * side))
                for (n, o), side in zip(points, sides, strict=True)
            ]
        ).exponent
        for sides in product((-1, 1), repeat=2)
    ]
    assert reach == pytest.approx(max(moved) - found.value, rel=1e-3)


def test_a_difference_of_exponents_weighs_the_second_and_its_rounding() -> None:
    first = fitted([(n, seen(3 * n**-0.4, 0.003)) for n in SIZES[:2]])
    second = fitted([(n, seen(2 * n**-0.1, 0.002)) for n in SIZES[2:]])
    found = exponent_difference(first, second, 3.0)
    assert found.value == pytest.approx(0.4 - 3 * 0.1)
    reach = [(e.interval[1] - e.value) for e in (exponent(first), exponent(second))]
    expected = (
        found.value - reach[0] - 3 * reach[1],
        found.value + reach[0] + 3 * reach[1],
    )
    assert found.interval == pytest.approx(expected)


@pytest.mark.parametrize(("metric", "sign"), [("top1", 1), ("loss", -1)])
def test_an_improvement_is_positive_where_the_first_is_better(
    metric: str, sign: int
) -> None:
    better, worse = seen(70.0, 0.05, 400), seen(60.0, 0.005, 900)
    found = improvement(better, worse, metric)
    assert found.value == sign * 10
    reach = 0.055
    if metric == "top1":
        errors = (70 * 30 / 400, 60 * 40 / 900)
        reach += stats.norm.ppf(0.975) * math.sqrt(sum(errors))
    assert found.interval == pytest.approx((found.value - reach, found.value + reach))


def test_images_that_are_known_one_by_one_are_resampled_together() -> None:
    random = np.random.default_rng(2)
    each = [random.random(300), random.random(300)]
    observed = [
        Observation(value=float(values.mean()), images=300, each=values)
        for values in each
    ]
    for metric, sign in (("top1", 1), ("loss", -1)):
        found = improvement(observed[0], observed[1], metric)
        assert found.origin == "images resampled"
        middle = sign * (each[0] - each[1]).mean()
        error = float((each[0] - each[1]).std()) / math.sqrt(300)
        assert found.value == pytest.approx(middle)
        # Percentiles of some thousand means: a tenth of their standard error.
        for end, side in zip(found.interval, (-1.96, 1.96), strict=True):
            assert end == pytest.approx(middle + side * error, abs=0.15 * error)
    apart = Observation(value=0.5, images=299, each=random.random(299))
    assert improvement(observed[0], apart, "top1").origin == "binomial"
    assert improvement(observed[0], seen(0.5), "top1").origin == "binomial"


def test_the_wider_ends_of_scatter_and_images_count() -> None:
    random = np.random.default_rng(3)
    rows = [n**-0.4 * random.gamma(50, 0.02, 400) for n in SIZES]
    fit = fitted(
        [
            (n, Observation(value=float(row.mean()), images=400, each=row))
            for n, row in zip(SIZES, rows, strict=True)
        ]
    )
    found = exponent(fit)
    assert found.origin == "fit and images resampled"
    assert fit.law.interval is not None
    logs = np.log(resampled_means(rows))
    slopes = [np.polyfit(np.log(SIZES), row, 1)[0] for row in logs[:, :]]
    images = percentile_interval(-np.array(slopes))
    both = [fit.law.interval, images]
    assert found.interval[0] == pytest.approx(min(low for low, _ in both))
    assert found.interval[1] == pytest.approx(max(high for _, high in both))


def test_exponents_do_not_depend_on_the_order_of_the_points() -> None:
    points = [(n, seen(3 * n**-0.3 + n / 1e6, 0.01)) for n in SIZES]
    expected = exponent(fitted(points))
    for left_out in combinations(range(4), 2):
        shuffled = [points[n] for n in left_out[::-1]] + [
            point for n, point in enumerate(points) if n not in left_out
        ]
        assert exponent(fitted(shuffled)) == expected


def test_an_interval_leaves_out_as_much_on_either_side() -> None:
    # Of 1,001 values a thousandth lies between two neighbours.
    assert percentile_interval(np.arange(1001.0)) == pytest.approx((25.0, 975.0))


@pytest.mark.parametrize("loss", [0.0, -1.0, math.inf, math.nan])
def test_no_curve_goes_through_a_loss_that_is_none(loss: float) -> None:
    with pytest.raises(ValueError, match="positive sizes and losses only"):
        fit_curve([Point(40, 1.0), Point(160, loss)])


def test_no_curve_begins_without_images() -> None:
    with pytest.raises(ValueError, match="positive sizes and losses only"):
        fit_curve([Point(0, 1.0), Point(160, 0.5)])
