"""The tables of the ledger, with a version, and the steps from one to the next.

docs/ledger.md describes them for people who query the ledger themselves.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

_FIRST = """
CREATE TABLE run (
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
CREATE TABLE environment (
    id INTEGER PRIMARY KEY,
    content TEXT NOT NULL UNIQUE
);
CREATE TABLE subject (
    id INTEGER PRIMARY KEY,
    case_id TEXT NOT NULL,
    content TEXT NOT NULL UNIQUE
);
CREATE INDEX subject_case ON subject (case_id);
CREATE TABLE result (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
    subject INTEGER NOT NULL REFERENCES subject,
    recorded REAL NOT NULL,
    verdict TEXT NOT NULL,
    reason TEXT NOT NULL,
    details TEXT NOT NULL,
    UNIQUE (run, subject)
);
CREATE INDEX result_subject ON result (subject);
CREATE TABLE prediction (
    id INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    content BLOB NOT NULL
);
CREATE TABLE measurement (
    result INTEGER PRIMARY KEY REFERENCES result ON DELETE CASCADE,
    identity TEXT NOT NULL,
    environment INTEGER NOT NULL REFERENCES environment,
    prediction INTEGER REFERENCES prediction ON DELETE SET NULL,
    images INTEGER NOT NULL,
    total INTEGER NOT NULL,
    top1 INTEGER NOT NULL,
    top5 INTEGER NOT NULL,
    loss_sum REAL NOT NULL,
    seconds REAL NOT NULL,
    weights_sha256 TEXT NOT NULL,
    dataset_fingerprint TEXT NOT NULL,
    details TEXT NOT NULL
);
CREATE INDEX measurement_identity ON measurement (identity);
CREATE INDEX measurement_prediction ON measurement (prediction);
CREATE TABLE reference (
    id INTEGER PRIMARY KEY,
    content TEXT NOT NULL UNIQUE
);
CREATE TABLE comparison (
    result INTEGER NOT NULL REFERENCES result ON DELETE CASCADE,
    place INTEGER NOT NULL,
    reference INTEGER NOT NULL REFERENCES reference,
    verdict TEXT NOT NULL,
    measured REAL,
    difference REAL,
    difference_images REAL,
    reason TEXT NOT NULL,
    PRIMARY KEY (result, place)
) WITHOUT ROWID;
CREATE TABLE dataset (
    fingerprint TEXT PRIMARY KEY,
    content BLOB NOT NULL
) WITHOUT ROWID
"""

_CLAIMS = """
ALTER TABLE comparison ADD COLUMN details TEXT NOT NULL DEFAULT '{}';
CREATE INDEX result_verdict ON result (run, verdict);
CREATE TABLE claim (
    run INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
    claim_id TEXT NOT NULL,
    verdict TEXT NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (run, claim_id)
) WITHOUT ROWID
"""

#: Step n brings a ledger of version n to version n + 1.
MIGRATIONS: tuple[str, ...] = (_FIRST, _CLAIMS)


def version_of(connection: sqlite3.Connection) -> int:
    """Give the version of the tables that a ledger has."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def migrate(
    connection: sqlite3.Connection, migrations: Sequence[str] = MIGRATIONS
) -> None:
    """Bring the tables to the newest version, in one transaction.

    The connection must not be in a transaction, nor begin any by itself.
    """
    if version_of(connection) == len(migrations):
        return
    if version_of(connection) == 0:
        # So that a pruned ledger becomes smaller; it counts before the first table.
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Asked again: another process may have been faster.
        for step in migrations[version_of(connection) :]:
            for statement in step.split(";"):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(migrations)}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
