"""What differs between two runs, found again in plain loops."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.evaluation.acceleration import Acceleration
from repro.judgement.compare import CaseDifference, Change
from repro.judgement.guarded import Guarded
from repro.judgement.verdict import ReferenceCheck
from repro.records.comparison import compare_sides, flipped_images
from repro.records.predictions import ImageNames
from repro.records.result import CaseResult

from ..made_results import ENVIRONMENT, comparison, result
from .sides import (
    MADE,
    NEW,
    OLD,
    RELABELLED,
    REPLACED,
    image_counts,
    image_names,
    moved,
    side,
)

SAME = CaseDifference(
    case=result().id,
    before=MADE.metrics(),
    after=MADE.metrics(),
    flips=compare_sides(side(), side()).flips,
)


def test_nothing_differs_between_a_measurement_and_itself() -> None:
    assert compare_sides(side(), side("run 2")) == SAME
    assert SAME.flips
    assert (SAME.flips.images, SAME.flips.any) == (60, False)
    assert flipped_images(side(), side()) == []


def numbers(*checks: ReferenceCheck) -> CaseResult:
    return result(comparisons=checks)


FAST = Acceleration(name="compile", used=True)
SLOW = Acceleration(name="cuda-graphs", used=False, reason="it is slower")
PILLOW = msgspec.structs.replace(ENVIRONMENT, packages={"pillow": "11.3"})


@pytest.mark.parametrize(
    ("first", "second", "field", "said"),
    [
        (
            {"made": result(geometry="a")},
            {"made": result(geometry="b")},
            "others",
            [("geometry", "a", "b")],
        ),
        (
            {"made": result(conditions="a")},
            {},
            "others",
            [("protocol", "a", None)],
        ),
        (
            {"precision": "fp32"},
            {"precision": "bf16"},
            "others",
            [("precision", "fp32", "bf16")],
        ),
        (
            {},
            {"guarded": Guarded(cheap="bf16")},
            "others",
            [("precision", "fp32", "guarded")],
        ),
        ({}, {"guarded": Guarded(reason="no tensor cores")}, "others", []),
        (
            {"accelerations": (SLOW,)},
            {"accelerations": (FAST, SLOW)},
            "others",
            [("accelerated by", None, "compile")],
        ),
        (
            {"accelerations": (FAST,)},
            {"accelerations": (FAST, FAST)},
            "others",
            [("accelerated by", "compile", "compile, compile")],
        ),
        (
            {"environment": msgspec.structs.replace(ENVIRONMENT, cores=8)},
            {"environment": msgspec.structs.replace(ENVIRONMENT, cores=4)},
            "environment",
            [("cores", "8", "4")],
        ),
        (
            {"made": numbers(comparison(published="76.5"))},
            {"made": numbers(comparison(published="76.4"))},
            "published",
            [("top1", "76.5", "76.4")],
        ),
    ],
)
def test_what_alone_differs_alone_is_said_in_both_directions(
    first: dict[str, Any],
    second: dict[str, Any],
    field: str,
    said: list[tuple[str, str | None, str | None]],
) -> None:
    there = tuple(Change(*one) for one in said)
    back = tuple(Change(name, after, before) for name, before, after in said)
    expected = msgspec.structs.replace(SAME, **{field: there})
    assert compare_sides(side(**first), side(**second)) == expected
    expected = msgspec.structs.replace(SAME, **{field: back})
    assert compare_sides(side(**second), side(**first)) == expected


@pytest.mark.parametrize("sums", [*itertools.product("ab", repeat=2)])
def test_weights_differ_where_their_sums_do(sums: tuple[str, str]) -> None:
    first, second = (side(weights_sha256=64 * digit) for digit in sums)
    found = compare_sides(first, second).weights
    alike = sums[0] == sums[1]
    assert found == (None if alike else Change("weights", *(64 * d for d in sums)))


CHECKS = st.builds(
    comparison,
    metric=st.sampled_from(["top1", "loss"]),
    published=st.sampled_from(["0.70", "0.80"]),
    source=st.sampled_from(["table", "figure"]),
    tolerance=st.sampled_from([0.05, 0.1]),
    xfail=st.sampled_from(["", "known", "also known"]),
)


@given(st.lists(CHECKS, max_size=4), st.lists(CHECKS, max_size=4))
def test_edits_of_published_numbers_are_those_of_plain_loops(
    before: list[ReferenceCheck], after: list[ReferenceCheck]
) -> None:
    found = compare_sides(
        side(made=numbers(*before)), side(made=numbers(*after))
    ).published
    assert Counter(found) == Counter(edits(before, after))
    alike = compare_sides(side(made=numbers(*before)), side(made=numbers(*before)))
    assert alike.published == ()


def edits(
    before: Sequence[ReferenceCheck], after: Sequence[ReferenceCheck]
) -> Iterator[Change]:
    """Take the n-th number of a source for the same one before and after."""
    for metric in ("top1", "loss"):
        sources = {one.source for one in (*before, *after) if one.metric == metric}
        for source in sources:
            name = metric if len(sources) == 1 else f"{metric} of {source}"
            of_source = [
                [one for one in many if (one.metric, one.source) == (metric, source)]
                for many in (before, after)
            ]
            for old, new in itertools.zip_longest(*of_source):
                yield from edits_of_one(name, old, new)


def edits_of_one(
    name: str, old: ReferenceCheck | None, new: ReferenceCheck | None
) -> Iterator[Change]:
    if old is None or new is None:
        numbers = (one.published if one else None for one in (old, new))
        yield Change(name, *numbers)
        return
    if old.published != new.published:
        yield Change(name, old.published, new.published)
    elif old.tolerance != new.tolerance:
        yield Change(f"tolerance of {name}", f"{old.tolerance}", f"{new.tolerance}")
    if old.xfail != new.xfail:
        yield Change(f"xfail of {name}", old.xfail or None, new.xfail or None)


def flips_by_hand(known: set[int]) -> list[tuple[int, int, int]]:
    after = moved()
    rows = zip(
        MADE.labels.tolist(),
        MADE.classes[:, 0].tolist(),
        after.classes[:, 0].tolist(),
        strict=True,
    )
    return [
        (place, old, new)
        for place, (label, old, new) in enumerate(rows)
        if place in known and (old == label) != (new == label)
    ]


BY_NAME = "c" * 64, "d" * 64
BOTH = [*itertools.product([True, False], repeat=2)]


@pytest.mark.parametrize(
    "fingerprints",
    [*itertools.product((OLD, *BY_NAME), repeat=2), (OLD, NEW), (NEW, OLD)],
)
@pytest.mark.parametrize("predicted", BOTH)
@pytest.mark.parametrize("named", BOTH)
def test_of_images_is_said_what_is_known_and_named_what_is_not(
    fingerprints: tuple[str, str],
    predicted: tuple[bool, bool],
    named: tuple[bool, bool],
) -> None:
    old, new = (
        side(
            run,
            predicted=made if is_kept else None,
            named=image_names(is_new=run == "run 2") if is_named else None,
            dataset_fingerprint=fingerprint,
        )
        for run, made, is_kept, is_named, fingerprint in zip(
            ("run 1", "run 2"), (MADE, moved()), predicted, named, fingerprints,
            strict=True,
        )
    )  # fmt: skip
    found, flips = compare_sides(old, new), flipped_images(old, new)
    by_name = without([one.startswith("xxh3:") for one in fingerprints])
    unkept = [
        f"which images became right or wrong: the predictions of {runs} were not kept"
        for runs in [without(predicted)]
        if runs
    ]
    alike = [
        f"whether the images are the same: {by_name} knew them by names and sizes only"
    ]
    if fingerprints[0] == fingerprints[1]:
        assert found.unknown == ((*alike, *unkept) if by_name else tuple(unkept))
        assert found.images is None
        expected = flips_by_hand(set(range(60)))
    elif by_name:
        assert found.unknown == tuple(alike)
        assert (found.images, found.flips) == (None, None)
        # An image is found again by its digest, also of a dataset known by names.
        same = set(range(60)) - {REPLACED, RELABELLED}
        is_known = all(named) and all(predicted)
        by_digest = flips_by_hand(same) if is_known else []
        assert [(f.index, f.before, f.after) for f in flips] == by_digest
        return
    elif not all(named):
        assert found.unknown == (
            "which images differ, though some do: the digests of those of "
            f"{without(named)} were not kept",
        )
        assert (found.images, found.flips, flips) == (None, None, [])
        return
    else:
        assert found.unknown == tuple(unkept)
        assert found.images
        assert image_counts(found.images) == (60, 60, 58, 1, 1, 0, 0)
        expected = flips_by_hand(set(range(60)) - {REPLACED, RELABELLED})
    if all(predicted):
        assert found.flips
        assert found.flips.gained + found.flips.lost == len(expected) > 9
        assert [(f.index, f.before, f.after) for f in flips] == expected
    else:
        assert (found.flips, flips) == (None, [])


def without(known: Sequence[bool]) -> str:
    runs = [f"run {n}" for n, is_known in enumerate(known, start=1) if not is_known]
    return " and ".join(runs)


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (image_names(is_new=False), tuple(MADE.labels.tolist())),
        (ImageNames(("b/1", "a/2"), ("a", "b", "c"), ("0", "1")), (1, 0)),
        (ImageNames(("b/1", "a/2"), ("a",), ("0", "1")), None),
        (ImageNames(("b/1", "a/2"), ("a", "b"), ("0",)), None),
        (ImageNames(("b/1",), ("a", "b"), ("0", "1")), None),
        (ImageNames(("b/1", "a/2"), ("a", "b")), None),
    ],
)
def test_images_are_told_apart_where_each_has_a_digest_and_a_class(
    names: ImageNames, labels: tuple[int, ...] | None
) -> None:
    found = names.images()
    assert (found and found.labels) == labels
    assert found is None or (found.files, found.digests) == (names.files, names.digests)
