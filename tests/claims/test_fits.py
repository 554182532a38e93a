"""Power laws are found again, with intervals that cover as they should."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from repro.claims.estimates import (
    CONFIDENCE,
    Fitted,
    Floats,
    Point,
    difference_interval,
    exponent,
    exponent_difference,
    fit_curve,
    fitted,
)
from repro.claims.evidence import Observation

from ..conftest import Often
from .curves import SIZES, image_losses, noisy_points


@given(
    st.floats(-0.5, 1.5),
    st.floats(0.01, 100),
    st.lists(st.integers(1, 10**9), min_size=2, max_size=8, unique=True),
)
def test_an_exact_power_law_is_found_again(
    k: float, c: float, sizes: list[int]
) -> None:
    fit = fit_curve([Point(size, c * size**-k) for size in sizes])
    spread = np.log(max(sizes)) - np.log(min(sizes))
    assert fit.exponent == pytest.approx(k, abs=1e-9 / spread)
    for size in sizes:
        assert fit.loss(size) == pytest.approx(c * size**-k, rel=1e-9)


def test_fit_and_interval_agree_with_scipy() -> None:
    points = noisy_points(0.25, 0.03, np.random.default_rng(1))
    fit = fit_curve(points)
    x = np.log([point.images for point in points])
    theirs = stats.linregress(x, np.log([point.loss for point in points]))
    assert fit.exponent == pytest.approx(-theirs.slope)
    assert fit.standard_error == pytest.approx(theirs.stderr)
    assert fit.interval is not None
    reach = stats.t.ppf(0.975, len(points) - 2) * theirs.stderr
    assert fit.interval == pytest.approx((-theirs.slope - reach, -theirs.slope + reach))


def test_the_interval_of_a_fit_covers_the_known_exponent_as_often_as_it_says() -> None:
    generator = np.random.default_rng(2)
    covered = 0
    for _ in range(1000):
        interval = fit_curve(noisy_points(0.25, 0.05, generator)).interval
        assert interval is not None
        covered += interval[0] <= 0.25 <= interval[1]
    # Four standard errors of a share of 95 % of 1,000.
    assert covered / 1000 == pytest.approx(CONFIDENCE, abs=0.028)


def test_the_interval_of_a_difference_covers_though_the_scatter_differs() -> None:
    generator = np.random.default_rng(3)
    covered = 0
    for _ in range(1000):
        first = fit_curve(noisy_points(0.5, 0.02, generator, SIZES[:4]))
        second = fit_curve(noisy_points(0.2, 0.10, generator))
        interval = difference_interval(first, second, ratio=2.0)
        assert interval is not None
        covered += interval[0] <= 0.5 - 2 * 0.2 <= interval[1]
    assert covered / 1000 == pytest.approx(CONFIDENCE, abs=0.028)


def test_the_band_around_a_curve_covers_it_everywhere() -> None:
    generator = np.random.default_rng(4)
    inside = np.zeros(3)
    places = (SIZES[0], 700_000, 16_000_000)
    for _ in range(1000):
        fit = fit_curve(noisy_points(0.25, 0.05, generator))
        for number, images in enumerate(places):
            band = fit.band(images)
            assert band is not None
            inside[number] += band[0] <= 30 * images**-0.25 <= band[1]
    assert inside / 1000 == pytest.approx(CONFIDENCE, abs=0.028)


@pytest.mark.slow
def test_resampling_images_covers_the_known_exponent_as_often_as_it_says(
    often: Often,
) -> None:
    tries = often(400, 60)
    generator = np.random.default_rng(5)
    sizes, covered = (40, 160), 0
    for _ in range(tries):
        losses = image_losses(0.4, 400, generator, sizes)
        low, high = exponent(_observed(sizes, losses)).interval
        covered += low <= 0.4 <= high
    # Percentiles of the bootstrap are a little narrow with few images.
    assert 0.87 <= covered / tries <= 1


def test_images_that_are_hard_for_all_widen_no_comparison() -> None:
    generator = np.random.default_rng(6)
    sizes = (40, 160)
    losses = image_losses(0.4, 400, generator, sizes)
    same = exponent_difference(_observed(sizes, losses), _observed(sizes, losses))
    assert same.interval == pytest.approx((0, 0), abs=1e-12)
    shuffled = losses[:, generator.permutation(400)]
    unpaired = exponent_difference(_observed(sizes, losses), _observed(sizes, shuffled))
    assert unpaired.interval[1] > 0.01


def test_resampling_is_the_same_in_every_run() -> None:
    losses = image_losses(0.4, 100, np.random.default_rng(7), (40, 160))
    first, second = (exponent(_observed((40, 160), losses)) for _ in range(2))
    assert first == second


def test_two_points_have_a_slope_and_no_interval() -> None:
    fit = fit_curve([Point(4, 1.0), Point(1, 2.0)])
    assert fit.exponent == pytest.approx(0.5)
    assert fit.interval is None
    assert fit.band(2) is None
    assert [point.images for point in fit.points] == [1, 4]


@pytest.mark.parametrize(
    "points",
    [
        [],
        [Point(1, 2.0)],
        [Point(1, 2.0), Point(1, 3.0)],
        [Point(1, 0.0), Point(2, 1.0)],
        [Point(0, 1.0), Point(2, 1.0)],
        [Point(1, float("nan")), Point(2, 1.0)],
    ],
)
def test_what_no_power_law_goes_through_is_refused(points: list[Point]) -> None:
    with pytest.raises(ValueError, match="power law"):
        fit_curve(points)


def _observed(sizes: tuple[int, ...], losses: Floats) -> Fitted:
    return fitted(
        [
            (size, Observation(value=row.mean(), images=len(row), each=row))
            for size, row in zip(sizes, losses, strict=True)
        ]
    )
