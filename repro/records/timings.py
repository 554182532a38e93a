"""How long earlier measurements took, as the ledger has them."""

from __future__ import annotations

from typing import Any

import msgspec

from repro.records.ledger import Ledger

# Of each case, what was measured last; the order is that of the measurements.
_LAST = """
SELECT case_id, seconds, images, total, measurement.details AS details,
    environment.content AS environment
FROM measurement JOIN result ON result.id = measurement.result
JOIN subject ON subject.id = result.subject
JOIN environment ON environment.id = measurement.environment
WHERE result.id IN (SELECT max(measurement.result) FROM measurement
    JOIN result ON result.id = measurement.result
    GROUP BY subject, measurement.environment)
ORDER BY result.id
"""


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """The time that a measurement took on its device.

    `images` of `total` were evaluated, `cores` is how many the machine had, and
    `workers` how many processes shared it; `precision` is that of the arithmetic.
    """

    case: str
    seconds: float
    images: int
    total: int
    device: str
    cores: int
    workers: int
    precision: str


def load_timings(ledger: Ledger) -> list[Timing]:
    """Read the newest timing of each case in each environment, oldest first.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    found: list[Timing] = []
    for row in ledger.read(_LAST):
        details: dict[str, Any] = msgspec.json.decode(row["details"])
        found.append(
            Timing(
                case=row["case_id"],
                seconds=row["seconds"],
                images=row["images"],
                total=row["total"],
                device=details["device"],
                cores=msgspec.json.decode(row["environment"])["cores"],
                workers=details.get("workers", 1),
                precision=details["precision"],
            )
        )
    return found
