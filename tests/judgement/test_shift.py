"""A shift that all cases share is noticed, and honest ones are not."""

from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from repro.report.rows import HONEST, common_shift


@pytest.mark.parametrize("differences", [[], [-0.6]])
def test_fewer_than_two_numbers_share_nothing(differences: list[float]) -> None:
    assert common_shift(differences) is None


def test_mean_spread_and_largest_are_those_of_the_numbers() -> None:
    shift = common_shift([0.1, -0.3, 0.05])
    assert shift is not None
    assert shift.mean == pytest.approx(-0.05)
    assert shift.spread == pytest.approx(0.21794, abs=1e-5)
    assert shift.largest == 0.3
    assert shift.numbers == 3


@pytest.mark.parametrize(
    ("differences", "suspicious"),
    [
        ([0.03] * 10, True),
        ([-0.03] * 10, True),
        ([0.02, 0.03, 0.04, 0.03, 0.02, 0.03], True),
        ([HONEST] * 100, False),
        ([0.03, -0.03] * 20, False),
        ([0.04, 0.0, 0.0, 0.0, 0.0, 0.0], False),
        ([0.04] * 4, False),
        ([0.0] * 30, False),
    ],
)
def test_only_what_is_beyond_honest_software_updates_is_suspicious(
    differences: list[float], suspicious: bool
) -> None:
    shift = common_shift(differences)
    assert shift is not None
    assert shift.is_suspicious is suspicious


@given(
    st.floats(-0.04, 0.04), st.lists(st.floats(-0.02, 0.02), min_size=2, max_size=40)
)
def test_suspicious_is_what_a_t_test_finds_above_the_honest_shift(
    common: float, own: list[float]
) -> None:
    differences = [common + each for each in own]
    assume(statistics.stdev(differences) > 1e-6)
    # 0.008 points: what honest updates of software moved all models of timm's tables.
    towards = [math.copysign(1, statistics.fmean(differences)) * d for d in differences]
    test = stats.ttest_1samp(towards, 0.008, alternative="greater")
    p = float(test.pvalue)
    assume(abs(p - 0.01) > 1e-6)
    shift = common_shift(differences)
    assert shift is not None
    assert shift.is_suspicious is (len(own) >= 5 and p < 0.01)


@pytest.mark.parametrize(("shift", "suspicious"), [(0.0081, True), (0.0079, False)])
@pytest.mark.parametrize("side", [-1, 1])
def test_a_shift_without_spread_is_suspicious_just_above_the_honest_one(
    shift: float, suspicious: bool, side: int
) -> None:
    found = common_shift([side * shift] * 5)
    assert found is not None
    assert found.is_suspicious is suspicious


#: One-sided quantiles of 99 % of Student's t, as they are printed in tables.
STUDENT = {5: 3.747, 6: 3.365, 10: 2.821, 30: 2.462}


@pytest.mark.parametrize("numbers", STUDENT)
@pytest.mark.parametrize("side", [-1, 1])
def test_what_the_spread_explains_is_student_s_margin_of_so_many_numbers(
    numbers: int, side: int
) -> None:
    own = [0.01 * (place - (numbers - 1) / 2) for place in range(numbers)]
    margin = STUDENT[numbers] * statistics.stdev(own) / math.sqrt(numbers)
    for near, suspicious in ((0.999, False), (1.001, True)):
        found = common_shift([side * (HONEST + near * margin) + each for each in own])
        assert found is not None
        assert found.is_suspicious is suspicious
