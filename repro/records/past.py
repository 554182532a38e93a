"""What earlier runs said of all cases, read without the rest of their results."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from repro.cases import Case, list_cases
from repro.diagnosis.known import Known, Seen
from repro.evaluation.predictions import Metrics
from repro.judgement.compare import Since
from repro.judgement.verdict import Verdict
from repro.published import METRICS
from repro.records.ledger import Ledger
from repro.records.result import CaseResult, place_named


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
    fine = [place for place, one in enumerate(past) if one.verdict.is_as_expected]
    later = past[fine[-1] + 1 :] if fine else past
    return next(one for one in later if one.is_red)


def changes_then(ledger: Ledger, past: Past) -> Since | None:
    """Give what a run said that differed from when the case was as expected.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    rows = ledger.read_sealed("result", "result WHERE id = ?", (past.result,))
    return ledger.decoded(rows[0], _Since).since if rows else None


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
