"""Verdicts on claims, from measurements that are made up image by image."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from repro.claims.estimates import Floats
from repro.claims.evidence import (
    MeasuredCheckpoint,
    MeasuredEvidence,
    MissingError,
    Observation,
    PublishedEvidence,
)
from repro.claims.judge import judge_claim
from repro.claims.result import (
    ClaimResult,
    ClaimVerdict,
    Curve,
    Finding,
    claim_result,
    in_reading_order,
)
from repro.evaluation.predictions import Metrics, Predictions
from repro.published import (
    MEASURED,
    Claim,
    ExponentClaim,
    OrderingClaim,
    Reference,
    Release,
    SaturationClaim,
    SlopesClaim,
    printed,
    read_releases,
    training_images,
)

from .curves import image_losses

EXPECTED = Path(__file__).parents[2] / "expected"
IMAGES = 400
SIZES = ("40", "160", "640", "2560")
# Any: mypy would take each of them for every field of a claim.
WHERE: dict[str, Any] = {
    "text": "It scales.",
    "source": "make",
    "dataset": "digits-val",
    "protocol": "digits-clip",
}
REAL, SYNTHETIC, MIXED = "clip/real", "clip/synthetic", "clip/synthetic+real"


@pytest.fixture(scope="module")
def release() -> Release:
    (embedded,) = read_releases(["embedded"])
    return embedded


def predictions(losses: Floats, right: int = 0) -> Predictions:
    """Predictions of which the first `right` images are right."""
    labels = np.zeros(len(losses), dtype=np.int64)
    classes = np.ones((len(losses), 1), dtype=np.int32)
    classes[:right] = 0
    return Predictions(
        indices=np.arange(len(losses)),
        labels=labels,
        classes=classes,
        losses=losses,
        total=len(losses),
    )


def curve(exponent: float, sizes: tuple[str, ...] = SIZES) -> dict[str, Predictions]:
    """Predictions of a family whose loss falls as N^-exponent, almost exactly."""
    generator = np.random.default_rng(11)
    numbers = tuple(training_images(name) or 0 for name in sizes)
    rows = image_losses(exponent, IMAGES, generator, numbers)
    # The hardness of the images is common to all families and sizes.
    return dict(zip(sizes, map(predictions, rows), strict=True))


def checked(
    release: Release,
    claim: Claim,
    known: Mapping[str, Mapping[str, Predictions]],
    *,
    total: int = IMAGES,
    unsettled: str = "",
) -> ClaimResult:
    def measure(family: str, checkpoint: str) -> MeasuredCheckpoint:
        if checkpoint not in known.get(family, {}):
            raise MissingError("no weights")
        found = known[family][checkpoint]
        return MeasuredCheckpoint(
            metrics=found.metrics(),
            total=total,
            unsettled=unsettled,
            predictions=found,
        )

    evidence = MeasuredEvidence(claim, lambda f: list(known.get(f, ())), measure)
    return judge_claim(release, claim, evidence)


def exponent_claim(published: str, over: str = "40..2560") -> ExponentClaim:
    return ExponentClaim(
        id="k", family=REAL, exponent=published, over=over, uncertainty="0.001", **WHERE
    )


def slopes_claim(*order: str | tuple[str, ...]) -> SlopesClaim:
    return SlopesClaim(id="s", order=order, over="40..2560", **WHERE)


def fitted_exponent(release: Release) -> float:
    result = checked(release, exponent_claim("9"), {REAL: curve(0.4)})
    return result.findings[0].value


def test_an_exponent_within_its_uncertainty_holds(release: Release) -> None:
    found = fitted_exponent(release)
    assert found == pytest.approx(0.4, abs=0.05)
    result = checked(release, exponent_claim(f"{found:.4f}"), {REAL: curve(0.4)})
    assert result.verdict is ClaimVerdict.HOLDS
    assert result.curves[0].family == REAL
    assert [point.images for point in result.curves[0].fit.points] == [
        *(40, 160, 640, 2560)
    ]


def test_an_exponent_outside_the_interval_fails_on_either_side(
    release: Release,
) -> None:
    for published in ("0.10", "0.90"):
        result = checked(release, exponent_claim(published), {REAL: curve(0.4)})
        assert result.verdict is ClaimVerdict.FAILS
        assert result.is_surprise


def test_an_exponent_that_the_scatter_allows_is_undecided(release: Release) -> None:
    found = fitted_exponent(release)
    result = checked(release, exponent_claim(f"{found + 0.01:.4f}"), {REAL: curve(0.4)})
    assert result.verdict is ClaimVerdict.UNDECIDED
    low, high = result.findings[0].interval
    assert low < found + 0.01 < high
    assert result.findings[0].origin == "fit and images resampled"


def test_without_the_range_of_the_source_an_exponent_cannot_fail(
    release: Release,
) -> None:
    result = checked(release, exponent_claim("0.9", over=""), {REAL: curve(0.4)})
    assert result.verdict is ClaimVerdict.UNDECIDED
    nothing = checked(release, exponent_claim("0.9", over=""), {})
    assert nothing.verdict is ClaimVerdict.MISSING
    assert nothing.missing == ("any two checkpoints of clip/real@digits-clip",)


def test_a_fit_needs_the_ends_of_its_range_and_says_which_is_missing(
    release: Release,
) -> None:
    known = {REAL: curve(0.4, SIZES[1:])}
    result = checked(release, exponent_claim("0.4"), known)
    assert result.verdict is ClaimVerdict.MISSING
    assert result.missing == ("clip/real/40@digits-clip",)
    assert result.reason == "no weights"
    assert not result.is_surprise
    # What is there is fitted all the same, for the reader.
    assert len(result.curves[0].fit.points) == 3


@pytest.mark.parametrize(
    "unsettling", [{"total": 401}, {"unsettled": "measured in bf16"}]
)
def test_a_part_of_the_images_or_another_precision_decides_nothing(
    release: Release, unsettling: dict[str, Any]
) -> None:
    known = {REAL: curve(0.4)}
    claim = exponent_claim("0.9")
    result = checked(release, claim, known, **unsettling)
    assert result.verdict is ClaimVerdict.UNDECIDED
    assert result.findings[0].verdict is ClaimVerdict.FAILS
    assert result.reason in ("400 of 401 images", "measured in bf16")


def test_slopes_are_compared_in_order(release: Release) -> None:
    known = {REAL: curve(0.8), SYNTHETIC: curve(0.3), MIXED: curve(0.8)}
    verdicts = {
        ClaimVerdict.HOLDS: slopes_claim(REAL, SYNTHETIC),
        ClaimVerdict.FAILS: slopes_claim(SYNTHETIC, REAL),
        ClaimVerdict.UNDECIDED: slopes_claim(REAL, MIXED),
    }
    for verdict, claim in verdicts.items():
        assert checked(release, claim, known).verdict is verdict
    mixed_order = slopes_claim(REAL, MIXED, SYNTHETIC)
    assert checked(release, mixed_order, known).verdict is ClaimVerdict.UNDECIDED


def test_saturation_compares_two_ranges_of_one_family(release: Release) -> None:
    steep, flat = curve(0.8), curve(0.1)
    # The curves meet at 640, so that the later one continues the earlier one.
    factor = steep["640"].losses.mean() / flat["640"].losses.mean()
    flat = {name: predictions(found.losses * factor) for name, found in flat.items()}
    known = {REAL: steep | {"2560": flat["2560"]}}

    def claim(before: str, after: str) -> SaturationClaim:
        return SaturationClaim(
            id="s", family=REAL, before=before, after=after, below=0.5, **WHERE
        )

    saturated = checked(release, claim("40..640", "640..2560"), known)
    assert saturated.verdict is ClaimVerdict.HOLDS
    (finding,) = saturated.findings
    assert finding.subject == (
        "exponent of clip/real over 40..640 minus 2 times that over 640..2560"
    )
    assert finding.value == pytest.approx(0.8 - 2 * 0.1, abs=0.1)
    steady = checked(release, claim("40..160", "160..640"), known)
    assert steady.verdict is ClaimVerdict.FAILS


@pytest.mark.parametrize(
    ("below", "times"), [(1.0, ""), (0.8, "1.25 times "), (0.4, "2.5 times ")]
)
def test_the_later_exponent_counts_as_often_as_it_has_to_be_smaller(
    release: Release, below: float, times: str
) -> None:
    claim = SaturationClaim(
        id="s", family=REAL, before="40,640", after="640,2560", below=below, **WHERE
    )
    result = checked(release, claim, {REAL: curve(0.4)})
    (finding,) = result.findings
    assert finding.subject == (
        f"exponent of clip/real over 40,640 minus {times}that over 640,2560"
    )
    first, second = (one.fit.exponent for one in result.curves)
    assert finding.value == pytest.approx(first - second / below)


def test_without_a_range_it_is_said_what_was_fitted(release: Release) -> None:
    result = checked(release, exponent_claim("0.4", over=""), {REAL: curve(0.4)})
    (finding,) = result.findings
    said = "exponent of clip/real over 40..2,560 training images"
    assert finding.subject == said


def ordering_claim(*, ties: bool = False) -> OrderingClaim:
    return OrderingClaim(
        id="o",
        metric="top1",
        order=(REAL, SYNTHETIC),
        checkpoints=("40",),
        ties=ties,
        **WHERE,
    )


@pytest.mark.parametrize(
    ("real", "synthetic", "strict", "ties"),
    [
        (300, 200, "holds", "holds"),
        (200, 300, "fails", "fails"),
        # The same images are right: equal for certain.
        (300, 300, "undecided", "holds"),
        # Two images more: by chance they could be none, but never fewer.
        (302, 300, "undecided", "holds"),
        (300, 302, "undecided", "undecided"),
    ],
)
def test_an_ordering_needs_a_difference_that_other_images_would_show_too(
    release: Release, real: int, synthetic: int, strict: str, ties: str
) -> None:
    losses = np.ones(IMAGES)
    known = {
        REAL: {"40": predictions(losses, real)},
        SYNTHETIC: {"40": predictions(losses, synthetic)},
    }
    assert checked(release, ordering_claim(), known).verdict == strict
    result = checked(release, ordering_claim(ties=True), known)
    assert result.verdict == ties
    assert result.findings[0].value == pytest.approx((real - synthetic) / 4)


def test_a_lower_loss_is_the_better_one(release: Release) -> None:
    known = {REAL: curve(0.8), SYNTHETIC: curve(0.3)}
    claim = OrderingClaim(
        id="o", metric="loss", order=(REAL, SYNTHETIC), checkpoints=SIZES[2:], **WHERE
    )
    result = checked(release, claim, known)
    assert result.verdict is ClaimVerdict.HOLDS
    assert len(result.findings) == 2
    assert all(finding.value > 0 for finding in result.findings)


def test_a_claim_about_one_of_two_families_has_to_hold_for_both(
    release: Release,
) -> None:
    claim = slopes_claim(REAL, (SYNTHETIC, MIXED))
    flat = {REAL: curve(0.8), SYNTHETIC: curve(0.3), MIXED: curve(0.2)}
    result = checked(release, claim, flat)
    assert result.verdict is ClaimVerdict.HOLDS
    assert len(result.findings) == 2
    differing = checked(release, claim, flat | {MIXED: curve(1.6)})
    assert differing.verdict is ClaimVerdict.UNDECIDED
    assert "clip/synthetic or clip/synthetic+real" in differing.reason
    missing = checked(release, claim, {REAL: curve(0.8), SYNTHETIC: curve(0.3)})
    assert missing.verdict is ClaimVerdict.MISSING


def test_one_of_two_families_has_to_meet_a_published_exponent(
    release: Release,
) -> None:
    published = f"{fitted_exponent(release):.4f}"
    claim = msgspec.structs.replace(exponent_claim(published), family=(REAL, MIXED))
    known = {REAL: curve(0.4), MIXED: curve(0.9)}
    assert checked(release, claim, known).verdict is ClaimVerdict.HOLDS
    neither = {REAL: curve(1.2), MIXED: curve(0.9)}
    assert checked(release, claim, neither).verdict is ClaimVerdict.FAILS


# The published numbers alone ---------------------------------------------------------


@pytest.fixture(scope="module")
def published() -> dict[str, ClaimResult]:
    (scaling,) = read_releases([EXPECTED / "synthetic-scaling"])
    return {
        claim.id: judge_claim(scaling, claim, PublishedEvidence(scaling, claim))
        for claim in scaling.claims
    }


@pytest.mark.parametrize(
    ("claim", "slope"),
    [
        ("slope-clip-templates", "0.198"),
        ("slope-captions", "0.210"),
        ("slope-classnames", "0.085"),
    ],
)
def test_the_published_losses_give_the_slopes_that_were_noted(
    published: dict[str, ClaimResult], claim: str, slope: str
) -> None:
    (finding,) = published[claim].findings
    assert f"{finding.value:.3f}" == slope
    assert published[claim].verdict is ClaimVerdict.HOLDS


def test_no_claim_comes_out_otherwise_than_expected(
    published: dict[str, ClaimResult],
) -> None:
    assert not [result.id for result in published.values() if result.is_surprise]
    decided = {
        result.id: str(result.verdict)
        for result in published.values()
        if result.verdict is not ClaimVerdict.MISSING
    }
    assert decided == {
        "real-scales-better-clip": "undecided",
        "slope-clip-templates": "holds",
        "slope-captions": "holds",
        "slope-classnames": "holds",
        "saturation-clip-templates": "holds",
        "saturation-captions": "holds",
        "saturation-classnames": "fails",
        "prompts-at-16M": "holds",
        "mixing-helps-clip": "holds",
        "real-beats-synthetic-clip": "holds",
    }


def test_what_nobody_published_is_listed_as_missing(
    published: dict[str, ClaimResult],
) -> None:
    result = published["exponent-real-sketch"]
    assert result.verdict is ClaimVerdict.MISSING
    assert result.missing == (
        "supervised/real/0.125M@paper-supervised:imagenet-sketch",
        "supervised/real/4M@paper-supervised:imagenet-sketch",
    )


# Where the numbers come from ----------------------------------------------------------


def with_numbers(release: Release, *numbers: Reference) -> Release:
    return msgspec.structs.replace(release, references=numbers)


def number(digits: str, **fields: Any) -> Reference:
    values: dict[str, Any] = {
        "metric": "loss",
        "families": (REAL,),
        "checkpoint": "40",
        "dataset": WHERE["dataset"],
        "protocol": WHERE["protocol"],
        "source": "make",
    }
    return Reference(published=printed(digits), **values | fields)


def test_a_published_number_is_that_of_the_claim_s_own_source(release: Release) -> None:
    claim = exponent_claim("0.4")
    ours, other, third = (number(f"{n}.50", source=f"{n}") for n in (1, 2, 3))

    def observe(source: str, *numbers: Reference) -> Observation:
        stated = msgspec.structs.replace(claim, source=source)
        evidence = PublishedEvidence(with_numbers(release, *numbers), stated)
        return evidence.observe((REAL,), "40")

    images = release.datasets[WHERE["dataset"]].images
    found = observe("2", ours, other, third)
    assert found == Observation(value=2.5, images=images, rounding=0.005)
    # One that is alone counts, whoever printed it.
    assert observe("2", third).value == 3.5
    with pytest.raises(MissingError, match=r"40 was published as 1\.50 in 1, 3\."):
        observe("2", ours, third)
    with pytest.raises(MissingError, match="not published"):
        observe("2")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("metric", "top1"),
        ("dataset", "other"),
        ("protocol", "digits-supervised"),
        ("source", MEASURED),
        ("families", (SYNTHETIC,)),
        ("families", (REAL, SYNTHETIC)),
    ],
)
def test_a_number_of_something_else_is_not_the_claim_s(
    release: Release, field: str, value: object
) -> None:
    numbers = number("1.5", **{field: value}), number("2.5", checkpoint="160")
    evidence = PublishedEvidence(with_numbers(release, *numbers), exponent_claim("0.4"))
    assert evidence.checkpoints((REAL,)) == ["160"]
    with pytest.raises(MissingError, match="not published"):
        evidence.observe((REAL,), "40")
    assert evidence.choices((REAL, MIXED)) == [(REAL, MIXED)]


def test_families_of_a_number_stand_in_no_order(release: Release) -> None:
    # A number of one of them alone is another one.
    alone = number("2.5", families=(REAL,), checkpoint="160")
    made = with_numbers(release, number("1.5", families=(MIXED, REAL)), alone)
    evidence = PublishedEvidence(made, exponent_claim("0.4"))
    assert evidence.checkpoints((REAL, MIXED)) == ["40"]
    assert evidence.observe((REAL, MIXED), "40").value == 1.5


def test_a_metric_that_was_not_counted_then_is_missing(release: Release) -> None:
    claim = msgspec.structs.replace(ordering_claim(), metric="mean_per_class_recall")
    counts = Metrics(images=IMAGES, top1=1, top5=2, loss_sum=3.0)

    def measure(family: str, checkpoint: str) -> MeasuredCheckpoint:
        return MeasuredCheckpoint(metrics=counts, total=IMAGES)

    evidence = MeasuredEvidence(claim, lambda family: ["40"], measure)
    result = judge_claim(release, claim, evidence)
    assert result.verdict is ClaimVerdict.MISSING
    assert result.reason == "mean_per_class_recall was not counted then"
    assert evidence.choices((REAL, MIXED)) == [(REAL,), (MIXED,)]


def test_claims_are_read_with_what_is_known_first_and_surprises_last(
    release: Release,
) -> None:
    finding = Finding(
        subject="",
        value=0,
        interval=(0, 0),
        origin="",
        wanted="",
        verdict=ClaimVerdict.HOLDS,
    )

    def said(name: str, verdict: ClaimVerdict, *, is_known: bool) -> ClaimResult:
        claim = msgspec.structs.replace(exponent_claim("0.4"), id=name)
        findings = [finding] if is_known else []
        return claim_result(release, claim, verdict, findings=findings)

    ordered = [
        said("c", ClaimVerdict.HOLDS, is_known=True),
        said("d", ClaimVerdict.UNDECIDED, is_known=True),
        said("a", ClaimVerdict.MISSING, is_known=False),
        said("b", ClaimVerdict.MISSING, is_known=False),
        said("0", ClaimVerdict.FAILS, is_known=True),
        said("a", ClaimVerdict.FAILS, is_known=False),
    ]
    for shuffled in (ordered, ordered[::-1], ordered[3:] + ordered[:3]):
        assert in_reading_order(shuffled) == ordered


def test_a_curve_of_before_had_no_interval() -> None:
    fit = {"exponent": 0.5, "coefficient": 1.0, "deviation": None, "points": ()}
    found = msgspec.convert({"family": "a", "fit": fit}, Curve)
    assert (found.published, found.interval, found.origin) == ("", None, "")
