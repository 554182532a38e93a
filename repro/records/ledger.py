"""The ledger: the history of measurements, in one SQLite file.

Only the process that the user started writes, one transaction for each case as it ends.
What is read is what was written: rows have checksums, and a damaged one is left out.
"""

from __future__ import annotations

import hashlib
import lzma
import sqlite3
import time
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from repro.claims.result import ClaimResult
from repro.errors import LedgerError
from repro.evaluation.predictions import Predictions
from repro.files import UNREADABLE
from repro.records.database import FILE, Database
from repro.records.identity import GitState
from repro.records.predictions import (
    ImageNames,
    decode_names,
    decode_predictions,
    encode_predictions,
)
from repro.records.result import CaseResult, Measurement, Run, load_runs
from repro.records.schema import insert, insert_sealed, result_row

__all__ = ["FILE", "Found", "Ledger", "existing_ledger"]

#: What reading predictions raises that are none: also of how they are packed.
_NO_PREDICTIONS = (*UNREADABLE, LookupError, TypeError, RuntimeError, MemoryError)
#: A limit in SQL, for a value that is NULL where there is none.
_AT_MOST = "coalesce(?, -1)"


class Found(NamedTuple):
    """A measurement of an earlier run that need not be repeated."""

    run: int
    measurement: Measurement
    predictions: Predictions


class Ledger(Database):
    """The history of runs in a folder; see `Database` for how it is opened."""

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
        self, run: int, result: CaseResult, predictions: Predictions | None = None
    ) -> None:
        """Write down the result of a case, at once and for good.

        Args:
            run: its number.
            result: of the case; an earlier one of the same run that was asked for in
                the same way is replaced.
            predictions: of the case, where they are at hand.
        """
        # Before the transaction: compressing takes longer than writing, and other runs
        # would wait for it.
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
            insert_sealed(connection, "result", row)

    def record_unrun(self, run: int, results: Iterable[CaseResult]) -> None:
        """Write down what is said of cases that did not get their turn, all at once.

        They are in the reports of the run, and no results of it.
        """
        with self.transaction() as connection:
            for result in results:
                content = msgspec.json.encode(result).decode()
                row = {"run": run, "place": result.place, "content": content}
                insert_sealed(connection, "unrun", row)

    def record_claim(self, run: int, result: ClaimResult) -> None:
        """Write down what is said of a claim."""
        content = msgspec.json.encode(result).decode()
        row = {
            "run": run,
            "claim_id": f"{result.release}/{result.id}",
            "verdict": result.verdict,
            "content": content,
        }
        with self.transaction() as connection:
            insert_sealed(connection, "claim", row)

    def record_names(self, fingerprint: str, names: bytes) -> None:
        """Keep the names of a dataset's images and classes, once (`encode_names`)."""
        with self.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO dataset VALUES (?, ?)", (fingerprint, names)
            )

    def finish(self, run: int, exit_status: int) -> None:
        """Write down that a run has ended, with pytest's exit status."""
        with self.transaction() as connection:
            connection.execute(
                "UPDATE run SET finished = ?, exit_status = ? WHERE id = ?",
                (time.time(), exit_status, run),
            )

    def runs(self, limit: int | None = None) -> list[Run]:
        """List the newest runs, newest first; all of them without a limit."""
        with self._explained():
            return load_runs(
                self._connection, f"true ORDER BY id DESC LIMIT {_AT_MOST}", (limit,)
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
        if text == "green":
            raise LedgerError(
                f"{self.file} has no run 'green': one that ended with exit status 0, "
                "and in which every case met its numbers; give a number or 'last'"
            )
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
        rows = self.read_sealed(
            "claim", "claim WHERE run = ? ORDER BY claim_id", (run,)
        )
        return [self.decoded(row, ClaimResult) for row in rows]

    def unrun(self, run: int) -> list[CaseResult]:
        """Give what was said of cases of a run that did not get their turn."""
        rows = self.read_sealed("unrun", "unrun WHERE run = ?", (run,))
        return [self.decoded(row, CaseResult) for row in rows]

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
            "SELECT prediction FROM result "
            "WHERE run = ? AND case_id = ? AND identity IS coalesce(?, identity) "
            "AND prediction IS NOT NULL ORDER BY result.id DESC",
            (run, case, key),
        )
        return (
            None
            if row is None
            else self._predictions(row["prediction"], f"run {run} of {case}")
        )

    def names(self, fingerprint: str) -> ImageNames | None:
        """Give the names of a dataset's images and classes; None if they are not kept.

        What is damaged is not kept, and a warning says so.
        """
        row = self._one(
            "SELECT content FROM dataset WHERE fingerprint = ?", (fingerprint,)
        )
        if row is None:
            return None
        try:
            return decode_names(row["content"])
        except (lzma.LZMAError, ValueError, EOFError):
            self._warn(f"the names of the images {fingerprint}")
            return None

    def history(
        self, case: str, limit: int | None = None
    ) -> list[tuple[Run, CaseResult]]:
        """List the results of a case in the newest runs that have one, oldest first."""
        results = self._results(
            "case_id = ? AND run IN (SELECT DISTINCT run FROM result "
            f"WHERE case_id = ? ORDER BY run DESC LIMIT {_AT_MOST})",
            (case, case, limit),
        )
        numbers = msgspec.json.encode({run for run, _ in results}).decode()
        with self._explained():
            found = load_runs(
                self._connection, "id IN (SELECT value FROM json_each(?))", (numbers,)
            )
        runs = {run.id: run for run in found}
        return [(runs[run], result) for run, result in results if run in runs]

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
        rows = self.read("SELECT DISTINCT case_id FROM result ORDER BY 1")
        return [row["case_id"] for row in rows]

    def measured(self, key: str) -> Found | None:
        """Find a measurement whose predictions were kept by its key's digest."""
        rows = self.read_sealed(
            "result",
            "result WHERE identity = ? AND prediction IS NOT NULL "
            "ORDER BY id DESC LIMIT 1",
            (key,),
            also="prediction",
        )
        for row in rows:
            measurement = self.decoded(row, CaseResult).measurement
            named = f"run {row['run']} of {row['case_id']}"
            predictions = self._predictions(row["prediction"], named)
            if measurement is not None and predictions is not None:
                return Found(row["run"], measurement, predictions)
        return None

    def _predictions(self, number: int, named: str) -> Predictions | None:
        """Read predictions; None, with a warning, if they are not as written."""
        row = self._one("SELECT * FROM prediction WHERE id = ?", (number,))
        if row is None:
            return None
        content: bytes = row["content"]
        # Who shares a ledger may have written both the digest and what has it.
        with suppress(*_NO_PREDICTIONS):
            if hashlib.sha256(content).hexdigest() == row["digest"]:
                return decode_predictions(content)
        self._warn(f"what was predicted in {named}")
        return None

    def keys(self) -> list[str]:
        """List the digests of the keys that `measured` knows."""
        rows = self.read(
            "SELECT DISTINCT identity FROM result WHERE prediction IS NOT NULL"
        )
        return [row["identity"] for row in rows]

    def _one(self, query: str, values: Sequence[object]) -> sqlite3.Row | None:
        with self._explained():
            row: sqlite3.Row | None = self._connection.execute(query, values).fetchone()
            return row

    def _results(
        self, condition: str, values: Sequence[object]
    ) -> list[tuple[int, CaseResult]]:
        """Read results that meet an SQL condition, oldest first, each with its run."""
        rows = self.read_sealed(
            "result", f"result WHERE {condition} ORDER BY id", values
        )
        return [(row["run"], self.decoded(row, CaseResult)) for row in rows]


def existing_ledger(folder: Path | None) -> AbstractContextManager[Ledger | None]:
    """Open the ledger in a folder where there is one, to read it; else give None."""
    if folder is None or not (folder / FILE).is_file():
        return nullcontext()
    return Ledger(folder)


def _kept_once(connection: sqlite3.Connection, predictions: bytes) -> int:
    """Keep predictions; a night that predicts what the last one did keeps no more."""
    digest = hashlib.sha256(predictions).hexdigest()
    found = connection.execute("SELECT id FROM prediction WHERE digest = ?", (digest,))
    if row := found.fetchone():
        # What is there may have been damaged since.
        connection.execute(
            "UPDATE prediction SET content = ? WHERE id = ? AND content <> ?",
            (predictions, row["id"], predictions),
        )
        return int(row["id"])
    return insert(connection, "prediction", {"digest": digest, "content": predictions})
