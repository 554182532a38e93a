"""What a ledger knows that tells how a number was written down wrongly."""

from __future__ import annotations

from repro.cases import Case, list_cases
from repro.diagnosis.known import Known, Seen
from repro.judgement.verdict import Verdict
from repro.published import METRICS
from repro.records.ledger import Ledger
from repro.records.result import CaseResult


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
    others = [c.id for c in list_cases([case.release]) if c.id != case.id]
    newest = ledger.newest(case.release.id, others)
    return Known(
        cases={
            found.id: Seen(found.measurement.metrics, found.measurement.weights_sha256)
            for found in newest
            if found.measurement and found.measurement.is_complete
        },
        met={
            found.id: found.verdict is Verdict.REPRODUCED
            for found in newest
            if found.verdict is Verdict.REPRODUCED or found.verdict.is_divergence
        },
        weights_sha256=measurement.weights_sha256,
        edited=edited,
    )
