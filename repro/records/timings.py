"""How long earlier measurements took, as the ledger has them."""

from __future__ import annotations

import msgspec

from repro.records.ledger import Ledger
from repro.records.result import CaseResult


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """The time that a measurement took on its device.

    `images` of `total` were evaluated, `cores` is how many the machine had, and
    `workers` how many processes shared it; `precision` is that of the arithmetic.
    Where it diverged, `diagnosed` is what looking for the cause took besides, in
    evaluations of all images.
    """

    case: str
    seconds: float
    images: int
    total: int
    device: str
    cores: int
    workers: int
    precision: str
    diagnosed: float = 0.0


def load_timings(ledger: Ledger) -> list[Timing]:
    """Read the newest timing of each case on each machine, oldest first.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    # The greatest id is the newest: a measurement that was asked for otherwise, or on
    # another machine, has a time of its own.
    rows = ledger.read_sealed(
        "result",
        "result WHERE id IN (SELECT max(id) FROM result "
        "WHERE machine IS NOT NULL GROUP BY case_id, asked, machine) ORDER BY id",
    )
    results = (msgspec.json.decode(row["content"], type=CaseResult) for row in rows)
    return [
        Timing(
            case=result.id,
            seconds=measured.seconds,
            images=measured.metrics.images,
            total=measured.total,
            device=measured.device,
            cores=measured.environment.cores,
            workers=measured.workers,
            precision=measured.asked_precision,
            diagnosed=_diagnosed(result),
        )
        for result in results
        if (measured := result.measurement)
    ]


def _diagnosed(result: CaseResult) -> float:
    found = result.diagnosis
    if found is None or not found.total or not result.verdict.is_divergence:
        return 0.0
    return found.images / found.total
