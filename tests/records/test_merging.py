"""Merged runs are whole or not there, whenever the merge is killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from repro.errors import LedgerError
from repro.records.environment import GitState
from repro.records.ledger import Ledger
from repro.records.merging import (
    Part,
    lasting_arguments,
    merge_runs,
    merged_status,
)
from repro.records.run import Run

from ..made_results import predictions, result

NAMES = ("1M", "2M", "4M", "8M")


def write(folder: Path, *runs: tuple[str, ...]) -> None:
    with Ledger(folder, create=True) as ledger:
        for number, names in enumerate(runs):
            run = ledger.begin(f"{folder}-{number}", len(names), [], GitState())
            for seed, name in enumerate(names):
                ledger.record(run, result(name), predictions(seed=seed))
            ledger.finish(run, 0)


def merge(parts: list[Part], folder: Path) -> list[str]:
    with Ledger(folder, create=True) as target:
        run = merge_runs(parts, target, incomplete=False)
        for found in target.results(run):
            key = found.measurement.key if found.measurement else ""
            assert target.predictions(run, found.id, key) is not None
        return [found.checkpoint for found in target.results(run)]


def _merge_and_die(parts: list[Part], folder: Path, cases: int) -> None:
    record, done = Ledger.record, 0

    def dying(*arguments: Any) -> None:
        nonlocal done
        record(*arguments)
        done += 1
        if done == cases:
            os.kill(os.getpid(), signal.SIGKILL)

    Ledger.record = dying  # type: ignore[method-assign, assignment]
    merge(parts, folder)


@pytest.mark.parametrize("cases", [1, 2, 3, 4])
def test_a_merge_that_was_killed_leaves_nothing_and_can_be_done_again(
    tmp_path: Path, cases: int
) -> None:
    write(tmp_path / "a", NAMES[:2])
    write(tmp_path / "b", NAMES[2:])
    parts = [Part(tmp_path / "a"), Part(tmp_path / "b")]
    target = tmp_path / "joined"
    given = parts, target, cases
    killed = multiprocessing.get_context("fork").Process(
        target=_merge_and_die, args=given
    )
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    with Ledger(target) as ledger:
        assert ledger.runs() == []
    assert merge(parts, target) == list(NAMES)


def test_parts_may_lie_in_the_ledger_that_they_are_merged_into(tmp_path: Path) -> None:
    write(tmp_path, NAMES[:2], NAMES[2:])
    parts = [Part(tmp_path, "1"), Part(tmp_path, "2")]
    assert merge(parts, tmp_path) == list(NAMES)


def part(folder: Path, names: tuple[str, ...], **how: Any) -> Part:
    """Write a run of these cases, which may be a shard or not be finished."""
    with Ledger(folder, create=True) as ledger:
        arguments = lasting_arguments(how.get("shard"), how.get("diverged_exit", 1))
        planned = how.get("planned", len(names))
        state = how.get("state", GitState("0123456789abcdef", ""))
        run = ledger.begin(str(folder), planned, arguments, state)
        for name in names:
            ledger.record(run, result(name))
        if how.get("is_finished", True):
            ledger.finish(run, how.get("status", 0))
    return Part(folder)


def joined(folder: Path, *parts: Part, incomplete: bool = False) -> Run:
    with Ledger(folder, create=True) as target:
        number = merge_runs(parts, target, incomplete=incomplete)
        return target.find_run(str(number))


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ((0, 0), 0),
        ((0, 5), 0),
        ((0, 1), 1),
        ((1, 10), 10),
        ((10, 2), 2),
        ((3, 4), 3),
        ((4, 10), 4),
        ((0, None), 2),
        ((), 0),
    ],
)
def test_a_merged_run_ends_as_one_run_would_have(
    statuses: tuple[int | None, ...], expected: int
) -> None:
    assert merged_status(statuses) == merged_status(statuses[::-1]) == expected


def test_only_what_is_not_usual_is_kept_of_how_a_part_was_called() -> None:
    assert lasting_arguments(None, 1) == []
    assert lasting_arguments("1/2", 1) == ["--repro-shard=1/2"]
    assert lasting_arguments(None, 10) == ["--repro-diverged-exit=10"]


@pytest.mark.parametrize("dirty", ["", "changed"])
def test_a_merged_run_has_the_times_and_the_code_of_its_parts(
    tmp_path: Path, dirty: str
) -> None:
    state = GitState("0123456789abcdef", dirty)
    parts = [
        part(tmp_path / name, (names,), state=state, diverged_exit=10)
        for name, names in (("a", "1M"), ("b", "2M"))
    ]
    runs = []
    for one in parts:
        with Ledger(one.folder) as ledger:
            runs.append(ledger.find_run("last"))
    found = joined(tmp_path / "joined", *parts)
    assert found.started == min(run.started for run in runs)
    assert found.finished == max(run.finished for run in runs if run.finished)
    assert (found.commit, found.dirty) == (state.commit, bool(dirty))
    assert "--repro-diverged-exit=10" in found.arguments


def test_what_has_not_ended_is_merged_where_that_is_asked_for(tmp_path: Path) -> None:
    whole = part(tmp_path / "a", ("1M",))
    cut = part(tmp_path / "b", ("2M",), planned=2, is_finished=False)
    with pytest.raises(LedgerError, match="has results of 1 of 2 cases"):
        joined(tmp_path / "joined", whole, cut)
    found = joined(tmp_path / "joined", whole, cut, incomplete=True)
    assert found.finished is None
    assert found.exit_status == 2


@pytest.mark.parametrize(
    ("shards", "said"),
    [
        (("1/2", "2/2"), ""),
        ((None, None), ""),
        (("1/3", "2/3"), "3/3 is missing"),
        (("1/2", "2/2", "2/2"), "not shards of one run"),
        (("1/2", "2/2", None), "not shards of one run"),
        (("1/2", "2/2", "3/3"), "not shards of one run"),
    ],
)
def test_shards_are_merged_where_they_are_all_of_one_run(
    tmp_path: Path, shards: tuple[str | None, ...], said: str
) -> None:
    parts = [
        part(tmp_path / str(number), (NAMES[number],), shard=shard)
        for number, shard in enumerate(shards)
    ]
    if said:
        with pytest.raises(LedgerError, match=said):
            joined(tmp_path / "joined", *parts)
    else:
        assert joined(tmp_path / "joined", *parts).cases == len(parts)


def test_parts_of_different_code_are_refused(tmp_path: Path) -> None:
    first = part(tmp_path / "a", ("1M",))
    other = part(tmp_path / "b", ("2M",), state=GitState("fedcba9876543210", ""))
    with pytest.raises(LedgerError, match=r"a:last at 0123456789, .*at fedcba9876;"):
        joined(tmp_path / "joined", first, other)
