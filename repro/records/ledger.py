"""The ledger: the history of measurements, in one SQLite file.

Only the process that the user started writes, one transaction for each case as it ends.
A rollback journal keeps it whole when the process is killed; unlike a write-ahead log
it needs no memory shared between processes and so also works on network drives.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import msgspec

from repro.claims.result import ClaimResult
from repro.errors import LedgerError
from repro.evaluation.predictions import Predictions
from repro.records.compact import (
    ImageNames,
    decode_names,
    decode_predictions,
    encode_predictions,
)
from repro.records.environment import GitState
from repro.records.result import CaseResult, Measurement
from repro.records.run import Run, load_runs
from repro.records.schema import VERSION, insert, prepare, result_row, version_of

FILE = "ledger.sqlite"
_PATIENCE = 60.0  # seconds to wait while another run writes
_RESULT = msgspec.json.Decoder(CaseResult)


class Found(NamedTuple):
    """A measurement of an earlier run that need not be repeated."""

    run: int
    measurement: Measurement
    predictions: Predictions


class Ledger:
    """The history of runs in a folder; close it, or use it in a `with` statement.

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
                self.file, timeout=_PATIENCE, isolation_level=None
            )
            try:
                self._prepare()
            except BaseException:
                self._connection.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def begin(
        self, uid: str, planned: int, arguments: Sequence[str], code: GitState
    ) -> int:
        """Write down that a run has begun, and give its number.

        Args:
            uid: a name of the run that no other has.
            planned: how many cases were selected.
            arguments: of the command line.
            code: the working tree that it was started in.
        """
        row = {
            "uid": uid,
            "started": time.time(),
            "planned": planned,
            "arguments": msgspec.json.encode(list(arguments)).decode(),
            "git_commit": code.commit,
            "dirty": bool(code.changes),
        }
        with self.transaction() as connection:
            return insert(connection, "run", row)

    def record(
        self,
        run: int,
        result: CaseResult,
        predictions: Predictions | None = None,
    ) -> None:
        """Write down the result of a case, at once and for good.

        Args:
            run: its number.
            result: of the case; an earlier one of the same run that was asked for in
                the same way is replaced.
            predictions: of the case, where they are at hand.
        """
        blob = None if predictions is None else encode_predictions(predictions)
        row = {"run": run, "recorded": time.time(), **result_row(result)}
        with self.transaction() as connection:
            if blob is not None:
                row["prediction"] = _kept_once(connection, blob)
            # Not replaced in place: results are read in the order of their ids, which
            # is that in which their cases ended last.
            connection.execute(
                "DELETE FROM result WHERE run = ? AND case_id = ? AND asked = ?",
                (run, row["case_id"], row["asked"]),
            )
            insert(connection, "result", row)

    def record_claim(self, run: int, result: ClaimResult) -> None:
        """Write down what is said of a claim."""
        content = msgspec.json.encode(result).decode()
        row = (run, f"{result.release}/{result.id}", result.verdict, content)
        with self.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO claim VALUES (?, ?, ?, ?)", row)

    def record_names(self, fingerprint: str, names: bytes) -> None:
        """Keep the names of a dataset's images and classes, once (`encode_names`)."""
        with self.transaction() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO dataset VALUES (?, ?)",
                (fingerprint, names),
            )

    def finish(self, run: int, exit_status: int) -> None:
        """Write down that a run has ended, with pytest's exit status."""
        with self.transaction() as connection:
            connection.execute(
                "UPDATE run SET finished = ?, exit_status = ? WHERE id = ?",
                (time.time(), exit_status, run),
            )

    def runs(self, limit: int = -1) -> list[Run]:
        """List the newest runs, newest first; all of them without a limit."""
        with self._explained():
            return load_runs(
                self._connection, "true ORDER BY id DESC LIMIT ?", (limit,)
            )

    def find_run(
        self, text: str, before: int | None = None, cases: Iterable[str] = ()
    ) -> Run:
        """Find a run.

        Args:
            text: its number, `last`, or `green` for the last one in which every case
                that has published numbers met them.
            before: number of a run that it has to be older than.
            cases: ids of those that a green run is wanted for. The one that measured
                most of them counts, of several the last: a run of a few cases does
                not stand in for that of a whole night.

        Raises:
            LedgerError: there is no such run.
        """
        found = [run for run in self.runs() if before is None or run.id < before]
        if text == "green":
            # The newest come first, and sorting keeps that among those that have as
            # many.
            found = self._most_alike([run for run in found if run.is_green], cases)
        elif text != "last":
            number = int(text) if text.isdecimal() else None
            found = [run for run in found if run.id == number]
        if found:
            return found[0]
        newest = self.runs(limit=1)
        raise LedgerError(
            f"{self.file} has no run {text!r}; give a number"
            f"{f' up to {newest[0].id}' if newest else ''}, 'last' or 'green'"
        )

    def _most_alike(self, runs: list[Run], cases: Iterable[str]) -> list[Run]:
        """Sort runs by how many of some cases they measured, and drop those of none."""
        wanted = list(cases)
        if not wanted:
            return runs
        rows = self.read(
            "SELECT run, count(DISTINCT case_id) AS number FROM result "
            "WHERE identity IS NOT NULL AND case_id IN (SELECT value FROM json_each(?))"
            " GROUP BY run",
            (msgspec.json.encode(wanted).decode(),),
        )
        shared = {row["run"]: row["number"] for row in rows}
        alike = [run for run in runs if run.id in shared]
        return sorted(alike, key=lambda run: shared[run.id], reverse=True)

    def results(self, run: int) -> list[CaseResult]:
        """Give the results of a run, in the order in which its cases ended."""
        return [result for _, result in self._results("run = ?", (run,))]

    def claims(self, run: int) -> list[ClaimResult]:
        """Give what a run said of claims, in the order of their ids."""
        with self._explained():
            rows = self._connection.execute(
                "SELECT content FROM claim WHERE run = ? ORDER BY claim_id", (run,)
            )
            return [msgspec.json.decode(row[0], type=ClaimResult) for row in rows]

    def predictions(
        self, run: int, case: str, key: str | None = None
    ) -> Predictions | None:
        """Give the predictions of a case in a run; None where none were kept.

        Where a run has measured a case in several ways, the digest of the measurement's
        key tells which is meant; without it, the last one is.

        Of an image's classes only the first is kept, and the true one where it is among
        the first five; others are -1. Losses have three significant digits.
        """
        row = self._one(
            "SELECT prediction.content, prediction.digest FROM result "
            "JOIN prediction ON prediction.id = result.prediction "
            "WHERE run = ? AND case_id = ? AND (?3 IS NULL OR identity = ?3) "
            "ORDER BY result.id DESC",
            (run, case, key),
        )
        return None if row is None else self._predictions(row)

    def names(self, fingerprint: str) -> ImageNames | None:
        """Give the names of a dataset's images and classes; None if never kept."""
        row = self._one(
            "SELECT content FROM dataset WHERE fingerprint = ?", (fingerprint,)
        )
        return None if row is None else decode_names(row[0])

    def history(self, case: str, limit: int = -1) -> list[tuple[Run, CaseResult]]:
        """List the results of a case in the newest runs that have one, oldest first."""
        results = self._results(
            "id IN (SELECT id FROM result WHERE case_id = ? ORDER BY id DESC LIMIT ?)",
            (case, limit),
        )
        oldest = min((run for run, _ in results), default=0)
        with self._explained():
            found = load_runs(self._connection, "id >= ?", (oldest,))
        runs = {run.id: run for run in found}
        return [(runs[run], result) for run, result in results]

    def newest(self, release: str, cases: Iterable[str]) -> list[CaseResult]:
        """Give of some cases of a release the last result each that was measured."""
        results = self._results(
            "id IN (SELECT max(id) FROM result WHERE identity IS NOT NULL AND case_id "
            "IN (SELECT value FROM json_each(?)) "
            # Another release may have a case of the same name.
            "AND json_extract(content, '$.release') = ? GROUP BY case_id)",
            (msgspec.json.encode(list(cases)).decode(), release),
        )
        return [result for _, result in results]

    def cases(self) -> list[str]:
        """List the ids of all cases that ever had a result."""
        with self._explained():
            rows = self._connection.execute(
                "SELECT DISTINCT case_id FROM result ORDER BY 1"
            )
            return [row[0] for row in rows]

    def measured(self, key: str) -> Found | None:
        """Find a measurement whose predictions were kept by its key's digest."""
        row = self._one(
            "SELECT run, result.content AS result, prediction.content, "
            "prediction.digest FROM result "
            "JOIN prediction ON prediction.id = result.prediction WHERE identity = ? "
            "ORDER BY result.id DESC",
            (key,),
        )
        if row is None:
            return None
        with self._explained():
            result = _RESULT.decode(row["result"])
            assert result.measurement is not None
        return Found(row["run"], result.measurement, self._predictions(row))

    def _predictions(self, row: sqlite3.Row) -> Predictions:
        """Read predictions that are those which were written.

        Raises:
            LedgerError: they are not.
        """
        content: bytes = row["content"]
        if hashlib.sha256(content).hexdigest() != row["digest"]:
            raise LedgerError(
                f"the ledger {self.file} holds predictions that are not as they were "
                "written; restore it from a copy, or move it away"
            )
        return decode_predictions(content)

    def keys(self) -> list[str]:
        """List the digests of the keys that `measured` knows."""
        rows = self.read(
            "SELECT DISTINCT identity FROM result WHERE prediction IS NOT NULL"
        )
        return [row["identity"] for row in rows]

    def read(self, query: str, values: Sequence[object] = ()) -> list[sqlite3.Row]:
        """Give the rows of a query that only reads."""
        with self._explained():
            return self._connection.execute(query, values).fetchall()

    def shrink(self) -> None:
        """Give the space of what was removed back to the file system."""
        with self._explained():
            # Not execute: it would stop after the first page.
            self._connection.executescript("PRAGMA incremental_vacuum")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Write all of several statements, or nothing of them.

        Raises:
            LedgerError: the file cannot be written.
        """
        with self._explained():
            # Takes the write lock before anything is read. One that is asked for later,
            # when another process has written meanwhile, is refused at once and not
            # waited for.
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def _one(self, query: str, values: Sequence[object]) -> sqlite3.Row | None:
        with self._explained():
            row: sqlite3.Row | None = self._connection.execute(query, values).fetchone()
            return row

    def _results(
        self, condition: str, values: Sequence[object]
    ) -> list[tuple[int, CaseResult]]:
        """Read results that meet an SQL condition, oldest first, each with its run."""
        query = f"SELECT run, content FROM result WHERE {condition} ORDER BY id"
        with self._explained():
            return [
                (row["run"], _RESULT.decode(row["content"]))
                for row in self._connection.execute(query, values)
            ]

    def _prepare(self) -> None:
        self._connection.row_factory = sqlite3.Row
        version = version_of(self._connection)
        if version > VERSION:
            raise LedgerError(
                f"{self.file} has version {version} and this repro knows up to "
                f"{VERSION}: it was written by a newer one; update "
                "pytest-repro or name another folder with --repro-ledger"
            )
        # The order matters: while tables are replaced, foreign keys must not be
        # checked.
        prepare(self._connection)
        self._connection.execute("PRAGMA foreign_keys = ON")

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what SQLite and the system say into an error that names the file."""
        try:
            yield
        except (sqlite3.Error, OSError, ValueError) as error:
            raise LedgerError(
                f"the ledger {self.file} cannot be used: {error}; mend or move it, "
                "or name another folder with --repro-ledger; a run does with 'none'"
            ) from error


def _kept_once(connection: sqlite3.Connection, predictions: bytes) -> int:
    """Keep predictions; a night that predicts what the last one did keeps no more."""
    digest = hashlib.sha256(predictions).hexdigest()
    found = connection.execute("SELECT id FROM prediction WHERE digest = ?", (digest,))
    if row := found.fetchone():
        return int(row[0])
    return insert(connection, "prediction", {"digest": digest, "content": predictions})
