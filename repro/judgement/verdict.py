"""Verdicts: what measured and published say of each other, also before the end."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from fractions import Fraction

import msgspec

from repro.evaluation.predictions import Metrics, Predictions
from repro.judgement.intervals import (
    CONFIDENCE,
    Counts,
    Interval,
    cells_of,
    error_bound,
)
from repro.judgement.tolerance import Tolerance, acceptable, tolerance_of
from repro.published import METRICS, Digits, Printed, Reference, Release, printed


class Verdict(enum.StrEnum):
    """What is said of a case or of one reference."""

    REPRODUCED = "reproduced"
    BELOW = "below"
    ABOVE = "above"
    UNEXPECTEDLY_MET = "unexpectedly met"
    EXPECTED_DIVERGENCE = "expected divergence"
    INCONCLUSIVE = "inconclusive"
    UNREFERENCED = "unreferenced"
    NOT_RUN = "not run"
    FAILED = "failed"

    @property
    def is_divergence(self) -> bool:
        """Whether measured and published contradict each other, unexpectedly."""
        return self in (Verdict.BELOW, Verdict.ABOVE)

    @property
    def is_contradiction(self) -> bool:
        """Whether a number contradicts what is written down."""
        return self.is_divergence or self is Verdict.UNEXPECTEDLY_MET

    @property
    def is_failure(self) -> bool:
        """Whether a case with this verdict fails: by a number, or by anything else."""
        return self.is_contradiction or self is Verdict.FAILED

    @property
    def is_as_expected(self) -> bool:
        """Whether a number was met, or diverges as is written down."""
        return self in (Verdict.REPRODUCED, Verdict.EXPECTED_DIVERGENCE)


#: Where nothing diverges, a case's verdict is the first of these that a reference has.
_WORST_FIRST = (
    Verdict.FAILED,
    Verdict.UNEXPECTEDLY_MET,
    Verdict.NOT_RUN,
    Verdict.INCONCLUSIVE,
    Verdict.EXPECTED_DIVERGENCE,
    Verdict.REPRODUCED,
)


class ReferenceCheck(msgspec.Struct, frozen=True, kw_only=True):
    """One published number beside the measured one.

    `published` has the digits as printed, and `spread` what stands after ±, where it is
    the mean of several runs. Values are in the metric's unit: percent, differences and
    tolerances in points; or nats. The `_images` twins count images and are None where a
    metric is no share of them; what needs a measurement is None where there is none.
    `interval` is where the value on all images lies when a part of them was evaluated;
    `xfail` says why a divergence was expected.
    """

    metric: str
    published: Digits
    spread: str = ""
    measured: float | None = None
    difference: float | None = None
    difference_images: float | None = None
    interval: Interval | None = None
    tolerance: float
    tolerance_images: float | None = None
    tolerance_origin: str
    source: str
    source_title: str
    source_url: str
    xfail: str = ""
    verdict: Verdict
    reason: str = ""

    def __post_init__(self) -> None:
        """Refuse what a record says of a metric that is not here."""
        if self.metric not in METRICS:
            raise ValueError(f"no metric {self.metric!r:.80} is installed")

    @property
    def number(self) -> Printed:
        """The published number, read from the digits that records keep."""
        return printed(self.published)

    @property
    def printed(self) -> str:
        """The published number as it was printed, with its spread."""
        return f"{self.published} ± {self.spread}" if self.spread else self.published

    @property
    def quality(self) -> str:
        """Say whether a divergence is one for the better; empty where there is none."""
        if not self.verdict.is_divergence:
            return ""
        is_above = self.verdict is Verdict.ABOVE
        is_better = is_above == METRICS[self.metric].is_higher_better
        return "better" if is_better else "worse"


def unmeasured(
    reference: Reference, release: Release, verdict: Verdict = Verdict.NOT_RUN
) -> ReferenceCheck:
    """Write down a published number that nothing was measured for."""
    tolerance = tolerance_of(reference)
    source = release.sources[reference.source]
    return ReferenceCheck(
        metric=reference.metric,
        published=reference.published.digits,
        spread="" if reference.spread is None else reference.spread.digits,
        tolerance=float(tolerance.value),
        tolerance_origin=tolerance.origin,
        source=source.id,
        source_title=source.title,
        source_url=source.url,
        xfail=reference.xfail,
        verdict=verdict,
    )


def compare(
    reference: Reference,
    release: Release,
    metrics: Metrics,
    unsettled: str = "",
    interval: Interval | None = None,
) -> ReferenceCheck:
    """Compare a measurement with one published number, two-sided and exactly.

    Args:
        reference: the published number.
        release: that it belongs to, for its sources.
        metrics: what was measured.
        unsettled: why the comparison cannot show that the number is met (a part of the
            images, another precision).
        interval: where the value on all images lies when a part was evaluated. Only
            where it is given can an unsettled comparison be a divergence: when no value
            that would meet the number lies inside.
    """
    try:
        exact = metrics.value(reference.metric)
    except KeyError:
        return msgspec.structs.replace(
            unmeasured(reference, release),
            verdict=Verdict.INCONCLUSIVE,
            reason=f"{reference.metric} was not counted in that measurement",
        )
    # In fractions: a number on the border of its tolerance is met on every machine, and
    # in every order of the images.
    difference = exact - reference.published.value
    tolerance = tolerance_of(reference)
    verdict, reason = _verdict(reference, difference, tolerance, unsettled, interval)
    found = msgspec.structs.replace(
        unmeasured(reference, release),
        measured=float(exact),
        difference=float(difference),
        interval=interval,
        verdict=verdict,
        reason=reason,
    )
    if METRICS[reference.metric].unit.whole is None:
        return found
    return msgspec.structs.replace(
        found,
        difference_images=float(difference * metrics.images / 100),
        tolerance_images=tolerance.images(metrics.images),
    )


def verdict_of(comparisons: Sequence[ReferenceCheck]) -> Verdict:
    """Sum up the comparisons of one case: the worst one counts."""
    verdicts = [comparison.verdict for comparison in comparisons]
    for verdict in verdicts:
        if verdict.is_divergence:
            return verdict
    for verdict in _WORST_FIRST:
        if verdict in verdicts:
            return verdict
    return Verdict.UNREFERENCED


def _verdict(
    reference: Reference,
    difference: Fraction,
    tolerance: Tolerance,
    unsettled: str,
    interval: Interval | None,
) -> tuple[Verdict, str]:
    """Give the verdict, and why where the difference does not tell that by itself."""
    if unsettled:
        low, high = map(float, acceptable(reference))
        if interval is None or not interval.excludes(low, high):
            return Verdict.INCONCLUSIVE, unsettled
    elif abs(difference) <= tolerance.value:
        if not reference.xfail:
            return Verdict.REPRODUCED, ""
        return Verdict.UNEXPECTEDLY_MET, (
            f"the number is met, but declared not to be ({reference.xfail}); "
            f"remove xfail from {reference.defined_in or 'the reference'}"
        )
    if reference.xfail:
        return Verdict.EXPECTED_DIVERGENCE, reference.xfail
    outside = f"outside the {100 * CONFIDENCE:g} % interval of {unsettled}"
    verdict = Verdict.BELOW if difference < 0 else Verdict.ABOVE
    return verdict, outside if unsettled else ""


#: How likely one look at a run may be to call a number missed that would be met.
FALSE_STOP = 1e-9

STRATA_BEFORE_STOPPING = 2


def is_hopeless(
    references: Iterable[Reference],
    predictions: Predictions,
    class_sizes: Counts,
    strata: int,
    level: float = FALSE_STOP,
) -> bool:
    """Tell whether every source is contradicted beyond doubt by some of the strata.

    A source is contradicted when one of its shares of images, with its tolerance, lies
    outside the `1 - level` interval. A bound that always holds is taken for each look,
    so K looks in two directions err with at most `2 * K * level` for each number. The
    loss is not looked at, since nothing bounds what the remaining images add to it,
    nor a mean over classes, which images of small ones move much; and neither is a
    number that may belong to another checkpoint.

    Args:
        references: the published numbers of the case.
        predictions: of the strata so far.
        class_sizes: images of each class in the whole dataset.
        strata: how many strata the dataset has.
        level: how likely one look may err.
    """
    images = len(predictions.labels)
    if (
        predictions.is_complete
        or images * strata < STRATA_BEFORE_STOPPING * predictions.total
    ):
        return False
    cells = cells_of(predictions.labels, class_sizes, strata)
    place = cells.cell[predictions.labels]
    contradicted: dict[str, bool] = {}
    for reference in references:
        # One number that cannot be met any more contradicts its source; another source
        # may still be right.
        known = contradicted.setdefault(reference.source, False)
        metric = METRICS[reference.metric]
        if known or metric.bound != "share" or len(reference.families) > 1:
            continue
        hits = metric.each(predictions)
        low, high = acceptable_shares(reference)
        bound = error_bound(hits, place, cells, low, high)
        contradicted[reference.source] = bound <= level
    return bool(contradicted) and all(contradicted.values())


def acceptable_shares(reference: Reference) -> tuple[float, float]:
    """Give the lowest and the highest share of hits that meet a number."""
    low, high = (value / 100 for value in acceptable(reference))
    return float(max(low, Fraction(0))), float(min(high, Fraction(1)))
