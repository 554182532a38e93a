"""Merged runs are whole or not there, whenever the merge is killed."""

from __future__ import annotations

import hashlib
import itertools
import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from repro.claims.result import ClaimVerdict
from repro.errors import LedgerError
from repro.judgement.verdict import Verdict
from repro.records.identity import GitState
from repro.records.ledger import Ledger
from repro.records.predictions import ImageNames, encode_names
from repro.records.result import Run
from repro.records.upkeep import (
    Part,
    diverge,
    lasting_arguments,
    merge_runs,
    merged_status,
    parse_part,
)

from ..made_results import made_claim, measurement, predictions, result

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


@pytest.mark.parametrize(
    ("planned", "is_finished"), [(1, False), (2, True), (2, False)]
)
def test_what_has_not_ended_is_merged_where_that_is_asked_for(
    tmp_path: Path, planned: int, is_finished: bool
) -> None:
    whole = part(tmp_path / "a", ("1M",))
    cut = part(tmp_path / "b", ("2M",), planned=planned, is_finished=is_finished)
    with pytest.raises(LedgerError, match=f"has results of 1 of {planned} cases"):
        joined(tmp_path / "joined", whole, cut)
    found = joined(tmp_path / "joined", whole, cut, incomplete=True)
    assert (found.finished is not None) is is_finished
    assert found.exit_status == (0 if is_finished else 2)
    assert (found.cases, found.planned) == (2, planned + 1)


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


def test_the_same_part_twice_is_refused(tmp_path: Path) -> None:
    one = part(tmp_path / "a", ("1M",))
    with pytest.raises(LedgerError, match=r"1M@plain is in .*a:last and in .*a:last"):
        joined(tmp_path / "joined", one, Part(one.folder))


@pytest.mark.parametrize(
    ("text", "folder", "run"),
    [
        ("a", "a", "last"),
        ("a:12", "a", "12"),
        ("a:last", "a", "last"),
        ("a:green", "a", "green"),
        ("a:b", "a:b", "last"),
        ("a:b:3", "a:b", "3"),
        ("7", "7", "last"),
        ("last", "last", "last"),
        ("a:-1", "a:-1", "last"),
        ("~/a:1", str(Path("~/a").expanduser()), "1"),
        ("~/a", str(Path("~/a").expanduser()), "last"),
    ],
)
def test_a_part_is_a_folder_and_perhaps_a_run(text: str, folder: str, run: str) -> None:
    assert parse_part(text) == Part(Path(folder), run)


def test_parts_are_merged_once_in_whatever_order(tmp_path: Path) -> None:
    parts = [part(tmp_path / name, (f"{n}M",)) for n, name in enumerate("abc", start=1)]
    first = joined(tmp_path / "joined", *parts)
    assert (first.planned, first.cases) == (3, 3)
    assert first.arguments == ("merge", *(f"{p.folder}:1" for p in parts))
    # As versions before and after name it, so that each knows what the other merged.
    joined_names = "\n".join(str(one.folder) for one in parts)
    assert first.uid == hashlib.sha256(joined_names.encode()).hexdigest()[:32]
    for again in itertools.permutations(parts):
        with pytest.raises(LedgerError, match=r"these parts are run 1 of .*show"):
            joined(tmp_path / "joined", *again)
    assert joined(tmp_path / "joined", *parts[:2]).id == 2
    # One part is what is left where the others were lost.
    assert joined(tmp_path / "joined", parts[0]).cases == 1


@pytest.mark.parametrize("status", [0, 1, 2, 3, 4, 5, None])
@pytest.mark.parametrize("exits", [(), (1,), (10,), (10, 1, 20)])
def test_a_merged_run_diverges_where_it_did_not_break(
    tmp_path: Path, status: int | None, exits: tuple[int, ...]
) -> None:
    given = [text for one in exits for text in lasting_arguments(None, one)]
    with Ledger(tmp_path, create=True) as ledger:
        other = ledger.begin("other", 0, given, GitState())
        ledger.finish(other, 0)
        number = ledger.begin("merged", 0, given, GitState())
        if status is not None:
            ledger.finish(number, status)
        diverge(ledger, ledger.find_run(str(number)))
        found = ledger.find_run(str(number)).exit_status
        assert found == (max(exits, default=1) if status in (0, 1) else status)
        assert ledger.find_run(str(other)).exit_status == 0


def test_all_that_a_part_has_is_in_the_merged_run(tmp_path: Path) -> None:
    names = {letter: ImageNames((f"{letter}/1.png",), (letter,)) for letter in "ab"}
    parts, claims = [], []
    for letter, encoded in names.items():
        part = Part(tmp_path / letter)
        with Ledger(part.folder, create=True) as ledger:
            run = ledger.begin(letter, 2, [], GitState())
            ledger.record_names(letter * 64, encode_names(encoded))
            measured = measurement(key=letter, dataset_fingerprint=letter * 64)
            made = result(f"{ord(letter)}M", measurement=measured)
            ledger.record(run, made, predictions(seed=ord(letter)))
            ledger.record(run, result(f"{ord(letter)}0M", Verdict.NOT_RUN))
            ledger.record_unrun(run, [result(f"{ord(letter)}1M", Verdict.NOT_RUN)])
            claim = made_claim(ClaimVerdict.HOLDS)
            claims.append(msgspec.structs.replace(claim, id=letter))
            ledger.record_claim(run, claims[-1])
            ledger.finish(run, 0)
        parts.append(part)
    found = joined(tmp_path / "joined", *parts)
    with Ledger(tmp_path / "joined") as target:
        checkpoints = [one.checkpoint for one in target.results(found.id)]
        assert checkpoints == ["97M", "970M", "98M", "980M"]
        assert target.claims(found.id) == claims
        unrun = [one.checkpoint for one in target.unrun(found.id)]
        assert unrun == ["971M", "981M"]
        for letter, kept in names.items():
            assert target.names(letter * 64) == kept
            case = result(f"{ord(letter)}M").id
            again = target.predictions(found.id, case, letter)
            assert again
            same = predictions(seed=ord(letter)).classes[:, 0]
            assert again.classes[:, 0].tolist() == same.tolist()
    # What a target has already of images stays.
    other = ImageNames(("a/2.png",), ("a",))
    with Ledger(tmp_path / "other", create=True) as target:
        target.record_names("a" * 64, encode_names(other))
        merge_runs(parts, target, incomplete=False)
        assert target.names("a" * 64) == other
        assert target.names("b" * 64) == names["b"]


def test_a_merged_run_lasts_from_its_first_beginning_to_its_last_end(
    tmp_path: Path,
) -> None:
    parts = [part(tmp_path / name, (f"{n}M",)) for n, name in enumerate("abc", start=1)]
    times = {"a": (20, 50), "b": (10, 30), "c": (40, 45)}
    for one in parts:
        with Ledger(one.folder) as ledger, ledger.transaction() as connection:
            update = "UPDATE run SET started = ?, finished = ?"
            connection.execute(update, times[one.folder.name])
    found = joined(tmp_path / "joined", *parts)
    assert found.finished
    assert (found.started.timestamp(), found.finished.timestamp()) == (10, 50)


def test_more_results_than_cases_are_whole(tmp_path: Path) -> None:
    # A case that was asked for in two ways has two.
    parts = part(tmp_path / "a", ("1M", "2M"), planned=1), part(tmp_path / "b", ("4M",))
    assert joined(tmp_path / "joined", *parts).cases == 3


def test_of_several_shards_that_were_asked_for_the_last_counts(tmp_path: Path) -> None:
    with Ledger(tmp_path / "a", create=True) as ledger:
        given = [f"--repro-shard={shard}" for shard in ("1/3", "2/2", "1/2")]
        run = ledger.begin("a", 1, given, GitState("0123456789abcdef", ""))
        ledger.record(run, result("1M"))
        ledger.finish(run, 0)
    other = part(tmp_path / "b", ("2M",), shard="2/2")
    assert joined(tmp_path / "joined", Part(tmp_path / "a"), other).cases == 2
