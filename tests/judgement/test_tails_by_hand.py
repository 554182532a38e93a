"""What bounds an error: the unit it is taken in, and which errors are the tail."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import integrate, stats

from repro.judgement.cheap import Floats, _beyond, _units


@pytest.mark.parametrize(
    ("seen", "tail"),
    [(60, 30), (100, 40), (799, 40), (840, 42), (1000, 50), (5000, 250), (9000, 250)],
)
def test_the_tail_is_a_twentieth_of_the_errors_within_limits(
    seen: int, tail: int
) -> None:
    errors = np.sort(np.random.default_rng(seen).standard_normal(seen) ** 2)
    far = np.array([2 * errors[-1]])
    border = len(errors) - tail - 1
    for place, counts in ((border - 1, False), (border, True), (border + 1, True)):
        other = errors.copy()
        # It stays where it is in the order of sizes.
        other[place] = (errors[place] + errors[place - 1]) / 2
        assert bool(_beyond(far, other) != _beyond(far, errors)) is counts


@given(st.integers(1, 400), st.integers(0, 2**32 - 1))
@example(999, 0)
@example(1050, 0)
def test_a_unit_is_the_mean_error_of_like_margins_and_two_standard_errors(
    images: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    sizes, apart = random.exponential(size=images), random.exponential(size=images)
    borders, units = _units(sizes, apart)
    groups = max(1, min(20, images // 50))
    assert (len(borders), len(units)) == (groups - 1, groups)
    left = sorted(zip(sizes.tolist(), apart.tolist(), strict=True))
    for number in range(groups):
        # As even as they can be, the larger ones first.
        count = images // groups + (number < images % groups)
        group, left = left[:count], left[count:]
        if number:
            assert borders[number - 1] == group[0][0]
        errors = [error for _, error in group]
        error_of_mean = statistics.pstdev(errors) / math.sqrt(count)
        wanted = statistics.fmean(errors) + 2 * error_of_mean
        assert units[number] == pytest.approx(wanted)


def test_a_group_without_any_error_has_the_least_unit_of_another() -> None:
    sizes = np.arange(150.0)
    apart = np.where(sizes < 50, 0.0, np.where(sizes < 100, 3.0, 2.0))
    assert _units(sizes, apart)[1].tolist() == [2.0, 3.0, 2.0]


def predicted(wanted: Floats, known: Floats, tail: int) -> list[float]:
    """Integrate over shapes and scales how likely another error is as large."""
    border = known[-tail - 1]
    over = known[-tail:] - border
    shapes = np.linspace(0, 1, 201)
    logarithms = np.linspace(math.log(0.25), math.log(3), 201)
    shape, scale = np.meshgrid(shapes, np.exp(logarithms) * over.mean(), indexing="ij")
    likely = sum(stats.genpareto.logpdf(x, shape, scale=scale) for x in over)
    weight = np.exp(likely - likely.max())

    def integral(values: Floats) -> float:
        rows = integrate.trapezoid(values, logarithms, axis=1)
        return float(integrate.trapezoid(rows, shapes))

    return [
        tail
        / len(known)
        * integral(weight * stats.genpareto.sf(size - border, shape, scale=scale))
        / integral(weight)
        for size in wanted
    ]


@pytest.mark.parametrize("seen", [100, 400, 1000])
@pytest.mark.parametrize("law", ["exponential", "standard_normal", "standard_cauchy"])
def test_what_is_beyond_is_the_mean_over_all_tails_that_fit(
    law: str, seen: int
) -> None:
    random = np.random.default_rng(seen)
    known = np.sort(np.abs(getattr(random, law)(size=seen)))
    tail = max(40, seen // 20)
    border = known[-tail - 1]
    mean = float((known[-tail:] - border).mean())
    far = border + mean * np.array([0.1, 1, 3, 10, 30, 100, 1000])
    # The grid of shapes counts its ends as wholes, and is coarse.
    assert _beyond(far, known) == pytest.approx(predicted(far, known, tail), rel=0.15)
    # Up to the tail, it is the share of the errors that were as large.
    near = np.concatenate([known[:-tail], known[: -tail - 1] + 1e-9])
    shares = [float((known >= size).mean()) for size in near]
    assert _beyond(near, known) == pytest.approx(shares)


def test_errors_that_are_all_alike_tell_of_no_tail() -> None:
    assert _beyond(np.array([0.5, 2.0]), np.ones(200)).tolist() == [1.0, 1.0]
