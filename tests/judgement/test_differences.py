"""What differs between two measurements of a case, and what that explains."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.evaluation.predictions import Predictions
from repro.judgement.compare import (
    CaseDifference,
    Change,
    Flips,
    ImageChanges,
    ImageGroup,
    compare_predictions,
    find_flips,
    mcnemar_p,
    most_telling_first,
    rows_of,
    total_flips,
)
from tests.made_results import metrics

CHANGE = Change("a", "b", None)
NO_IMAGES = ImageGroup(images=0, names=())
IMAGES = ImageChanges(
    before=1,
    after=1,
    same=1,
    changed=NO_IMAGES,
    relabelled=NO_IMAGES,
    missing=NO_IMAGES,
    new=NO_IMAGES,
)
CONDITIONS: dict[str, Any] = {
    "published": (CHANGE,),
    "weights": CHANGE,
    "images": IMAGES,
    "others": (CHANGE,),
    "environment": (CHANGE,),
}
EQUAL = CaseDifference(case="a", before=metrics(), after=metrics())


def flips(gained: int, lost: int, images: int = 200) -> Flips:
    return Flips(images, gained, lost, mcnemar_p(gained, lost))


def test_equal_measurements_under_equal_conditions_are_the_same() -> None:
    assert EQUAL.is_same
    assert not EQUAL.is_unexplained


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_condition_that_differs_explains_a_number_that_does(name: str) -> None:
    found = msgspec.structs.replace(EQUAL, **{name: CONDITIONS[name]})
    # The environment is of the whole run; an edited number changes no measurement.
    assert found.is_same is (name == "environment")
    assert not found.is_unexplained
    other = msgspec.structs.replace(found, after=metrics(top1=metrics().top1 - 1))
    assert not other.is_same
    assert other.is_unexplained is (name == "published")


@pytest.mark.parametrize("step", [-1, 1])
@pytest.mark.parametrize("name", ["images", "top1", "top5"])
def test_every_count_is_part_of_what_was_measured(name: str, step: int) -> None:
    moved = {name: getattr(EQUAL.after, name) + step}
    after = msgspec.structs.replace(EQUAL.after, **moved)
    found = msgspec.structs.replace(EQUAL, after=after)
    assert not found.measured_same
    # A part of the images scores what it scores.
    assert found.is_unexplained is (name != "images")


@pytest.mark.parametrize(("gained", "lost"), [(1, 1), (1, 0), (0, 1)])
def test_images_that_flip_both_ways_are_a_difference(gained: int, lost: int) -> None:
    assert flips(gained, lost).any
    assert not msgspec.structs.replace(EQUAL, flips=flips(gained, lost)).measured_same
    assert not flips(0, 0).any
    assert msgspec.structs.replace(EQUAL, flips=flips(0, 0)).measured_same


def test_points_and_nats_are_after_minus_before() -> None:
    after = metrics(top1=metrics().top1 + 2)
    found = msgspec.structs.replace(EQUAL, after=after)
    assert found.points == pytest.approx(100 * 2 / after.images)
    heavier = msgspec.structs.replace(after, loss_sum=after.loss_sum + after.images)
    assert msgspec.structs.replace(EQUAL, after=heavier).loss == pytest.approx(1)


@pytest.mark.parametrize(("gained", "lost"), [(3, 1), (1, 3), (2, 2)])
def test_points_of_a_part_are_of_the_images_that_both_evaluated(
    gained: int, lost: int
) -> None:
    part = metrics(images=40, top1=10)
    found = msgspec.structs.replace(EQUAL, after=part, flips=flips(gained, lost, 40))
    assert found.points == pytest.approx(100 * (gained - lost) / 40)
    unknown = msgspec.structs.replace(found, flips=flips(0, 0, 0))
    assert unknown.points == pytest.approx(part.percent("top1") - 76.5)


@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (1, 0), (0, 1)])
def test_of_a_part_only_images_that_both_evaluated_tell_whether_it_is_the_same(
    gained: int, lost: int
) -> None:
    found = msgspec.structs.replace(EQUAL, after=metrics(images=40, top1=10))
    # Without any such image, the counts are all that there is.
    for unknown in (None, flips(0, 0, 0)):
        assert not msgspec.structs.replace(found, flips=unknown).measured_same
    shared = msgspec.structs.replace(found, flips=flips(gained, lost, 40))
    is_same = not gained + lost
    assert shared.measured_same is shared.is_same is is_same
    assert shared.is_unexplained is not is_same
    # Where the datasets differ, both are of all of their images.
    others = msgspec.structs.replace(shared, images=IMAGES)
    assert not others.measured_same


@pytest.mark.parametrize("name", ["top1", "top5"])
def test_flips_of_all_images_leave_every_count_to_be_compared(name: str) -> None:
    after = metrics(**{name: getattr(EQUAL.after, name) + 1})
    found = msgspec.structs.replace(EQUAL, after=after, flips=flips(0, 0))
    assert not found.measured_same


def test_each_rule_of_the_order_counts_where_those_before_it_are_equal() -> None:
    base = metrics(top1=100)

    def case(name: str, of: Flips | None, **fields: Any) -> CaseDifference:
        after = msgspec.structs.replace(base, **fields)
        return CaseDifference(case=name, before=base, after=after, flips=of)

    heavier = base.loss_sum + base.images
    expected = [
        case("chance explains it least", flips(9, 0), top1=109),
        case("without flips, by counts", None, top1=92),
        case("without flips, by fewer", None, top1=107),
        case("most flips", flips(20, 20)),
        case("top-1 moved", flips(2, 2), top1=97),
        case("top-1 moved less", flips(2, 2), top1=101),
        case("loss moved", flips(2, 2), loss_sum=base.loss_sum - 2 * base.images),
        case("loss moved less", flips(2, 2), loss_sum=heavier),
        case("one image flipped", flips(1, 0), top1=101),
        case("no flip known, a", None),
        case("no flip known, b", None),
        case("of other images", None, images=base.images - 1, top1=0),
    ]
    # Nothing is known of images that only one of them has.
    expected[9:] = [expected[11], expected[9], expected[10]]
    for shuffled in (expected, expected[::-1], expected[3:] + expected[:3]):
        names = [found.case for found in most_telling_first(shuffled)]
        assert names == [found.case for found in expected]
    for one, other in pairwise(expected):
        assert one != other


def test_flips_of_cases_whose_images_differ_are_not_looked_at() -> None:
    many = CaseDifference(
        case="b", before=metrics(), after=metrics(), flips=flips(30, 1), images=IMAGES
    )
    few = CaseDifference(case="a", before=metrics(), after=metrics(), flips=flips(2, 0))
    assert [found.case for found in most_telling_first([many, few])] == ["a", "b"]


def test_totals_are_sums_of_what_is_known() -> None:
    cases = [
        msgspec.structs.replace(EQUAL, flips=flips(3, 1, images=100)),
        msgspec.structs.replace(EQUAL, flips=flips(5, 0, images=50)),
        EQUAL,
    ]
    assert total_flips(cases) == flips(8, 1, images=150)
    assert total_flips([]) == Flips(0, 0, 0, 1.0)


@st.composite
def two_runs(draw: st.DrawFn) -> tuple[Predictions, Predictions]:
    """Draw predictions of two parts of 30 images with the same labels."""
    labels = np.array(draw(st.lists(st.integers(0, 3), min_size=30, max_size=30)))
    runs = []
    for _ in range(2):
        members = draw(st.sets(st.integers(0, 29)))
        indices = np.array(sorted(members), dtype=np.int64)
        first = draw(
            st.lists(st.integers(0, 3), min_size=len(indices), max_size=len(indices))
        )
        runs.append(
            Predictions(
                indices=indices,
                labels=labels[indices],
                classes=np.array(first, dtype=np.int32).reshape(-1, 1),
                losses=np.zeros(len(indices)),
                total=30,
            )
        )
    return runs[0], runs[1]


def answers(run: Predictions) -> dict[int, int]:
    return dict(zip(run.indices.tolist(), run.classes[:, 0].tolist(), strict=True))


@given(two_runs())
def test_flips_are_those_of_a_dictionary(runs: tuple[Predictions, Predictions]) -> None:
    before, after = map(answers, runs)
    labels = {
        index: label
        for run in runs
        for index, label in zip(run.indices.tolist(), run.labels.tolist(), strict=True)
    }
    both = sorted(before.keys() & after.keys())
    flipped = [
        (i, labels[i], before[i], after[i])
        for i in both
        if (before[i] == labels[i]) != (after[i] == labels[i])
    ]
    found = find_flips(*runs)
    assert [(f.index, f.label, f.before, f.after) for f in found] == flipped
    gains = sum(flip.is_gain for flip in found)
    assert gains == sum(after[i] == labels[i] for i, *_ in flipped)
    counted = compare_predictions(*runs)
    assert (counted.images, counted.gained) == (len(both), gains)
    assert counted.lost == len(flipped) - gains
    # The same images by their pairs of positions, some of them evaluated by neither.
    pairs = np.repeat(np.arange(30), 2).reshape(-1, 2)
    assert find_flips(*runs, pairs) == found


@given(two_runs(), st.lists(st.integers(0, 40)))
def test_a_row_is_where_its_position_stands(
    runs: tuple[Predictions, Predictions], positions: list[int]
) -> None:
    known = runs[0].indices.tolist()
    rows, are_there = rows_of(runs[0], np.array(positions, dtype=np.int64))
    assert are_there.tolist() == [position in known for position in positions]
    for place, row, is_there in zip(positions, rows, are_there, strict=True):
        assert not is_there or known[row] == place
