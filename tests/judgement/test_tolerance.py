"""A tolerance is what its sentence says: its own or the default, and what is added."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from repro.evaluation.predictions import Predictions
from repro.judgement.tolerance import spread_of_a_run, tolerance_of
from repro.judgement.verdict import acceptable_shares, is_hopeless
from repro.published import METRICS, printed

from .conftest import reference

SPREADS = ("standard deviation", "standard error")


def mean_of(runs: int, spread: str, spread_is: str) -> Any:
    return reference("70.00", runs=runs, spread=printed(spread), spread_is=spread_is)


@pytest.mark.parametrize("runs", [2, 3, 5, 30])
@pytest.mark.parametrize("spread_is", SPREADS)
def test_one_more_run_lies_within_the_prediction_interval_of_a_normal(
    runs: int, spread_is: str
) -> None:
    found = spread_of_a_run(mean_of(runs, "0.20", spread_is))
    # Half a unit of the last digit: the source rounded.
    deviation = 0.205 * (math.sqrt(runs) if spread_is == "standard error" else 1)
    quantile = stats.t.ppf(0.995, runs - 1)
    expected = quantile * deviation * math.sqrt(1 + 1 / runs)
    assert float(found) == pytest.approx(expected, abs=2e-5)


def test_one_run_of_a_hundred_lies_further_from_the_mean_of_the_others() -> None:
    random = np.random.default_rng(0)
    others, one = random.normal(70, 0.3, (20_000, 4)), random.normal(70, 0.3, 20_000)
    factor = spread_of_a_run(mean_of(4, "1.00", SPREADS[0])) / Fraction("1.005")
    allowed = float(factor) * others.std(axis=1, ddof=1)
    missed = int((abs(one - others.mean(axis=1)) > allowed).sum())
    assert stats.binomtest(missed, 20_000, 0.01).pvalue > 0.001


@given(st.sampled_from(sorted(METRICS)), st.integers(0, 999), st.integers(0, 3))
def test_a_tolerance_is_the_sum_of_its_parts(
    metric: str, number: int, decimals: int
) -> None:
    text = f"{number / 10**decimals:.{decimals}f}"
    value, half = Fraction(number, 10**decimals), Fraction(1, 2 * 10**decimals)
    plain = reference(text, metric)
    # 25 of 50,000 images are 0.05 points; a loss may be off by a thousandth of it.
    default = value / 1000 if metric == "loss" else Fraction(1, 20)
    assert tolerance_of(plain).value == default + half
    own = reference(text, metric, tolerance=Fraction(1, 7), tolerance_reason="why")
    assert tolerance_of(own).value == Fraction(1, 7) + half
    assert tolerance_of(own).origin == "its own: why"
    many = {"runs": 3, "spread": printed("0.1"), "spread_is": SPREADS[1]}
    several = reference(text, metric, **many)
    spread = spread_of_a_run(several)
    assert tolerance_of(several).value == default + half + spread
    said = "99 % prediction interval of one run, from the standard error of 3 runs, "
    default_origin = tolerance_of(plain).origin
    assert tolerance_of(several).origin == f"{said}plus {default_origin}"
    assert (
        tolerance_of(
            reference(
                text, metric, **many, tolerance=Fraction(1), tolerance_reason="why"
            )
        ).value
        == 1 + half
    )


@given(st.integers(0, 100_000), st.integers(1, 10_000))
def test_a_tolerance_in_images_is_its_share_of_them(total: int, number: int) -> None:
    found = tolerance_of(reference(f"{number / 100:.2f}"))
    assert found.images(total) == pytest.approx(total * 0.055 / 100)


def test_shares_that_meet_a_number_end_at_nothing_and_at_all() -> None:
    assert acceptable_shares(reference("70.00")) == pytest.approx((0.69945, 0.70055))
    assert acceptable_shares(reference("0.01"))[0] == 0
    assert acceptable_shares(reference("99.99"))[1] == 1


def _part(right: int, images: int = 400, strata: int = 2) -> Predictions:
    """Predict some images of one class of 2,000, of which so many are right."""
    first = np.where(np.arange(images) < right, 0, 1).astype(np.int32)
    return Predictions(
        indices=np.arange(images),
        labels=np.zeros(images, dtype=np.int64),
        classes=first[:, None],
        losses=np.zeros(images),
        total=images * 10 // strata,
    )


@pytest.mark.parametrize("side", [-1, 1])
def test_a_run_is_hopeless_where_the_entropy_of_its_distance_says_so(side: int) -> None:
    sizes = np.array([2000])
    decided = set()
    for right in range(100, 301):
        found, allowed = right / 400, 0.5 + side * 0.00055
        if side * (found - 0.5) < 0:
            continue
        entropy = stats.entropy([found, 1 - found], [allowed, 1 - allowed])
        beyond = side * (found - allowed) > 0 and math.exp(-400 * entropy) <= 1e-9
        assert is_hopeless([reference("50.00")], _part(right), sizes, 10) is beyond
        decided.add(beyond)
    assert decided == {True, False}


@pytest.mark.parametrize(("images", "is_enough"), [(399, False), (400, True)])
def test_a_run_is_looked_at_from_its_second_stratum_on(
    images: int, is_enough: bool
) -> None:
    wrong = msgspec.structs.replace(_part(10, images), total=2000)
    found = is_hopeless([reference("90.00")], wrong, np.array([2000]), 10)
    assert found is is_enough
    whole = msgspec.structs.replace(wrong, total=images)
    assert not is_hopeless([reference("90.00")], whole, np.array([images]), 10)


def test_what_is_not_looked_at_saves_a_run() -> None:
    sizes, wrong = np.array([2000]), _part(10)
    assert is_hopeless([reference("90.00")], wrong, sizes, 10)
    # Of one stratum nothing is said, and what may be another checkpoint's is none.
    assert not is_hopeless([reference("90.00")], _part(10, 200, 1), sizes, 10)
    either = reference("90.00", families=("f", "g"))
    assert not is_hopeless([either], wrong, sizes, 10)
    for metric in ("loss", "mean_per_class_recall"):
        assert not is_hopeless([reference("90.00", metric)], wrong, sizes, 10)
    # One number that is contradicted contradicts its source; all sources have to be.
    met = reference("2.50", source="s")
    assert is_hopeless([met, reference("90.00", source="s")], wrong, sizes, 10)
    assert is_hopeless([reference("90.00", source="s"), met], wrong, sizes, 10)
    other = reference("2.50", source="t")
    assert not is_hopeless([other, reference("90.00", source="s")], wrong, sizes, 10)
