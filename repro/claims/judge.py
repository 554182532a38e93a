"""Decide whether a claim holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise, product
from typing import Any

from repro.claims.estimates import (
    Estimate,
    Fitted,
    exponent,
    exponent_difference,
    fitted,
    improvement,
)
from repro.claims.evidence import Evidence, MissingError, Observation
from repro.claims.result import (
    ClaimResult,
    ClaimVerdict,
    Curve,
    Finding,
    all_of,
    claim_result,
)
from repro.published import (
    Claim,
    ExponentClaim,
    FamilyChoice,
    OrderingClaim,
    Range,
    Release,
    SaturationClaim,
    SlopesClaim,
    training_images,
)
from repro.published.metrics import LOSS


def judge_claim(release: Release, claim: Claim, evidence: Evidence) -> ClaimResult:
    """Check a claim.

    Where the claim does not say which of several families it is about, one of them has
    to meet a published exponent, as with references; anything else has to come out the
    same for each of them, or it is undecided.

    Args:
        release: that the claim belongs to.
        claim: what is said.
        evidence: the numbers to check it with.
    """
    places = list(dict.fromkeys(claim.places()))
    options = [evidence.choices(place) for place in places]
    results = [
        _Check(
            release, claim, evidence, dict(zip(places, chosen, strict=True))
        ).result()
        for chosen in product(*options)
    ]
    if len(results) == 1:
        return results[0]
    verdicts = {result.verdict for result in results}
    verdict, reason = ClaimVerdict.UNDECIDED, _depends(places)
    # As a reference that names several families: one of them is meant, and it is not
    # known which. An ordering says something of each of them.
    if isinstance(claim, ExponentClaim) and ClaimVerdict.HOLDS in verdicts:
        verdict, reason = ClaimVerdict.HOLDS, ""
    elif len(verdicts) == 1 or ClaimVerdict.MISSING in verdicts:
        verdict = all_of(list(verdicts))
        reason = next((result.reason for result in results if result.reason), "")
    return claim_result(
        release,
        claim,
        verdict,
        findings=(finding for result in results for finding in result.findings),
        curves=(curve for result in results for curve in result.curves),
        missing=(missing for result in results for missing in result.missing),
        reason=reason,
    )


@dataclass
class _Check:
    """One claim with one choice of families for each place, and what was found so far.

    `missing` says of what is not there why, and `unsettled` what settles nothing.
    """

    release: Release
    claim: Claim
    evidence: Evidence
    chosen: Mapping[FamilyChoice, FamilyChoice]
    findings: list[Finding] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    unsettled: list[str] = field(default_factory=list)

    def result(self) -> ClaimResult:
        """Check the claim."""
        _CHECKS[type(self.claim)](self, self.claim)
        verdict = all_of([finding.verdict for finding in self.findings])
        reason = ""
        if self.missing:
            verdict = ClaimVerdict.MISSING
            reason = next((why for why in self.missing.values() if why), "")
        elif self.unsettled:
            verdict, reason = ClaimVerdict.UNDECIDED, self.unsettled[0]
        return claim_result(
            self.release,
            self.claim,
            verdict,
            findings=self.findings,
            curves=self.curves,
            missing=self.missing,
            reason=reason,
        )

    def exponent(self, claim: ExponentClaim) -> None:
        """Compare a fitted exponent with the published one."""
        over = claim.range
        fit = self._fit(claim.place, over, claim.exponent)
        if fit is None:
            return
        estimate = exponent(fit)
        published = float(claim.exponent)
        # The same weights on the same images: what differs is reading and rounding.
        tolerance = float(claim.uncertainty) + fit.reach(float(LOSS))
        self._add(
            f"exponent of {self._name(claim.place)} over {_over(fit, over)}",
            estimate,
            f"{claim.exponent} +- {tolerance:.4f}",
            _within(estimate, published, tolerance, is_range_known=over is not None),
        )

    def slopes(self, claim: SlopesClaim) -> None:
        """Compare the exponents of families that follow each other in an order."""
        fits = [
            (self._name(place), self._fit(place, over))
            for place, over in claim.ranked()
        ]
        for (steep, first), (flat, second) in pairwise(fits):
            if first and second:
                estimate = exponent_difference(first, second)
                subject = f"exponent of {steep} minus that of {flat}"
                self._add(subject, estimate, "above 0", _above(estimate))

    def saturation(self, claim: SaturationClaim) -> None:
        """Compare the exponents of one family over two ranges."""
        before, after = claim.ranges
        first, second = self._fit(claim.place, before), self._fit(claim.place, after)
        if first and second:
            ratio = 1 / claim.below
            estimate = exponent_difference(first, second, ratio)
            subject = f"exponent of {self._name(claim.place)} over {before} minus "
            times = "" if ratio == 1 else f"{ratio:g} times "
            subject += f"{times}that over {after}"
            self._add(subject, estimate, "above 0", _above(estimate))

    def ordering(self, claim: OrderingClaim) -> None:
        """Compare checkpoints that follow each other in a ranking."""
        for ranking in claim.rankings():
            observed = [
                (f"{self._name(place)}/{name}", self._observe(place, name))
                for place, name in ranking
            ]
            for (upper, better), (lower, worse) in pairwise(observed):
                if better and worse:
                    estimate = improvement(better, worse, claim.metric)
                    self._add(
                        f"{claim.metric} of {upper} better than {lower} by",
                        estimate,
                        "0 or above" if claim.ties else "above 0",
                        _above(estimate, or_equal=claim.ties),
                    )

    def _fit(
        self, place: FamilyChoice, over: Range | None, published: str = ""
    ) -> Fitted | None:
        """Fit a family over a range, of which every known checkpoint is needed."""
        known = self.evidence.checkpoints(self.chosen[place])
        if over is None:
            names = [name for name in known if training_images(name)]
        else:
            # The ends of a range are needed even where nobody has a number of them:
            # without them it is another range, and another exponent.
            names = [*over.names, *(name for name in known if name in over)]
        found = {
            images: observation
            for name in dict.fromkeys(names)
            if (observation := self._observe(place, name))
            and (images := training_images(name))
        }
        if len(found) < 2:
            if over is None and not self.missing:
                any_two = f"any two checkpoints of {self._name(place)}"
                self.missing[any_two + self._suffix] = ""
            return None
        fit = fitted(list(found.items()))
        estimate = exponent(fit)
        self.curves.append(
            Curve(
                family=self._name(place),
                fit=fit.law,
                published=published,
                interval=estimate.interval,
                origin=estimate.origin,
            )
        )
        return fit

    def _observe(self, place: FamilyChoice, checkpoint: str) -> Observation | None:
        """Look up a number, and take note where there is none."""
        try:
            found = self.evidence.observe(self.chosen[place], checkpoint)
        except MissingError as error:
            name = f"{self._name(place)}/{checkpoint}{self._suffix}"
            self.missing[name] = str(error)
            return None
        if found.unsettled:
            self.unsettled.append(found.unsettled)
        return found

    def _add(
        self, subject: str, estimate: Estimate, wanted: str, verdict: ClaimVerdict
    ) -> None:
        self.findings.append(
            Finding(
                subject=subject,
                value=estimate.value,
                interval=estimate.interval,
                origin=estimate.origin,
                wanted=wanted,
                verdict=verdict,
            )
        )

    def _name(self, place: FamilyChoice) -> str:
        return "|".join(self.chosen[place])

    @property
    def _suffix(self) -> str:
        """Name protocol and dataset as case ids do."""
        dataset = self.claim.dataset
        default = dataset == self.release.default_dataset
        return f"@{self.claim.protocol}" + ("" if default else f":{dataset}")


_CHECKS: dict[type[Claim], Callable[[_Check, Any], None]] = {
    ExponentClaim: _Check.exponent,
    SlopesClaim: _Check.slopes,
    SaturationClaim: _Check.saturation,
    OrderingClaim: _Check.ordering,
}


def _within(
    estimate: Estimate, published: float, tolerance: float, *, is_range_known: bool
) -> ClaimVerdict:
    """Judge a number that should be another one, give or take a tolerance."""
    if abs(estimate.value - published) <= tolerance:
        return ClaimVerdict.HOLDS
    low, high = estimate.interval
    excluded = published + tolerance < low or high < published - tolerance
    # Over another range another exponent is no contradiction.
    if is_range_known and excluded:
        return ClaimVerdict.FAILS
    return ClaimVerdict.UNDECIDED


def _above(estimate: Estimate, *, or_equal: bool = False) -> ClaimVerdict:
    """Judge a number that should be above 0, or 0 as well."""
    low, high = estimate.interval
    if low > 0 or (or_equal and low >= 0):
        return ClaimVerdict.HOLDS
    if high < 0:
        return ClaimVerdict.FAILS
    return ClaimVerdict.UNDECIDED


def _over(fit: Fitted, over: Range | None) -> str:
    """Name what a power law was fitted over, where that is not the range asked for."""
    sizes = [point.images for point in fit.law.points]
    return str(over) if over else f"{sizes[0]:,}..{sizes[-1]:,} training images"


def _depends(places: Iterable[FamilyChoice]) -> str:
    unsure = [place for place in places if len(place) > 1]
    named = "; ".join(" or ".join(place) for place in unsure)
    return f"it depends on which family was measured: {named}"
