"""The tables of the ledger, with a version, and the steps from earlier ones to it.

docs/ledger.md describes them for people who query the ledger themselves.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Iterable
from typing import Any

import msgspec

from repro.records.result import CaseResult

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
CREATE TABLE IF NOT EXISTS result (
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
    content TEXT NOT NULL,
    digest TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS unrun (
    run INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
    place TEXT NOT NULL,
    content TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (run, place)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dataset (
    fingerprint TEXT PRIMARY KEY,
    content BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS claim (
    run INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
    claim_id TEXT NOT NULL,
    verdict TEXT NOT NULL,
    content TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (run, claim_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS result_run ON result (run, verdict);
CREATE INDEX IF NOT EXISTS result_case ON result (case_id, asked, machine);
CREATE INDEX IF NOT EXISTS result_identity ON result (identity);
CREATE INDEX IF NOT EXISTS result_prediction ON result (prediction, run)
"""

#: What the checksum of a row is of: the run, what it is about, and what is said of it.
SEALED = {
    "result": (
        *("run", "case_id", "asked", "verdict", "identity", "machine", "fingerprint"),
        "content",
    ),
    "unrun": ("run", "place", "content"),
    "claim": ("run", "claim_id", "verdict", "content"),
}

_NAMED = re.compile(r"TABLE IF NOT EXISTS (\w+)")
#: Words of tables and indexes that ours have not, nor had.
_COMPUTES = re.compile(r"\b(AS|CHECK|WHERE|VIRTUAL)\b|DEFAULT\s*\(", re.IGNORECASE)
#: A run that cannot be one; times are seconds from 1970 to the year 2286.
_UNSOUND = """
SELECT id FROM run WHERE (
    typeof(id) = 'integer' AND typeof(uid) = 'text'
    AND typeof(started) IN ('real', 'integer') AND started BETWEEN 0 AND 1e10
    AND (finished IS NULL OR
        typeof(finished) IN ('real', 'integer') AND finished BETWEEN 0 AND 1e10)
    AND (exit_status IS NULL OR typeof(exit_status) = 'integer')
    AND typeof(planned) = 'integer' AND dirty IN (0, 1)
    AND typeof(arguments) = 'text' AND typeof(git_commit) = 'text'
) IS NOT TRUE LIMIT 1
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


def insert(
    connection: sqlite3.Connection, table: str, row: dict[str, Any], how: str = "INSERT"
) -> int:
    """Insert a row and give its number."""
    columns, gaps = ", ".join(row), ", ".join("?" * len(row))
    done = connection.execute(
        f"{how} INTO {table} ({columns}) VALUES ({gaps})", tuple(row.values())
    )
    assert done.lastrowid is not None
    return done.lastrowid


def insert_sealed(
    connection: sqlite3.Connection, table: str, row: dict[str, Any]
) -> int:
    """Insert a row with its checksum, in place of one of the same key."""
    digest = row_digest([row.get(name) for name in SEALED[table]])
    return insert(connection, table, {**row, "digest": digest}, "INSERT OR REPLACE")


def row_digest(values: Iterable[object]) -> str:
    """Give the checksum of what a row says: against damage, not against people."""
    import xxhash

    said = "\0".join("" if value is None else str(value) for value in values)
    return xxhash.xxh3_128_hexdigest(said.encode(errors="surrogateescape"))


def seal(connection: sqlite3.Connection) -> None:
    """Give all rows the checksums of what they say now."""
    connection.create_function("row_digest", -1, lambda *values: row_digest(values))
    for table, names in SEALED.items():
        said = ", ".join(names)
        connection.execute(f"UPDATE {table} SET digest = row_digest({said})")


def refuse_foreign(connection: sqlite3.Connection) -> None:
    """Refuse what computes where a table of ours is read or written, maybe for ever.

    Raises:
        ValueError: one of them is a view, or has a trigger, computed columns or checks,
            or an index of more than columns.
    """
    made = {*_NAMED.findall(_TABLES)}
    if version_of(connection) in _OF_FIVE_TABLES:
        made.update(_OLDER)
    query = "SELECT type, name, tbl_name, sql FROM sqlite_schema"
    for kind, name, table, sql in connection.execute(query):
        if table.lower() in made and (
            kind in {"view", "trigger"}
            or _COMPUTES.search(sql or "")
            or (kind == "index" and (sql or "").count("(") > 1)
        ):
            raise ValueError(
                f"the {kind} {name!r:.80} computes what a ledger only keeps"
                + (", which DROP INDEX undoes" if kind == "index" else "")
            )


def refuse_unsound(connection: sqlite3.Connection) -> None:
    """Refuse runs of other things than numbers, times and texts.

    Raises:
        ValueError: there is one.
    """
    if found := connection.execute(_UNSOUND).fetchone():
        raise ValueError(f"its run {found['id']!r:.80} is described by other things")


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
    # Both count before the first table or at a VACUUM only, and in this order; the
    # second lets a pruned ledger become smaller.
    connection.execute(f"PRAGMA page_size = {_PAGE}")
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Asked again: another process may have been faster.
        if (found := version_of(connection)) < VERSION:
            if found in _OF_FIVE_TABLES:
                _set_aside(connection, found)
            for statement in _TABLES.split(";"):
                connection.execute(statement)
            for version, step in _STEPS.items():
                if found and found < version:
                    step(connection)
            connection.execute(f"PRAGMA user_version = {VERSION}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    if found in _OF_FIVE_TABLES:
        # Gives back what the tables took that are gone; another time will do as well.
        with contextlib.suppress(sqlite3.OperationalError):
            connection.execute("VACUUM")


#: Versions that had a result in five tables.
_OF_FIVE_TABLES = (1, 2)
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
            {
                **dict(number),
                **_decoded(number["content"]),
                **_decoded(number["details"]),
            }
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
            kept | result_row(msgspec.convert(content, CaseResult)) | {"digest": ""},
        )
    for table in _OLDER:
        connection.execute(f"DROP TABLE {table}")


def _add_checksums(connection: sqlite3.Connection) -> None:
    """Give rows that were written without checksums those of what they say now."""
    for table in SEALED:
        columns = connection.execute(f"PRAGMA table_info({table})")
        if "digest" not in {column["name"] for column in columns}:
            connection.execute(
                f"ALTER TABLE {table} ADD COLUMN digest TEXT NOT NULL DEFAULT ''"
            )
    seal(connection)


def _name_failures(connection: sqlite3.Connection) -> None:
    """Say of cases that failed unmeasured that they did: they had a mark beside it."""
    rows = connection.execute("SELECT * FROM result WHERE verdict = 'not run'")
    for row in rows.fetchall():
        said = [row[name] for name in SEALED["result"]]
        # What is damaged stays as it is, and is left out with a warning.
        if row_digest(said) != row["digest"]:
            continue
        content = _decoded(row["content"])
        if not content.pop("is_broken", False):
            continue
        for part in (content, *content.get("comparisons", ())):
            part["verdict"] = "failed"
        changed = {
            "verdict": "failed",
            "content": msgspec.json.encode(content).decode(),
        }
        insert_sealed(connection, "result", {**dict(row), **changed})


def _decoded(text: str) -> dict[str, Any]:
    return msgspec.json.decode(text, type=dict[str, Any])


#: What brings a ledger to a version from the one before.
_STEPS = {3: _take_over, 4: _add_checksums, 5: _name_failures}
VERSION = max(_STEPS)
