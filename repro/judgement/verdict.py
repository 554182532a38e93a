"""Verdicts: what a comparison of measured and published says."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from fractions import Fraction

import msgspec

from repro.evaluation.predictions import Metrics
from repro.judgement.tolerance import tolerance_of
from repro.published import Metric, Reference, Release


class Verdict(enum.StrEnum):
    """What is said of a case or of one reference."""

    REPRODUCED = "reproduced"
    BELOW = "below"
    ABOVE = "above"
    INCONCLUSIVE = "inconclusive"
    UNREFERENCED = "unreferenced"
    NOT_RUN = "not run"

    @property
    def is_divergence(self) -> bool:
        """Whether measured and published contradict each other."""
        return self in (Verdict.BELOW, Verdict.ABOVE)


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """One published number beside the measured one.

    `published` has the digits as printed. Values are in percent, differences and
    tolerances in points; for loss all are in nats. The `_images` twins count images and
    are None for loss; what needs a measurement is None where there is none.
    """

    metric: Metric
    published: str
    measured: float | None = None
    difference: float | None = None
    difference_images: float | None = None
    tolerance: float
    tolerance_images: float | None = None
    tolerance_origin: str
    source: str
    source_title: str
    source_url: str
    verdict: Verdict
    reason: str = ""


def unmeasured(reference: Reference, release: Release) -> Comparison:
    """Write down a published number that nothing was measured for."""
    tolerance = tolerance_of(reference)
    source = release.sources[reference.source]
    return Comparison(
        metric=reference.metric,
        published=str(reference.published),
        tolerance=float(tolerance.value),
        tolerance_origin=tolerance.origin,
        source=source.id,
        source_title=source.title,
        source_url=source.url,
        verdict=Verdict.NOT_RUN,
    )


def compare(
    reference: Reference, release: Release, metrics: Metrics, unsettled: str = ""
) -> Comparison:
    """Compare a measurement with one published number, two-sided and exactly.

    Args:
        reference: the published number.
        release: that it belongs to, for its sources.
        metrics: what was measured.
        unsettled: why the comparison cannot settle anything (a subset of the images,
            another precision); the verdict is then inconclusive.
    """
    exact = _measured(metrics, reference.metric)
    difference = exact - Fraction(reference.published)
    tolerance = tolerance_of(reference)
    if unsettled:
        verdict = Verdict.INCONCLUSIVE
    elif abs(difference) <= tolerance.value:
        verdict = Verdict.REPRODUCED
    else:
        verdict = Verdict.BELOW if difference < 0 else Verdict.ABOVE
    found = msgspec.structs.replace(
        unmeasured(reference, release),
        measured=float(exact),
        difference=float(difference),
        verdict=verdict,
        reason=unsettled,
    )
    if reference.metric == "loss":
        return found
    return msgspec.structs.replace(
        found,
        difference_images=float(difference * metrics.images / 100),
        tolerance_images=tolerance.images(metrics.images),
    )


def verdict_of(comparisons: Sequence[Comparison]) -> Verdict:
    """Sum up the comparisons of one case: the worst one counts."""
    verdicts = [comparison.verdict for comparison in comparisons]
    for verdict in verdicts:
        if verdict.is_divergence:
            return verdict
    for verdict in (Verdict.NOT_RUN, Verdict.INCONCLUSIVE, Verdict.REPRODUCED):
        if verdict in verdicts:
            return verdict
    return Verdict.UNREFERENCED


def _measured(metrics: Metrics, metric: Metric) -> Fraction:
    if metric == "loss":
        return Fraction(metrics.loss_sum) / metrics.images
    return Fraction(100 * int(getattr(metrics, metric)), metrics.images)
