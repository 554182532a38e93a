"""Keep the ledger small."""

from __future__ import annotations

import msgspec

from repro.records.ledger import Ledger

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

    The last green run is always kept, with its predictions: it is what a nightly run is
    compared with. Metrics and verdicts of the runs that stay are never removed.

    Args:
        ledger: to prune.
        keep_runs: how many of the newest runs stay; None keeps all.
        prediction_bytes: how much the predictions may take.

    Raises:
        LedgerError: the ledger cannot be written.
    """
    before = ledger.file.stat().st_size
    runs = ledger.runs()
    green = next((run.id for run in runs if run.is_green), None)
    removed = [] if keep_runs is None else [run.id for run in runs[keep_runs:]]
    removed = [run for run in removed if run != green]
    with ledger.transaction() as connection:
        connection.executemany("DELETE FROM run WHERE id = ?", [(r,) for r in removed])
        # The newest run that has them counts; those of the last green run come first.
        sizes = connection.execute(
            "SELECT prediction.id, length(prediction.content), "
            "max(run = ?) AS is_green, max(run) AS newest "
            "FROM prediction LEFT JOIN result ON result.prediction = prediction.id "
            "GROUP BY prediction.id ORDER BY is_green DESC, newest DESC",
            (green,),
        ).fetchall()
        excess: list[tuple[int]] = []
        used = 0
        for number, size, is_green, newest in sizes:
            used += size
            if newest is None or (used > prediction_bytes and not is_green):
                excess.append((number,))
        connection.executemany("DELETE FROM prediction WHERE id = ?", excess)
        if removed:
            connection.execute(
                "DELETE FROM dataset WHERE fingerprint NOT IN (SELECT fingerprint "
                "FROM result WHERE fingerprint IS NOT NULL)"
            )
    ledger.shrink()
    return Pruned(len(removed), len(excess), before - ledger.file.stat().st_size)
