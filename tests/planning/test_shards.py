"""Shards are complete, disjoint, always the same, and even."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.cases import Case, list_cases
from repro.planning.costs import Costs, Shard, cases_of_shard, parse_shard
from repro.published import read_releases

from ..made_releases import family, reference, release

CASES = list_cases(read_releases(["expected"]))


def seconds(generator: random.Random) -> Costs:
    """Draw the seconds of each case; many are the same, short or long."""
    return Costs(
        seconds={
            case.id: generator.choice((0.1, 1000.0, generator.uniform(0.1, 1000)))
            for case in CASES
        }
    )


#: A seed is drawn in no time, unlike as many numbers as there are cases.
SECONDS = st.integers(0, 2**32).map(random.Random).map(seconds)


def shards(cases: list[Case], costs: Costs, number: int) -> list[set[str]]:
    every = [Shard(place, number) for place in range(1, number + 1)]
    return [cases_of_shard(cases, costs, shard) for shard in every]


@pytest.mark.slow
@given(SECONDS, st.integers(1, 80), st.randoms(use_true_random=False))
def test_each_case_is_in_one_shard_in_whatever_order_cases_come(
    costs: Costs, number: int, order: random.Random
) -> None:
    found = shards(CASES, costs, number)
    assert sorted(name for part in found for name in part) == sorted(
        case.id for case in CASES
    )
    shuffled = order.sample(CASES, len(CASES))
    assert shards(shuffled, costs, number) == found


@given(SECONDS, st.integers(1, 10))
def test_shards_differ_by_no_more_than_the_cases_that_stay_together(
    costs: Costs, number: int
) -> None:
    def loads(number: int) -> list[float]:
        parts = shards(CASES, costs, number)
        return [sum(costs.seconds[name] for name in part) for part in parts]

    largest = max(loads(len(CASES)))  # enough for each group to have its own
    found = loads(number)
    assert max(found) - min(found) <= largest * (1 + 1e-9)


def test_estimates_balance_where_nothing_is_recorded() -> None:
    costs = Costs()
    loads = [
        sum(costs.of(case).seconds for case in CASES if case.id in part)
        for part in shards(CASES, costs, 4)
    ]
    assert max(loads) <= 1.1 * sum(loads) / 4


def test_cases_that_share_a_number_stay_together() -> None:
    shared = reference(("a", "b"))
    alone = [reference(name) for name in ("c", "d")]
    cases = list_cases([release([*map(family, "abcd")], [shared, *alone])])
    parts = shards(cases, Costs(), 3)
    assert {"a/1M@plain", "b/1M@plain"} in parts


def test_more_shards_than_cases_leave_some_empty() -> None:
    found = shards(CASES[:2], Costs(), 5)
    assert [len(part) for part in found] == [1, 1, 0, 0, 0]


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "a/b", "-1/4", "1/0"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be I/N with I from 1 to N"):
        parse_shard(text)


def test_a_shard_reads_as_it_is_written() -> None:
    assert str(parse_shard("2/8")) == "2/8"
