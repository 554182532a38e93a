"""A run: what the ledger knows of it as a whole."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from repro.files import LEFT_OUT, warn_of_damage
from repro.judgement.verdict import Verdict


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run of pytest.

    `planned` is how many cases were selected; `finished` and `exit_status` are None
    while it runs and when it was killed; `commit` is empty outside of git.
    """

    id: int
    uid: str
    started: datetime
    finished: datetime | None
    exit_status: int | None
    planned: int
    arguments: tuple[str, ...]
    commit: str
    dirty: bool
    counts: dict[Verdict, int]

    @property
    def cases(self) -> int:
        """How many cases have a result."""
        return sum(self.counts.values())

    @property
    def is_green(self) -> bool:
        """Whether it ended well and every case that has numbers meets them.

        A divergence that the published file expects is as good as a number met.
        """
        fine = {Verdict.REPRODUCED, Verdict.EXPECTED_DIVERGENCE, Verdict.UNREFERENCED}
        return (
            self.exit_status == 0
            and self.cases >= self.planned
            and Verdict.REPRODUCED in self.counts
            and self.counts.keys() <= fine
        )


def load_runs(
    connection: sqlite3.Connection, condition: str, values: Iterable[object] = ()
) -> list[Run]:
    """Read the runs that meet an SQL condition, which may end with order and limit."""
    rows = connection.execute(
        f"SELECT * FROM run WHERE {condition}", tuple(values)
    ).fetchall()
    counts = _counts(connection, [row["id"] for row in rows])
    return [
        Run(
            id=row["id"],
            uid=row["uid"],
            started=_time(row["started"]),
            finished=None if row["finished"] is None else _time(row["finished"]),
            exit_status=row["exit_status"],
            planned=row["planned"],
            arguments=_arguments(row),
            commit=row["git_commit"],
            dirty=bool(row["dirty"]),
            counts=counts.get(row["id"], {}),
        )
        for row in rows
    ]


def _counts(
    connection: sqlite3.Connection, runs: list[int]
) -> dict[int, dict[Verdict, int]]:
    """Count verdicts of runs, in the order of the verdicts."""
    found: dict[int, dict[Verdict, int]] = {run: {} for run in runs}
    if not runs:
        return found
    rows = connection.execute(
        "SELECT run, verdict, count(*) FROM result WHERE run BETWEEN ? AND ? "
        "GROUP BY run, verdict",
        (min(runs), max(runs)),
    )
    for run, verdict, number in rows:
        if run not in found:
            continue
        try:
            found[run][Verdict(verdict)] = number
        except ValueError:
            warn_of_damage(f"a verdict of run {run} is {verdict!r}", LEFT_OUT)
    order = list(Verdict)
    return {
        run: dict(sorted(counted.items(), key=lambda pair: order.index(pair[0])))
        for run, counted in found.items()
    }


def _arguments(row: sqlite3.Row) -> tuple[str, ...]:
    try:
        return msgspec.json.decode(row["arguments"], type=tuple[str, ...])
    except ValueError:
        warn_of_damage(f"what run {row['id']} was asked is not as written", LEFT_OUT)
        return ()


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, tz=UTC)
