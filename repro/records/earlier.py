"""What has changed since an earlier run of a case, the last that can tell most."""

from __future__ import annotations

from collections.abc import Callable

from repro.evaluation.predictions import Predictions
from repro.judgement.compare import Since
from repro.judgement.verdict import Verdict
from repro.records.compact import ImageNames
from repro.records.comparison import Side, compare_sides, recorded_side
from repro.records.ledger import Ledger
from repro.records.result import CaseResult

_AS_EXPECTED = (Verdict.REPRODUCED, Verdict.EXPECTED_DIVERGENCE)


def since_earlier(
    ledger: Ledger,
    result: CaseResult,
    predictions: Predictions,
    names: Callable[[], ImageNames | None],
    uid: str = "",
) -> Since | None:
    """Compare a result with an earlier run of its case.

    One that fails is compared with the newest run in which it was as expected; else a
    part of the images with the newest run that evaluated all of them in the same
    precision, and kept what it predicted.

    Args:
        ledger: that has the earlier runs.
        result: of now.
        predictions: of now.
        names: names the images of now; called only where they differ.
        uid: of the run of now, which is no earlier one.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    measurement = result.measurement
    if measurement is None:
        return None
    now = Side("this run", result, measurement, lambda: predictions, names)
    earlier = [
        (run.id, found, side)
        for run, found in reversed(ledger.history(result.id))
        if run.uid != uid and (side := recorded_side(ledger, run.id, found))
    ]
    for run, found, side in earlier:
        if result.verdict.is_failure and found.verdict in _AS_EXPECTED:
            return Since(run, found.verdict, compare_sides(side, now))
    for run, found, side in earlier:
        if measurement.is_complete or not _is_whole(side, measurement.precision):
            continue
        return Since(run, found.verdict, compare_sides(side, now))
    return None


def _is_whole(side: Side, precision: str) -> bool:
    """Whether all images were evaluated in this precision, and predictions kept."""
    earlier = side.measurement
    if not earlier.is_complete or earlier.precision != precision:
        return False
    return side.predictions() is not None
