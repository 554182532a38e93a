"""Keep the ledger small."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

import msgspec

from repro.records.ledger import Ledger
from repro.records.run import Run

#: Predictions are kept for newer runs first, up to this many bytes altogether.
PREDICTION_BYTES = 200_000_000


class Pruned(msgspec.Struct, frozen=True):
    """How much was removed: runs, sets of predictions, and bytes of the file."""

    runs: int
    predictions: int
    bytes: int


def prune(
    ledger: Ledger,
    keep_runs: int | None = None,
    prediction_bytes: int = PREDICTION_BYTES,
) -> Pruned:
    """Remove what is old: whole runs if asked, and predictions beyond a size.

    The last green run is always kept, with its predictions, and so is the last of those
    that measured most cases: they are what other runs are compared with. Metrics and
    verdicts of the runs that stay are never removed.

    Args:
        ledger: to prune.
        keep_runs: how many of the newest runs stay; None keeps all.
        prediction_bytes: how much the predictions may take.

    Raises:
        LedgerError: the ledger cannot be written.
    """
    before = ledger.file.stat().st_size
    runs = ledger.runs()
    kept = _baselines(runs)
    removed = [] if keep_runs is None else [run.id for run in runs[keep_runs:]]
    removed = [run for run in removed if run not in kept]
    with ledger.transaction() as connection:
        connection.executemany("DELETE FROM run WHERE id = ?", [(r,) for r in removed])
        excess = _excess(connection, kept, prediction_bytes)
        connection.executemany(
            "DELETE FROM prediction WHERE id = ?", [(number,) for number in excess]
        )
        if removed:
            connection.execute(
                "DELETE FROM dataset WHERE fingerprint NOT IN (SELECT fingerprint "
                "FROM result WHERE fingerprint IS NOT NULL)"
            )
    # After the transaction: inside of one SQLite gives nothing back.
    ledger.shrink()
    return Pruned(len(removed), len(excess), before - ledger.file.stat().st_size)


def _baselines(runs: Sequence[Run]) -> set[int]:
    """Choose the runs that others are compared with, given the newest first."""
    green = [run for run in runs if run.is_green]
    largest = max(green, key=lambda run: run.cases, default=None)
    return {run.id for run in (*green[:1], largest) if run}


def _excess(
    connection: sqlite3.Connection, kept: Iterable[int], allowed: int
) -> list[int]:
    """List predictions that nothing refers to, or that are beyond some bytes.

    The newest run that has them counts; those of runs that are kept come first.
    """
    sizes = connection.execute(
        "SELECT prediction.id, length(prediction.content), "
        "max(run IN (SELECT value FROM json_each(?))) AS is_kept, "
        "max(run) AS newest "
        "FROM prediction LEFT JOIN result ON result.prediction = prediction.id "
        "GROUP BY prediction.id ORDER BY is_kept DESC, newest DESC",
        (msgspec.json.encode(sorted(kept)).decode(),),
    )
    excess: list[int] = []
    used = 0
    for number, size, is_kept, newest in sizes.fetchall():
        # What is kept anyway comes first, so it takes from what others may have.
        used += size
        if newest is None or (used > allowed and not is_kept):
            excess.append(number)
    return excess
