"""A verdict is two-sided, exact, and only as sure as the images allow."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.cases import Case
from repro.evaluation.predictions import Metrics
from repro.judgement.intervals import Interval
from repro.judgement.tolerance import tolerance_of
from repro.judgement.verdict import Verdict, compare, unmeasured, verdict_of
from repro.published import Reference, Release, printed, read_releases

from .conftest import reference


@pytest.fixture
def release(cases: dict[str, Case]) -> Release:
    return cases["supervised/real/160"].release


def number(published: str, **fields: Any) -> Reference:
    return reference(published, source="make", **fields)


def counted(top1: int, images: int = 50_000) -> Metrics:
    return Metrics(images=images, top1=top1, top5=images, loss_sum=images * 0.5)


@pytest.mark.parametrize(
    ("top1", "verdict"),
    [
        # 70.00 % of 50,000 are 35,000; 25 images and half of 0.01 points are allowed.
        (35_000, Verdict.REPRODUCED),
        (35_027, Verdict.REPRODUCED),
        (34_973, Verdict.REPRODUCED),
        (35_028, Verdict.ABOVE),
        (34_972, Verdict.BELOW),
    ],
)
def test_it_is_two_sided_and_exact_to_the_image(
    release: Release, top1: int, verdict: Verdict
) -> None:
    assert compare(number("70.00"), release, counted(top1)).verdict is verdict


@given(st.integers(0, 50_000), st.integers(0, 10_000))
def test_half_a_printed_digit_is_added_however_many_digits_there_are(
    top1: int, hundredths: int
) -> None:
    tolerance = tolerance_of(number(f"{Decimal(hundredths).scaleb(-2)}"))
    assert tolerance.value == Fraction(25, 500) + Fraction(5, 1000)
    assert tolerance.images(50_000) == pytest.approx(27.5)


def test_a_reference_may_have_its_own_tolerance(release: Release) -> None:
    own = number("70.0", tolerance=Fraction("0.9"), tolerance_reason="no protocol")
    found = compare(own, release, counted(34_530))
    assert found.verdict is Verdict.REPRODUCED
    assert found.tolerance == pytest.approx(0.95)
    assert found.tolerance_origin == "its own: no protocol"


def test_a_part_of_the_images_reproduces_nothing(release: Release) -> None:
    metrics = counted(700, 1000)
    found = compare(
        number("70.00"), release, metrics, "1,000 of 50,000 images", Interval(65, 75)
    )
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.interval == Interval(65, 75)


@pytest.mark.parametrize(
    ("published", "verdict"),
    [
        ("64.94", Verdict.ABOVE),
        ("64.96", Verdict.INCONCLUSIVE),
        ("75.05", Verdict.INCONCLUSIVE),
        ("75.06", Verdict.BELOW),
    ],
)
def test_a_part_diverges_when_no_value_that_meets_the_number_is_in_its_interval(
    release: Release, published: str, verdict: Verdict
) -> None:
    interval = Interval(65, 75)
    metrics = counted(700, 1000)
    found = compare(number(published), release, metrics, "1,000 of 50,000", interval)
    assert found.verdict is verdict


def test_another_precision_settles_nothing(release: Release) -> None:
    found = compare(number("70.00"), release, counted(100), "measured in bf16")
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.reason == "measured in bf16"


KNOWN = "measured with another crop, https://example.org/1"


def test_an_expected_divergence_is_none(release: Release) -> None:
    found = compare(number("90.00", xfail=KNOWN), release, counted(35_000))
    assert found.verdict is Verdict.EXPECTED_DIVERGENCE
    assert found.reason == KNOWN
    assert not found.verdict.is_failure


def test_a_number_that_is_met_against_its_declaration_fails(release: Release) -> None:
    found = compare(number("70.00", xfail=KNOWN), release, counted(35_000))
    assert found.verdict is Verdict.UNEXPECTEDLY_MET
    assert found.verdict.is_failure
    assert not found.verdict.is_divergence
    assert KNOWN in found.reason


def test_a_part_that_may_still_meet_the_number_leaves_the_declaration_open(
    release: Release,
) -> None:
    known = number("70.00", xfail=KNOWN)
    part = counted(700, 1000)
    found = compare(known, release, part, "1,000 of 50,000", Interval(65, 75))
    assert found.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("published", "verdict"),
    [
        (["70.00", "70.01"], Verdict.REPRODUCED),
        (["70.00", "60.00", "80.00"], Verdict.ABOVE),
        (["70.00", "80.00", "60.00"], Verdict.BELOW),
        ([], Verdict.UNREFERENCED),
    ],
)
def test_the_worst_comparison_is_the_verdict_of_the_case(
    release: Release, published: list[str], verdict: Verdict
) -> None:
    found = [compare(number(text), release, counted(35_000)) for text in published]
    assert verdict_of(found) is verdict


def test_a_case_with_a_known_and_an_unknown_divergence_fails(release: Release) -> None:
    known = compare(number("90.00", xfail=KNOWN), release, counted(35_000))
    met = compare(number("70.00"), release, counted(35_000))
    unknown = compare(number("80.00"), release, counted(35_000))
    assert verdict_of([known, met]) is Verdict.EXPECTED_DIVERGENCE
    assert verdict_of([known, met, unknown]) is Verdict.BELOW


@pytest.mark.parametrize("side", [-1, 1])
def test_the_border_of_the_tolerance_is_met_and_the_next_image_is_beyond(
    release: Release, side: int
) -> None:
    # Of 200,000 images 20 are 0.01 points, and the tolerance of 0.055 points is 110.
    beyond = Verdict.BELOW if side < 0 else Verdict.ABOVE
    for hundredths in range(10, 9_990, 499):
        published = number(f"{Decimal(hundredths).scaleb(-2)}")
        border = 20 * hundredths + side * 110
        for top1, verdict in (
            (border, Verdict.REPRODUCED),
            (border + side, beyond),
        ):
            found = compare(published, release, counted(top1, 200_000))
            assert found.verdict is verdict


@pytest.mark.parametrize("side", [-1, 1])
def test_an_interval_that_touches_what_is_allowed_contradicts_nothing(
    release: Release, side: int
) -> None:
    known = number("70.00")
    edge = 70 + side * float(tolerance_of(known).value)

    def verdict(near: float) -> Verdict:
        interval = Interval(*sorted((near, 70 + side * 20)))
        part = counted(700 + side * 100, 1000)
        return compare(known, release, part, "1,000 of 50,000", interval).verdict

    beyond = Verdict.BELOW if side < 0 else Verdict.ABOVE
    assert verdict(edge) is Verdict.INCONCLUSIVE
    assert verdict(math.nextafter(edge, 70 + side * 20)) is beyond


@pytest.mark.parametrize("metric", ["top1", "top5", "error", "error5", "loss"])
@pytest.mark.parametrize("verdict", list(Verdict))
def test_only_a_divergence_is_better_or_worse_and_by_the_metrics_direction(
    release: Release, metric: str, verdict: Verdict
) -> None:
    found = msgspec.structs.replace(
        unmeasured(number("70.00", metric=metric), release), verdict=verdict
    )
    rises = metric in ("top1", "top5")
    better = {(Verdict.ABOVE, True), (Verdict.BELOW, False)}
    expected = "better" if (verdict, rises) in better else "worse"
    assert found.quality == (expected if verdict.is_divergence else "")


@given(st.integers(0, 400), st.integers(1, 400), st.integers(0, 10_000))
def test_a_difference_is_counted_in_images_and_in_the_metrics_unit(
    top1: int, more: int, hundredths: int
) -> None:
    (release,) = read_releases(["embedded"])
    images = top1 + more
    text = str(Decimal(hundredths).scaleb(-2))
    found = compare(number(text), release, counted(top1, images))
    assert found.measured == pytest.approx(100 * top1 / images)
    assert found.difference == pytest.approx(100 * top1 / images - hundredths / 100)
    expected = top1 - hundredths / 10_000 * images
    assert found.difference_images == pytest.approx(expected)
    allowed = float(tolerance_of(number(text)).value) / 100 * images
    assert found.tolerance_images == pytest.approx(allowed)
    loss = compare(number("0.5", metric="loss"), release, counted(top1, images))
    assert loss.difference == pytest.approx(0)
    assert loss.difference_images is loss.tolerance_images is None


def test_a_divergence_of_a_part_names_its_interval_and_a_met_one_its_declaration(
    release: Release,
) -> None:
    part = "1,000 of 50,000 images"
    interval = Interval(65, 75)
    beyond = compare(number("80.00"), release, counted(700, 1000), part, interval)
    assert beyond.reason == f"outside the 99.9 % interval of {part}"
    known = number("80.00", xfail=KNOWN)
    expected = compare(known, release, counted(700, 1000), part, interval)
    assert expected.verdict is Verdict.EXPECTED_DIVERGENCE
    assert expected.reason == KNOWN
    met = compare(number("70.00", xfail=KNOWN), release, counted(35_000))
    assert met.reason.endswith("; remove xfail from the reference")


def test_what_an_older_measurement_has_not_counted_is_open(release: Release) -> None:
    own = number("70.00", metric="mean_per_class_recall")
    found = compare(own, release, counted(35_000))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "mean_per_class_recall was not counted" in found.reason
    assert found.measured is found.difference is None


@pytest.mark.parametrize("spread", ["", "0.12"])
def test_a_number_is_shown_as_it_was_printed(release: Release, spread: str) -> None:
    own = number("70.10", runs=3, spread=printed(spread) if spread else None)
    found = unmeasured(own, release)
    assert found.printed == ("70.10 ± 0.12" if spread else "70.10")
    assert found.number.digits == "70.10"


@given(st.lists(st.sampled_from(list(Verdict)), max_size=6))
def test_the_verdict_of_a_case_is_its_worst(verdicts: list[Verdict]) -> None:
    (release,) = read_releases(["embedded"])
    made = unmeasured(number("70.00"), release)
    checks = [msgspec.structs.replace(made, verdict=each) for each in verdicts]
    found = verdict_of(checks)
    judged = [each for each in verdicts if each is not Verdict.UNREFERENCED]
    if not judged:
        assert found is Verdict.UNREFERENCED
        return
    diverging = [each for each in judged if each.is_divergence]
    worst = [
        *diverging[:1],
        Verdict.FAILED,
        Verdict.UNEXPECTEDLY_MET,
        Verdict.NOT_RUN,
        Verdict.INCONCLUSIVE,
        Verdict.EXPECTED_DIVERGENCE,
        Verdict.REPRODUCED,
    ]
    assert found is next(each for each in worst if each in judged)
    assert found in judged
    assert found.is_failure is any(
        each in (Verdict.BELOW, Verdict.ABOVE, Verdict.UNEXPECTEDLY_MET, Verdict.FAILED)
        for each in judged
    )
    if found.is_as_expected:
        assert all(each.is_as_expected for each in judged)


@pytest.mark.parametrize("verdict", Verdict)
def test_each_verdict_says_whether_a_case_fails(verdict: Verdict) -> None:
    divergences = {Verdict.BELOW, Verdict.ABOVE}
    assert verdict.is_divergence is (verdict in divergences)
    contradictions = {*divergences, Verdict.UNEXPECTEDLY_MET}
    assert verdict.is_contradiction is (verdict in contradictions)
    assert verdict.is_failure is (verdict in {*contradictions, Verdict.FAILED})
    as_expected = {Verdict.REPRODUCED, Verdict.EXPECTED_DIVERGENCE}
    assert verdict.is_as_expected is (verdict in as_expected)
