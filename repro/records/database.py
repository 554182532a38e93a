"""The file of a ledger: written a transaction at a time, read row by row as written.

A rollback journal keeps it whole when the process is killed; unlike a write-ahead log
it needs no memory shared between processes and so also works on network drives.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self, TypeVar

import msgspec

from repro.errors import LedgerError
from repro.files import LEFT_OUT, warn_of_damage
from repro.records.schema import (
    SEALED,
    VERSION,
    prepare,
    refuse_foreign,
    refuse_unsound,
    row_digest,
    version_of,
)

FILE = "ledger.sqlite"
_T = TypeVar("_T")
_PATIENCE = 60.0  # seconds to wait while another run writes


class Database:
    """A ledger's tables in a folder; close it, or use it in a `with` statement.

    Args:
        folder: that holds the file; it gets a `.gitignore` of its own.
        create: make it where it does not exist.

    Raises:
        LedgerError: there is none, it is damaged or of a newer version.
    """

    def __init__(self, folder: Path, *, create: bool = False) -> None:
        self.file = folder / FILE
        if not create and not self.file.is_file():
            raise LedgerError(
                f"no ledger in {folder}: pytest writes one when it runs a case; name "
                "the folder of another with --ledger"
            )
        with self._explained():
            if create:
                folder.mkdir(parents=True, exist_ok=True)
                (folder / ".gitignore").write_text("*\n", encoding="utf-8")
            # Without an isolation level the module begins no transactions of its own.
            self._connection = sqlite3.connect(
                self.file,
                timeout=_PATIENCE,
                isolation_level=None,
                # Reports may arrive in another thread, as those of pytest-parallel do.
                check_same_thread=False,
            )
            try:
                with self._explained((TypeError, LookupError, RecursionError)):
                    self._prepare()
            except BaseException:
                self._connection.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def read(self, query: str, values: Sequence[object] = ()) -> list[sqlite3.Row]:
        """Give the rows of a query that only reads."""
        with self._explained():
            return self._connection.execute(query, values).fetchall()

    def read_sealed(
        self, table: str, rest: str, values: Sequence[object] = (), also: str = ""
    ) -> list[sqlite3.Row]:
        """Give rows as they were written; one that is not is left out with a warning.

        Args:
            table: that has the rows, one with checksums.
            rest: of the query, behind FROM.
            values: for the gaps in it.
            also: columns to give beside those that have a checksum.
        """
        names = [f"{table}.{name}" for name in (*SEALED[table], "digest")]
        columns = ", ".join([*names, *filter(None, [also])])
        return [
            row
            for row in self.read(f"SELECT {columns} FROM {rest}", values)
            if self._is_whole(table, row)
        ]

    def decoded(self, row: sqlite3.Row, kind: type[_T]) -> _T:
        """Read the content of a row.

        Raises:
            LedgerError: it is something else, whatever its checksum says.
        """
        with self._explained((TypeError, RecursionError)):
            return msgspec.json.decode(row["content"], type=kind)

    def shrink(self) -> None:
        """Give the space of what was removed back to the file system."""
        with self._explained():
            # Not execute: it would stop after the first page.
            self._connection.executescript("PRAGMA incremental_vacuum")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Write all of several statements, or nothing of them.

        One inside of another is a part of it.

        Raises:
            LedgerError: the file cannot be written.
        """
        if self._is_writing():
            yield self._connection
            return
        with self._explained():
            # Takes the write lock before anything is read. One that is asked for later,
            # when another process has written meanwhile, is refused at once and not
            # waited for.
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                # Also of a commit: one that was left open would take in what is written
                # next, and lose it. Where the disk is full SQLite has ended it already.
                if self._is_writing():
                    self._connection.execute("ROLLBACK")
                raise

    def _is_writing(self) -> bool:
        return self._connection.in_transaction

    def _is_whole(self, table: str, row: sqlite3.Row) -> bool:
        said = [row[name] for name in SEALED[table]]
        if isinstance(row["run"], int) and row_digest(said) == row["digest"]:
            return True
        self._warn(f"what run {said[0]} said of {said[1]}")
        return False

    def _warn(self, what: str) -> None:
        warn_of_damage(f"{what} in {self.file} is not as it was written", LEFT_OUT)

    def _prepare(self) -> None:
        self._connection.row_factory = sqlite3.Row
        # Text with a damaged byte is a row that its checksum refuses, not an error.
        self._connection.text_factory = _text
        version = version_of(self._connection)
        if version > VERSION:
            raise LedgerError(
                f"{self.file} has version {version} and this repro knows up to "
                f"{VERSION}: it was written by a newer one; update "
                "pytest-repro or name another folder with --repro-ledger"
            )
        # The order matters: while tables are replaced, foreign keys must not be
        # checked.
        refuse_foreign(self._connection)
        prepare(self._connection)
        refuse_unsound(self._connection)
        self._connection.execute("PRAGMA foreign_keys = ON")

    @contextlib.contextmanager
    def _explained(self, also: tuple[type[Exception], ...] = ()) -> Iterator[None]:
        """Turn what SQLite and the system say into an error that names the file."""
        known: tuple[type[Exception], ...] = (sqlite3.Error, OSError, ValueError)
        try:
            yield
        except (*known, *also) as error:
            raise LedgerError(
                f"the ledger {self.file} cannot be used: {error}; mend or move it, "
                "or name another folder with --repro-ledger; a run does with 'none'"
            ) from error


def _text(content: bytes) -> str:
    return content.decode(errors="surrogateescape")
