"""What earlier runs said of all cases, read without the rest of their results.

Claims are checked with what these measured.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from repro.cases import Case, list_cases
from repro.claims.evidence import (
    MeasuredCheckpoint,
    MeasuredEvidence,
    MissingError,
    Stated,
)
from repro.claims.judge import judge_claim
from repro.claims.result import ClaimResult, ClaimVerdict
from repro.diagnosis.findings import Known, Seen
from repro.evaluation.predictions import Metrics, Predictions
from repro.judgement.compare import Since
from repro.judgement.verdict import Verdict
from repro.published import METRICS
from repro.records.ledger import Ledger
from repro.records.result import CaseResult, Measurement, place_named


class Past(NamedTuple):
    """What a run said of a case: its verdict, and top-1 where all images were seen.

    `result` is the number of the result in the ledger.
    """

    run: int
    verdict: Verdict
    top1: float | None
    started: datetime
    result: int

    @property
    def is_red(self) -> bool:
        """Whether the case failed."""
        return self.verdict.is_failure


class LastMet(NamedTuple):
    """The run in which a case was met last, and the SHA-256 of its weights then."""

    run: int
    weights: str


class _Measured(msgspec.Struct):
    metrics: Metrics
    total: int
    weights_sha256: str


class _Result(msgspec.Struct):
    """What is read of a result: most of it is environment, and skipped here."""

    verdict: Verdict
    position: tuple[int, int]
    measurement: _Measured | None = None


class _Since(msgspec.Struct):
    since: Since | None = None


def past_of(
    ledger: Ledger, last: int, runs: int, cases: Iterable[str]
) -> dict[str, tuple[Past, ...]]:
    """Give what was said of some cases, oldest first, by its place among results.

    What was asked for changes where a published number is edited: the results of a case
    are one history as long as no run has two of it, and its place is that of the last.
    Else those that were asked for alike are one. Cases stand in the order of tables.

    Args:
        ledger: to read.
        last: number of the newest run that counts.
        runs: so many runs count, that one among them.
        cases: their ids.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    rows = ledger.read_sealed(
        "result",
        "result JOIN run ON run.id = run WHERE run IN "
        "(SELECT id FROM run WHERE id <= ? ORDER BY id DESC LIMIT ?) "
        "AND case_id IN (SELECT value FROM json_each(?)) ORDER BY run, result.id",
        (last, runs, msgspec.json.encode(sorted(set(cases))).decode()),
        also="result.id, started",
    )
    in_runs = Counter((row["run"], row["case_id"]) for row in rows)
    several = {case for (_, case), number in in_runs.items() if number > 1}
    found: dict[str, list[Past]] = {}
    called: dict[str, tuple[tuple[int, int], str]] = {}
    for row in rows:
        place = place_named(row["case_id"], row["asked"])
        name = place if row["case_id"] in several else row["case_id"]
        said = ledger.decoded(row, _Result)
        found.setdefault(name, []).append(_past(row, said))
        called[name] = said.position, place
    ordered = sorted(found, key=lambda name: (called[name][0], name))
    return {called[name][1]: tuple(found[name]) for name in ordered}


def _past(row: sqlite3.Row, said: _Result) -> Past:
    top1, measured = None, said.measurement
    if measured and measured.metrics.images == measured.total:
        top1 = measured.metrics.percent("top1")
    return Past(
        run=row["run"],
        verdict=said.verdict,
        top1=top1,
        started=datetime.fromtimestamp(row["started"], tz=UTC),
        result=row["id"],
    )


def red_since(past: Sequence[Past]) -> Past | None:
    """Find the first run after which a case has not been as expected again.

    None where it is not red in the last one.
    """
    if not past or not past[-1].is_red:
        return None
    fine = (place for place, one in enumerate(past) if one.verdict.is_as_expected)
    return next(one for one in past[max(fine, default=0) :] if one.is_red)


def changes_then(ledger: Ledger, past: Past) -> Since | None:
    """Give what a run said that differed from when the case was as expected.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    rows = ledger.read_sealed("result", "result WHERE id = ?", (past.result,))
    return next((ledger.decoded(row, _Since).since for row in rows), None)


def last_met(ledger: Ledger, case: str) -> LastMet | None:
    """Find the newest run in which a case was met; None where there is none.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    for row in ledger.read_sealed(
        "result",
        "result WHERE case_id = ? AND verdict = ? ORDER BY id DESC LIMIT 1",
        (case, Verdict.REPRODUCED),
    ):
        if (measured := ledger.decoded(row, _Result).measurement) is not None:
            return LastMet(row["run"], measured.weights_sha256)
    return None


def known_of(case: Case, result: CaseResult, ledger: Ledger | None) -> Known:
    """Gather what earlier measurements, also of this run, tell of a case.

    Args:
        case: which one.
        result: of now, with what has changed since it was as expected.
        ledger: that has the others; None where there is none.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    changes = result.since.difference.published if result.since else ()
    edited = {c.name: c.before for c in changes if c.name in METRICS and c.before}
    measurement = result.measurement
    if ledger is None or measurement is None:
        return Known(edited=edited)
    others = {c.id: c for c in list_cases([case.release]) if c.id != case.id}
    newest = [
        (found, measured)
        for found in ledger.newest(case.release.id, others)
        if (measured := found.measurement)
    ]
    images = measurement.dataset_fingerprint
    return Known(
        cases={
            found.id: Seen(measured.metrics, measured.weights_sha256)
            for found, measured in newest
            if measured.is_complete
        },
        met={
            found.id: found.verdict is Verdict.REPRODUCED
            for found, measured in newest
            if (found.verdict is Verdict.REPRODUCED or found.verdict.is_divergence)
            and _is_as_now(found, others[found.id])
            and (
                found.dataset != result.dataset
                or measured.dataset_fingerprint == images
            )
        },
        weights_sha256=measurement.weights_sha256,
        edited=edited,
    )


def _is_as_now(found: CaseResult, case: Case) -> bool:
    """Tell whether a result is of the protocol and numbers of now."""
    protocol = case.protocol
    numbers = {(r.source, r.metric): r.published.digits for r in case.references}
    return (found.geometry, found.conditions) == (
        protocol.geometry,
        protocol.conditions,
    ) and {(c.source, c.metric): c.published for c in found.comparisons} == numbers


_Conditions = tuple[str, ...]


class _Entry(NamedTuple):
    """A whole measurement of a case, and its run."""

    run: int
    result: CaseResult


def judge_from_ledger(stated: Stated, ledger: Ledger) -> ClaimResult:
    """Check a claim with the newest whole measurements in the ledger that go together.

    Those of one claim are of the same images, by the same protocol and settings. The
    newest such set that has all the claim needs counts, or else the newest.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    known = _Known(stated, ledger)
    found: list[ClaimResult] = []
    for conditions in known.conditions() or [()]:
        evidence = known.evidence(conditions)
        found.append(judge_claim(stated.release, stated.claim, evidence))
        if found[-1].verdict is not ClaimVerdict.MISSING:
            return found[-1]
    return found[0]


def checkpoint_of(
    stated: Stated, found: Measurement, predictions: Predictions | None
) -> MeasuredCheckpoint:
    """Give what a measurement is for a claim, and why it may settle nothing."""
    claim = stated.claim
    published = stated.release.protocols[claim.protocol].precision
    return MeasuredCheckpoint(
        metrics=found.metrics,
        total=found.total,
        unsettled=found.in_other_precision(published) or found.estimated(claim.metric),
        predictions=predictions,
    )


class _Known:
    """The measurements of a claim's checkpoints in a ledger.

    Args:
        stated: the claim.
        ledger: that has them.
    """

    def __init__(self, stated: Stated, ledger: Ledger) -> None:
        self._stated = stated
        self._ledger = ledger
        self._cases = ledger.cases()
        self._measured: dict[str, list[_Entry]] = {}

    def conditions(self) -> list[_Conditions]:
        """List the conditions of measurements, those of the newest first."""
        families = {f for place in self._stated.claim.places() for f in place}
        entries = [
            entry
            for family in sorted(families)
            for checkpoint in self._checkpoints(family)
            for entry in self._entries(self._stated.case(family, checkpoint).id)
        ]
        entries.sort(key=lambda entry: entry.run, reverse=True)
        return list(dict.fromkeys(_conditions(entry.result) for entry in entries))

    def evidence(self, conditions: _Conditions) -> MeasuredEvidence:
        """Give what was measured in some conditions."""

        def measure(family: str, checkpoint: str) -> MeasuredCheckpoint:
            return self._newest(self._stated.case(family, checkpoint).id, conditions)

        return MeasuredEvidence(self._stated.claim, self._checkpoints, measure)

    def _newest(self, case: str, conditions: _Conditions) -> MeasuredCheckpoint:
        everything = self._entries(case)
        fitting = [e for e in everything if _conditions(e.result) == conditions]
        if not everything:
            raise MissingError("no run in the ledger measured all its images")
        if not fitting:
            raise MissingError(
                f"{case} was measured in run {everything[-1].run}, but on other images "
                "or with another protocol or settings than other checkpoints"
            )
        run = fitting[-1].run
        latest = {
            measurement.key: measurement
            for entry in fitting
            if entry.run == run and (measurement := entry.result.measurement)
        }
        if len(latest) > 1:
            raise MissingError(f"run {run} measured {case} with several weights files")
        ((key, found),) = latest.items()
        predictions = self._ledger.predictions(run, case, key)
        return checkpoint_of(self._stated, found, predictions)

    def _entries(self, case: str) -> list[_Entry]:
        """List the whole measurements of a case, oldest first."""
        if case not in self._measured:
            self._measured[case] = [
                _Entry(run.id, result)
                for run, result in self._ledger.history(case)
                if result.release == self._stated.release.id
                and result.measurement
                and result.measurement.is_complete
            ]
        return self._measured[case]

    def _checkpoints(self, family: str) -> list[str]:
        referenced = list_cases([self._stated.release])
        names = [found.checkpoint for found in referenced if found.family.id == family]
        before, after = self._stated.case(family, "*").id.split("*")
        names += (
            name.removeprefix(before).removesuffix(after)
            for name in self._cases
            if name.startswith(before) and name.endswith(after)
        )
        return [name for name in dict.fromkeys(names) if "/" not in name]


def _conditions(result: CaseResult) -> _Conditions:
    """Give what measurements of one claim must have in common.

    Records of old know less of it.
    """
    measured = result.measurement
    assert measured is not None
    return (
        *(measured.conditions, measured.dataset_fingerprint, measured.precision),
        *(result.geometry, result.conditions),
    )
