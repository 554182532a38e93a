"""What is said of a claim."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence

import msgspec

from repro.claims.estimates import Interval, PowerLaw
from repro.published import Claim, Release


class ClaimVerdict(enum.StrEnum):
    """What is said of a claim; `missing`: measurements that it needs are not there."""

    HOLDS = "holds"
    FAILS = "fails"
    UNDECIDED = "undecided"
    MISSING = "missing"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One number that a claim rests on, beside what the claim says of it.

    `subject` says what the number is and `wanted` what it has to be. Exponents have no
    unit, differences are in points or nats, the better way positive. `interval` is a
    confidence interval and `origin` says what it is of.
    """

    subject: str
    value: float
    interval: Interval
    origin: str
    wanted: str
    verdict: ClaimVerdict


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """A power law that a claim rests on, with the published exponent if there is one.

    `family` names several, joined by `|`, where the source does not say which it is.
    `interval` is a confidence interval of the exponent and `origin` says what it is of;
    ledgers of earlier versions do not have them.
    """

    family: str
    fit: PowerLaw
    published: str = ""
    interval: Interval | None = None
    origin: str = ""


class ClaimResult(msgspec.Struct, frozen=True, kw_only=True):
    """A claim, what it rests on and whether it holds.

    `missing` has the cases that would have to be measured; `reason` says why they were
    not, or why the verdict is what it is.
    """

    id: str
    release: str
    kind: str
    text: str
    metric: str
    dataset: str
    protocol: str
    source: str
    source_title: str
    source_url: str
    expected: str
    verdict: ClaimVerdict
    findings: tuple[Finding, ...] = ()
    curves: tuple[Curve, ...] = ()
    missing: tuple[str, ...] = ()
    reason: str = ""
    note: str = ""

    @property
    def is_as_expected(self) -> bool:
        """Whether what is known to come out came out."""
        return self.verdict == self.expected

    @property
    def is_surprise(self) -> bool:
        """Whether it was decided, and otherwise than expected."""
        is_decided = self.verdict in (ClaimVerdict.HOLDS, ClaimVerdict.FAILS)
        return is_decided and not self.is_as_expected


def in_reading_order(results: Iterable[ClaimResult]) -> list[ClaimResult]:
    """Sort claims as every report shows them: what is known first, surprises last."""
    return sorted(results, key=lambda r: (r.is_surprise, not r.findings, r.id))


def claim_result(
    release: Release,
    claim: Claim,
    verdict: ClaimVerdict,
    *,
    findings: Iterable[Finding] = (),
    curves: Iterable[Curve] = (),
    missing: Iterable[str] = (),
    reason: str = "",
) -> ClaimResult:
    """Write down what is said of a claim; what is repeated is written once."""
    source = release.sources[claim.source]
    return ClaimResult(
        id=claim.id,
        release=release.id,
        kind=claim.kind,
        text=claim.text,
        metric=claim.metric,
        dataset=claim.dataset,
        protocol=claim.protocol,
        source=source.id,
        source_title=source.title,
        source_url=source.url,
        expected=claim.expected,
        verdict=verdict,
        findings=tuple(dict.fromkeys(findings)),
        curves=tuple(dict.fromkeys(curves)),
        missing=tuple(dict.fromkeys(missing)),
        reason=reason,
        note=claim.note,
    )


def all_of(verdicts: Sequence[ClaimVerdict]) -> ClaimVerdict:
    """Sum up statements that all have to hold: one that fails is enough to fail."""
    for verdict in (ClaimVerdict.MISSING, ClaimVerdict.FAILS, ClaimVerdict.UNDECIDED):
        if verdict in verdicts:
            return verdict
    return ClaimVerdict.HOLDS
