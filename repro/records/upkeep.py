"""Join the runs that were parts of one, and keep the ledger small."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec

from repro.errors import LedgerError
from repro.files import at_home
from repro.records.identity import GitState
from repro.records.ledger import Ledger
from repro.records.predictions import encode_names
from repro.records.result import CaseResult, Run

_SHARD = "--repro-shard="
_DIVERGED_EXIT = "--repro-diverged-exit="
#: pytest's statuses of a run that was interrupted, broke or was called wrongly.
_BROKEN = (2, 3, 4)
_NOTHING_COLLECTED = 5
_FAILED = 1


class Part(msgspec.Struct, frozen=True):
    """A run in a ledger that is a part of another: `FOLDER` or `FOLDER:RUN`."""

    folder: Path
    run: str = "last"

    def __str__(self) -> str:
        return f"{self.folder}:{self.run}"


def parse_part(text: str) -> Part:
    """Read `FOLDER` or `FOLDER:RUN`."""
    folder, colon, run = text.rpartition(":")
    if colon and (run.isdecimal() or run in ("last", "green")):
        return Part(at_home(folder), run)
    return Part(at_home(text))


def lasting_arguments(shard: str | None, diverged_exit: int) -> list[str]:
    """Write what merging has to know as arguments, wherever it was given.

    Args:
        shard: which part of a run it is, if it is one.
        diverged_exit: exit status of a run in which a case or a claim diverges.
    """
    given = [f"{_SHARD}{shard}"] if shard else []
    is_own = diverged_exit != _FAILED
    return given + [f"{_DIVERGED_EXIT}{diverged_exit}"] * is_own


def merge_runs(parts: Sequence[Part], target: Ledger, *, incomplete: bool) -> int:
    """Write the results of several runs into a ledger as one run; give its number.

    All of it is written, or nothing, so that a merge that was killed can be done again.

    Args:
        parts: the runs; shards must be all there are.
        target: gets the new run; it may be the ledger that holds the parts.
        incomplete: take what there is of shards and of unfinished runs.

    Raises:
        LedgerError: parts do not belong together, or something is missing, or they were
            merged before.
    """
    with ExitStack() as stack:
        opened = [(p, stack.enter_context(Ledger(p.folder))) for p in parts]
        found = [(p, ledger, ledger.find_run(p.run)) for p, ledger in opened]
        _check([(part, run) for part, _, run in found], incomplete=incomplete)
        with target.transaction() as connection:
            # What does not fit into memory's pages would lock out who reads the parts,
            # which may lie in the same file.
            connection.execute("PRAGMA cache_spill = OFF")
            return _write(found, target)


def _write(found: Sequence[tuple[Part, Ledger, Run]], target: Ledger) -> int:
    results = [(part, ledger.results(run.id)) for part, ledger, run in found]
    _check_disjoint(results)
    first, *_ = runs = [run for _, _, run in found]
    number = target.begin(
        _uid(runs, target),
        sum(run.planned for run in runs),
        [
            *("merge", *(f"{part.folder}:{run.id}" for part, _, run in found)),
            *(f"{_DIVERGED_EXIT}{s}" for s in _given(runs, _DIVERGED_EXIT)),
        ],
        GitState(first.commit, "changed" if first.dirty else ""),
    )
    for (_, ledger, run), (_, content) in zip(found, results, strict=True):
        _copy(ledger, run, content, target, number)
    _close(target, number, runs)
    return number


def diverge(ledger: Ledger, run: Run) -> None:
    """Let a merged run that ended well have diverged, as a claim of it does."""
    status = max(map(int, _given([run], _DIVERGED_EXIT)), default=_FAILED)
    # A part that broke is no divergence, whatever claims say of the rest.
    with ledger.transaction() as connection:
        connection.execute(
            "UPDATE run SET exit_status = ? WHERE id = ? AND exit_status IN (0, ?)",
            (status, run.id, _FAILED),
        )


def merged_status(statuses: Iterable[int | None]) -> int:
    """Give the exit status that one run would have had; None is an unfinished one."""
    known = [2 if status is None else status for status in statuses]
    for broken in _BROKEN:
        if broken in known:
            return broken
    # A shard without any case ends with "nothing collected", which is no failure.
    failed = [status for status in known if status not in (0, _NOTHING_COLLECTED)]
    return max(failed, default=0)


def _check(found: Sequence[tuple[Part, Run]], *, incomplete: bool) -> None:
    # Parts of one run are one table: it must not say that code was measured which no
    # part of it was measured with.
    commits = {(run.commit, run.dirty) for _, run in found}
    if len(commits) > 1:
        raise LedgerError(
            "the parts were measured with different code: "
            + ", ".join(f"{part} at {run.commit[:10] or 'none'}" for part, run in found)
            + "; run them again from one commit"
        )
    if incomplete:
        return
    for part, run in found:
        if run.finished is None or run.cases < run.planned:
            raise LedgerError(
                f"{part} has results of {run.cases} of {run.planned} cases; run it "
                "again with --repro-resume, or merge what there is with --incomplete"
            )
    _check_shards([(part, _shard_of(run)) for part, run in found])


def _check_shards(shards: Sequence[tuple[Part, str | None]]) -> None:
    """Refuse shards of different runs, one twice, or one too few."""
    names = [shard for _, shard in shards if shard]
    if not names:
        return
    number = names[0].partition("/")[2]
    wanted = [f"{place}/{number}" for place in range(1, int(number) + 1)]
    missing = [shard for shard in wanted if shard not in names]
    if missing:
        raise LedgerError(
            f"the parts are shards {', '.join(sorted(names))}; {', '.join(missing)} "
            "is missing: add it, or merge what there is with --incomplete"
        )
    if len(names) != len(shards) or sorted(names) != sorted(wanted):
        listed = ", ".join(f"{part} is {shard or 'whole'}" for part, shard in shards)
        raise LedgerError(f"the parts are not shards of one run: {listed}")


def _check_disjoint(results: Iterable[tuple[Part, Sequence[CaseResult]]]) -> None:
    seen: dict[str, Part] = {}
    for part, content in results:
        for result in content:
            # One part may have a case several times, measured with other settings.
            if seen.get(result.id, part) is not part:
                raise LedgerError(
                    f"{result.id} is in {seen[result.id]} and in {part}; name runs "
                    "that have no case in common"
                )
            seen[result.id] = part


def _shard_of(run: Run) -> str | None:
    given = _given([run], _SHARD)
    return given[-1] if given else None


def _given(runs: Iterable[Run], option: str) -> list[str]:
    """List the values of an option in the arguments of runs, each once."""
    found = [text for run in runs for text in run.arguments]
    values = [text.removeprefix(option) for text in found if text.startswith(option)]
    return list(dict.fromkeys(values))


def _uid(runs: Iterable[Run], target: Ledger) -> str:
    """Name the merged run after its parts, and refuse to merge them twice."""
    # Sorted, so that the same parts in another order are known again.
    joined = "\n".join(sorted(run.uid for run in runs))
    uid = hashlib.sha256(joined.encode()).hexdigest()[:32]
    if known := target.read("SELECT id FROM run WHERE uid = ?", (uid,)):
        raise LedgerError(
            f"these parts are run {known[0]['id']} of {target.file} already; "
            "show it with 'repro show'"
        )
    return uid


def _copy(
    source: Ledger, run: Run, results: Iterable[CaseResult], target: Ledger, number: int
) -> None:
    for result in results:
        predictions = None
        if result.measurement:
            key = result.measurement.key
            predictions = source.predictions(run.id, result.id, key)
            fingerprint = result.measurement.dataset_fingerprint
            if (names := source.names(fingerprint)) and not target.names(fingerprint):
                target.record_names(fingerprint, encode_names(names))
        target.record(number, result, predictions)
    target.record_unrun(number, source.unrun(run.id))
    for claim in source.claims(run.id):
        target.record_claim(number, claim)


def _close(target: Ledger, number: int, runs: Sequence[Run]) -> None:
    """Give the merged run the times of its parts."""
    started = min(run.started for run in runs)
    ends = [run.finished for run in runs]
    # Where one part was killed, the whole has not ended either.
    finished = None if None in ends else max(filter(None, ends)).timestamp()
    status = merged_status(run.exit_status for run in runs)
    with target.transaction() as connection:
        connection.execute(
            "UPDATE run SET started = ?, finished = ?, exit_status = ? WHERE id = ?",
            (started.timestamp(), finished, status, number),
        )


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
