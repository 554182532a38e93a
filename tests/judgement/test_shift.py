"""A shift that all cases share is noticed, and honest ones are not."""

from __future__ import annotations

import pytest

from repro.judgement.shift import HONEST, common_shift


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
