"""Merged runs are whole or not there, whenever the merge is killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from repro.records.environment import GitState
from repro.records.ledger import Ledger
from repro.records.merging import Part, merge_runs

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
