"""Which results of two runs are compared, found again in plain loops."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.evaluation.predictions import Predictions
from repro.judgement.compare import CaseDifference, Change
from repro.judgement.verdict import Verdict
from repro.records.comparison import (
    RunComparison,
    compare_runs,
    flipped_images,
    pair_results,
    recorded_side,
    since_earlier,
)
from repro.records.identity import Asked, GitState
from repro.records.ledger import Ledger
from repro.records.predictions import ImageNames, encode_names
from repro.records.result import CaseResult

from ..made_results import ENVIRONMENT, result
from .sides import MADE, NEW, OLD, image_counts, image_names, measured, moved, side

PLACES = st.lists(
    st.tuples(st.sampled_from("123"), st.sampled_from("abc")), unique=True, max_size=7
)


def asked_for(places: list[tuple[str, str]]) -> list[CaseResult]:
    return [result(f"{name}M", asked=Asked(digest=how)) for name, how in places]


@given(PLACES, PLACES)
def test_results_are_paired_by_what_was_asked_else_one_with_one(
    before: list[tuple[str, str]], after: list[tuple[str, str]]
) -> None:
    pairs = pair_results(asked_for(before), iter(asked_for(after)))
    expected = {place: place for place in after if place in before}
    for name in "123":
        left = [place for place in before if place[0] == name and place not in after]
        alone = [place for place in after if place[0] == name and place not in before]
        if len(left) == len(alone) == 1:
            expected[alone[0]] = left[0]
    both = [(expected[place], place) for place in after if place in expected]
    assert [(place_of(old), place_of(new)) for old, new in pairs.both] == both
    assert list(map(place_of, pairs.only_before)) == [
        place for place in before if place not in expected.values()
    ]
    assert list(map(place_of, pairs.only_after)) == [
        place for place in after if place not in expected
    ]


def place_of(one: CaseResult) -> tuple[str, str]:
    return one.checkpoint[0], one.asked.digest


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path, create=True) as opened:
        opened.record_names(OLD, encode_names(image_names(is_new=False)))
        opened.record_names(NEW, encode_names(image_names(is_new=True)))
        yield opened


def record(
    ledger: Ledger, *results: CaseResult, predicted: Predictions | None = MADE
) -> int:
    uid = str(len(ledger.runs()) + 1)
    run = ledger.begin(uid, len(results), [], GitState())
    for one in results:
        ledger.record(run, one, predicted if one.measurement else None)
    return run


def test_a_side_has_what_the_ledger_keeps_of_this_measurement_alone(
    ledger: Ledger,
) -> None:
    made = [
        result(measurement=measured(key=key), asked=Asked(digest=key)) for key in "ab"
    ]
    run = record(ledger, made[0])
    ledger.record(run, made[1], moved())
    for one, predicted in zip(made, (MADE, moved()), strict=True):
        found = recorded_side(ledger, run, one)
        assert found
        assert (found.run, found.result) == (f"run {run}", one)
        assert found.measurement == one.measurement
        kept = found.predictions()
        assert kept
        assert kept.classes[:, 0].tolist() == predicted.classes[:, 0].tolist()
        assert found.names() == image_names(is_new=False)
        # Each is read once, however often it is asked for.
        assert found.predictions() is kept
    assert recorded_side(ledger, run, result(verdict=Verdict.NOT_RUN)) is None


def test_two_runs_are_compared_in_the_cases_that_both_measured(ledger: Ledger) -> None:
    whole = {
        f"{n}M": result(f"{n}M", measurement=measured(key=f"{n}")) for n in range(1, 8)
    }
    unmeasured = [result(f"{n}M", Verdict.NOT_RUN) for n in range(1, 8)]
    record(ledger, whole["7M"], whole["3M"], whole["1M"], whole["2M"], unmeasured[3])
    later = [unmeasured[0], whole["6M"], whole["4M"], whole["2M"]]
    pillow = msgspec.structs.replace(ENVIRONMENT, packages={"pillow": "11.3"})
    other = [
        msgspec.structs.replace(
            whole["3M"],
            measurement=measured(key="3", environment=pillow, weights_sha256="cd" * 32),
        )
    ]
    second = record(ledger, *later, *other)
    found = compare_runs(ledger, 1, second)
    ids = {name: one.id for name, one in whole.items()}
    assert (found.before, found.after) == (1, second)
    assert {one.case for one in found.differences} == {ids["2M"], ids["3M"]}
    assert found.only_before == (ids["1M"], ids["7M"])
    assert found.only_after == (ids["4M"], ids["6M"])
    changed = {one.case for one in found.differences if not one.is_same}
    assert changed == {ids["3M"]}
    # Where its results are at hand, these count, not those that were recorded.
    at_hand = compare_runs(ledger, 1, second, later)
    assert [one.case for one in at_hand.differences] == [ids["2M"]]
    assert at_hand.only_before == (ids["1M"], ids["3M"], ids["7M"])


def test_what_differs_between_environments_is_listed_once() -> None:
    changes = [Change(name, "1", "2") for name in "ab"]
    cases = [
        CaseDifference(
            case="a", before=MADE.metrics(), after=MADE.metrics(), environment=tuple(of)
        )
        for of in (changes[:1], [], changes[::-1], changes)
    ]
    found = RunComparison(before=1, after=2, differences=tuple(cases))
    assert found.environment == changes


VERDICTS = [
    *(Verdict.REPRODUCED, Verdict.EXPECTED_DIVERGENCE, Verdict.BELOW),
    *(Verdict.INCONCLUSIVE, Verdict.UNEXPECTEDLY_MET, Verdict.NOT_RUN),
]


def drawn(rng: random.Random, case: str) -> tuple[CaseResult, bool]:
    """Draw a result, of all images or a part of them, and whether more is kept."""
    verdict = rng.choice(VERDICTS)
    made = result(case, verdict)
    if verdict is not Verdict.NOT_RUN:
        found = measured(
            total=rng.choice([60, 90]),
            precision=rng.choice(["fp32", "bf16"]),
            weights_sha256=rng.choice("abcdef") * 64,
            key=f"{case} {rng.random()}",
        )
        made = msgspec.structs.replace(made, measurement=found)
    return made, rng.random() < 0.7


def test_a_result_is_compared_with_the_run_that_plain_loops_find(
    ledger: Ledger,
) -> None:
    rng = random.Random(0)
    nights: dict[str, list[tuple[int, CaseResult, bool]]] = {}
    with ledger.transaction():
        for _ in range(5):
            run = ledger.begin(f"night {len(ledger.runs())}", 100, [], GitState())
            for number in range(120):
                made, is_kept = drawn(rng, f"{number}M")
                is_kept &= made.measurement is not None
                ledger.record(run, made, MADE if is_kept else None)
                nights.setdefault(made.id, []).append((run, made, is_kept))
    found = Counter[int | None]()
    for number in range(120):
        now, _ = drawn(rng, f"{number}M")
        past = nights[now.id]
        since = since_earlier(ledger, now, MADE, lambda: None, "night 4")
        expected = run_before(now, [one for one in past if one[0] != 5])
        assert (since.run if since else None) == expected, (now.verdict, past)
        found[expected] += 1
        if since:
            ((_, was, _),) = [one for one in past if one[0] == expected]
            assert since.verdict is was.verdict
            assert since.difference.before == MADE.metrics()
            assert was.measurement
            assert now.measurement
            sums = was.measurement.weights_sha256, now.measurement.weights_sha256
            change = since.difference.weights
            assert ((change.before, change.after) if change else None) == (
                sums if sums[0] != sums[1] else None
            )
    assert min(found[run] for run in (None, 1, 2, 3, 4)) > 3


def run_before(now: CaseResult, past: list[tuple[int, CaseResult, bool]]) -> int | None:
    """Find the run that a result is compared with, of runs in their order."""
    if now.measurement is None:
        return None
    if now.verdict in (Verdict.BELOW, Verdict.UNEXPECTEDLY_MET):
        for run, one, _ in reversed(past):
            if one.verdict in VERDICTS[:2]:
                return run
    if now.measurement.total == 60:
        return None
    whole = [
        (run, one.verdict in VERDICTS[:2])
        for run, one, is_kept in reversed(past)
        if is_kept
        and one.measurement
        and one.measurement.total == 60
        and one.measurement.precision == now.measurement.precision
    ]
    for run, was_met in whole:
        if was_met:
            return run
    return whole[0][0] if whole else None


def test_the_images_of_now_are_named_where_they_are_others(ledger: Ledger) -> None:
    record(ledger, result(measurement=measured()))
    now = result(verdict=Verdict.BELOW, measurement=measured(dataset_fingerprint=NEW))
    since = since_earlier(
        ledger, now, moved(), lambda: image_names(is_new=True), "of now"
    )
    assert since
    assert since.difference.images
    assert image_counts(since.difference.images)[2:] == (58, 1, 1, 0, 0)
    assert since.difference.flips
    assert since.difference.flips.images == 58
    unnamed = since_earlier(ledger, now, moved(), lambda: None, "of now")
    assert unnamed
    assert "those of this run were not kept" in unnamed.difference.unknown[0]


def test_images_that_are_alike_need_no_names(ledger: Ledger) -> None:
    def named() -> ImageNames:
        raise AssertionError("nobody needs them")

    record(ledger, result(measurement=measured()))
    now = result(verdict=Verdict.BELOW, measurement=measured())
    since = since_earlier(ledger, now, moved(), named)
    assert since
    assert since.difference.flips
    gains = sum(f.is_gain for f in flipped_images(side(), side(predicted=moved())))
    assert since.difference.flips.gained == gains > 0
