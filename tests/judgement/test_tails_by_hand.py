"""What bounds an error: the unit it is taken in, and which errors are the tail."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from repro.judgement.tails import _beyond, _units


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
