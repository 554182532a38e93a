"""The tables of the ledger, with a version, and the step from the last version to it.

docs/ledger.md describes them for people who query the ledger themselves.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import Any

import msgspec

from repro.records.result import CaseResult

VERSION = 3

_TABLES = """
CREATE TABLE IF NOT EXISTS run (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uid TEXT NOT NULL UNIQUE,
    started REAL NOT NULL,
    finished REAL,
    exit_status INTEGER,
    planned INTEGER NOT NULL,
    arguments TEXT NOT NULL,
    git_commit TEXT NOT NULL,
    dirty INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS prediction (
    id INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    content BLOB NOT NULL
);
CREATE TABLE result (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
    case_id TEXT NOT NULL,
    asked TEXT NOT NULL,
    verdict TEXT NOT NULL,
    recorded REAL NOT NULL,
    identity TEXT,
    machine TEXT,
    fingerprint TEXT,
    prediction INTEGER REFERENCES prediction ON DELETE SET NULL,
    content TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS dataset (
    fingerprint TEXT PRIMARY KEY,
    content BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS claim (
    run INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
    claim_id TEXT NOT NULL,
    verdict TEXT NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (run, claim_id)
) WITHOUT ROWID;
CREATE INDEX result_run ON result (run, verdict);
CREATE INDEX result_case ON result (case_id, asked, machine);
CREATE INDEX result_identity ON result (identity);
CREATE INDEX result_prediction ON result (prediction, run)
"""

#: Bytes. A result takes 2.5 kB, of which the default of 4,096 holds one.
_PAGE = 16_384


def result_row(result: CaseResult) -> dict[str, Any]:
    """Give a result as columns: all of it as JSON, and again what is searched for."""
    row: dict[str, Any] = {
        "case_id": result.id,
        "asked": result.asked.digest,
        "verdict": result.verdict,
        "content": msgspec.json.encode(result).decode(),
    }
    if measured := result.measurement:
        environment = measured.environment
        row |= {
            "identity": measured.key,
            "machine": f"{environment.device}, {environment.cores} cores",
            "fingerprint": measured.dataset_fingerprint,
        }
    return row


def insert(connection: sqlite3.Connection, table: str, row: dict[str, Any]) -> int:
    """Insert a row and give its number."""
    columns, gaps = ", ".join(row), ", ".join("?" * len(row))
    done = connection.execute(
        f"INSERT INTO {table} ({columns}) VALUES ({gaps})", tuple(row.values())
    )
    return int(done.lastrowid or 0)


def version_of(connection: sqlite3.Connection) -> int:
    """Give the version of the tables that a ledger has; 0 where there are none."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def prepare(connection: sqlite3.Connection) -> None:
    """Make the tables, or bring older ones to this version, in one transaction.

    The connection gives rows as `sqlite3.Row`, must not be in a transaction nor begin
    any by itself, and not yet check foreign keys: tables are replaced.
    """
    if version_of(connection) == VERSION:
        return
    if version_of(connection) == 0:
        # Both count before the first table only, and in this order; the second lets a
        # pruned ledger become smaller.
        connection.execute(f"PRAGMA page_size = {_PAGE}")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Asked again: another process may have been faster.
        if (found := version_of(connection)) < VERSION:
            if found:
                _set_aside(connection, found)
            for statement in _TABLES.split(";"):
                connection.execute(statement)
            if found:
                _take_over(connection)
            connection.execute(f"PRAGMA user_version = {VERSION}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    if 0 < found < VERSION:
        # Gives back what the tables took that are gone; another time will do as well.
        with contextlib.suppress(sqlite3.OperationalError):
            connection.execute(f"PRAGMA page_size = {_PAGE}")
            connection.execute("VACUUM")


# What follows reads versions 1 and 2, which had a result in five tables.

_OLDER = ("comparison", "measurement", "older", "subject", "environment", "reference")
_METRICS = ("images", "top1", "top5", "loss_sum")
_MEASURED = ("total", "seconds", "weights_sha256", "dataset_fingerprint", "key")
_RESULTS = """
SELECT older.id, run, subject.content AS subject, verdict, reason, recorded,
    older.details, environment.content AS environment, images, top1, top5, loss_sum,
    total, seconds, weights_sha256, dataset_fingerprint, identity AS key, prediction,
    measurement.details AS measured
FROM older JOIN subject ON subject.id = older.subject
LEFT JOIN measurement ON measurement.result = older.id
LEFT JOIN environment ON environment.id = measurement.environment ORDER BY older.id
"""
_COMPARISONS = """
SELECT content, details, verdict, measured, difference, difference_images, reason
FROM comparison JOIN reference ON reference.id = comparison.reference
WHERE result = ?
ORDER BY place
"""


def _set_aside(connection: sqlite3.Connection, version: int) -> None:
    """Make room for a table of the same name."""
    if version == 1:
        connection.execute(
            "ALTER TABLE comparison ADD COLUMN details TEXT NOT NULL DEFAULT '{}'"
        )
    connection.execute("ALTER TABLE result RENAME TO older")


def _take_over(connection: sqlite3.Connection) -> None:
    """Write the results of the tables that were, and drop those."""
    for row in connection.execute(_RESULTS):
        content = {**_decoded(row["subject"]), **_decoded(row["details"])}
        content |= {name: row[name] for name in ("verdict", "reason")}
        content["comparisons"] = [
            {name: number[name] for name in number.keys()[2:]}
            | _decoded(number["content"])
            | _decoded(number["details"])
            for number in connection.execute(_COMPARISONS, (row["id"],))
        ]
        if row["measured"] is not None:
            measured = _decoded(row["measured"])
            metrics = {name: row[name] for name in _METRICS}
            content["measurement"] = {
                **measured,
                "metrics": measured.get("metrics", {}) | metrics,
                **{name: row[name] for name in _MEASURED},
                "environment": _decoded(row["environment"]),
            }
        kept = {name: row[name] for name in ("id", "run", "recorded", "prediction")}
        insert(
            connection,
            "result",
            kept | result_row(msgspec.convert(content, CaseResult)),
        )
    for table in _OLDER:
        connection.execute(f"DROP TABLE {table}")


def _decoded(text: str) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(text)
    return found
