"""What earlier runs said of all cases, read without the rest of their results."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

import msgspec

from repro.errors import LedgerError
from repro.evaluation.predictions import Metrics
from repro.judgement.verdict import Verdict
from repro.records.ledger import Ledger
from repro.records.result import place_named


class Past(NamedTuple):
    """What a run said of a case: its verdict, and top-1 where all images were seen."""

    run: int
    verdict: Verdict
    top1: float | None


class LastMet(NamedTuple):
    """The run in which a case was met last, and the SHA-256 of its weights then."""

    run: int
    weights: str


class _Measured(msgspec.Struct):
    metrics: Metrics
    total: int
    weights_sha256: str


class _Result(msgspec.Struct):
    verdict: Verdict
    measurement: _Measured | None = None


#: Most of a result is its environment and how it was compared, which is skipped here.
_RESULT = msgspec.json.Decoder(_Result)


def past_of_all(ledger: Ledger, last: int, runs: int) -> dict[str, tuple[Past, ...]]:
    """Give what was said at each place among results, oldest first.

    Args:
        ledger: to read.
        last: number of the newest run that counts.
        runs: so many runs count, that one among them.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    found: dict[str, list[Past]] = {}
    rows = ledger.read(
        "SELECT run, case_id, asked, content FROM result WHERE run IN "
        "(SELECT id FROM run WHERE id <= ? ORDER BY id DESC LIMIT ?) ORDER BY run, id",
        (last, runs),
    )
    for row in rows:
        said = _decoded(ledger, row)
        top1, measured = None, said.measurement
        if measured and measured.metrics.images == measured.total:
            top1 = measured.metrics.percent("top1")
        place = place_named(row["case_id"], row["asked"])
        found.setdefault(place, []).append(Past(row["run"], said.verdict, top1))
    return {place: tuple(past) for place, past in found.items()}


def last_met(ledger: Ledger, case: str) -> LastMet | None:
    """Find the newest run in which a case was met; None where there is none.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    for row in ledger.read(
        "SELECT run, case_id, content FROM result WHERE case_id = ? AND verdict = ? "
        "ORDER BY id DESC LIMIT 1",
        (case, Verdict.REPRODUCED),
    ):
        if (measured := _decoded(ledger, row).measurement) is not None:
            return LastMet(row["run"], measured.weights_sha256)
    return None


def _decoded(ledger: Ledger, row: sqlite3.Row) -> _Result:
    try:
        return _RESULT.decode(row["content"])
    except msgspec.MsgspecError as error:
        raise LedgerError(
            f"the ledger {ledger.file} has a result of {row['case_id']} in run "
            f"{row['run']} that cannot be read: {error}"
        ) from error
