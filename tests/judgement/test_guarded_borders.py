"""When a guarded loss is decided, and what of it a part of the images leaves open."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.judgement.guarded import Guarded, _ranks, _room, is_decided
from repro.judgement.intervals import Interval
from tests.made_results import predictions

from .conftest import reference

#: Met from 0.5 to 1.5 exactly: what is computed in quarters is not rounded.
PUBLISHED = reference("1", "loss", tolerance=0, tolerance_reason="quarters")
QUARTERS = st.integers(-4, 12).map(lambda n: n / 4)


@given(QUARTERS, QUARTERS)
def test_a_loss_is_decided_where_all_of_its_interval_says_the_same(
    one: float, two: float
) -> None:
    low, high = sorted((one, two))
    inside = [n / 4 for n in range(-4, 13) if low <= n / 4 <= high]
    met = {0.5 <= mean <= 1.5 for mean in inside}
    is_across = low < 0.5 and high > 1.5
    expected = len(met) == 1 and not is_across
    assert is_decided(PUBLISHED, Interval(low, high)) is expected
    assert not is_decided(PUBLISHED, None)


@given(QUARTERS)
def test_the_room_of_a_mean_is_the_way_to_the_nearer_border(mean: float) -> None:
    borders = [0.5, 1.5]
    assert _room(PUBLISHED, mean) == min(abs(border - mean) for border in borders)


@given(st.lists(st.integers(0, 2), min_size=1, max_size=30), st.randoms())
def test_a_rank_counts_those_of_its_cell_that_come_before(
    cells: list[int], random: st.DataObject
) -> None:
    order = list(range(len(cells)))
    random.shuffle(order)  # type: ignore[attr-defined]
    found = _ranks(np.array(order), np.array(cells))
    before: Counter[int] = Counter()
    for place in order:
        assert found[place] == before[cells[place]]
        before[cells[place]] += 1


def test_only_the_loss_of_a_part_is_wider_where_losses_are_estimated() -> None:
    made = predictions()
    mean = float(made.losses.mean())
    guarded = Guarded(cheap="bf16", loss=Interval(mean - 0.25, mean + 0.5))
    bounds = {"top1": Interval(60, 70), "loss": Interval(1.0, 2.0)}
    found = guarded.widen(dict(bounds), made)
    assert found["top1"] == bounds["top1"]
    loss = found["loss"]
    assert loss is not None
    assert (loss.low, loss.high) == pytest.approx((0.75, 2.5))
    unknown = Guarded(cheap="bf16").widen(dict(bounds), made)
    assert unknown == {"top1": bounds["top1"], "loss": None}
    assert guarded.widen({"loss": None}, made) == {"loss": None}
    plain = Guarded(reason="too close")
    assert plain.widen(dict(bounds), made) == bounds
