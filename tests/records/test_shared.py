"""Workers of one run measure a case once, and leave it for each other."""

from __future__ import annotations

import multiprocessing
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from repro.cases import list_cases
from repro.evaluation.predictions import Predictions
from repro.published import EMBEDDED, GUARDED, read_releases
from repro.records.identity import GitState, MeasurementKey, measurement_key
from repro.records.predictions import ImageNames, RunFolder, decode_names
from repro.records.result import Measurement

from ..made_results import ENVIRONMENT, measurement, predictions

CASE = list_cases(read_releases([EMBEDDED]))[0]


def key(precision: str = "fp32", *, may_end_early: bool = False) -> MeasurementKey:
    return measurement_key(
        CASE,
        {"precision": precision},
        model_files=(),
        weights_sha256="ab" * 32,
        dataset_fingerprint="cd" * 32,
        environment=ENVIRONMENT,
        may_end_early=may_end_early,
        code=GitState(),
    )


def counted(
    of: MeasurementKey, seed: int, calls: list[int]
) -> Callable[[], tuple[Measurement, Predictions]]:
    """Give what measures a case, and notes that it did."""

    def measure() -> tuple[Measurement, Predictions]:
        calls.append(seed)
        made = predictions(seed=seed)
        return measurement(made.metrics(), key=of.digest), made

    return measure


def test_a_case_is_measured_once_in_a_run(tmp_path: Path) -> None:
    folder, calls, whole = tmp_path / "run-1", list[int](), key()
    for seed in (1, 2):
        # As two workers have it: each has an object of its own.
        found, made = RunFolder(folder).measure_once(whole, counted(whole, seed, calls))
        assert found.metrics == made.metrics() == predictions(seed=1).metrics()
        assert (made.losses == predictions(seed=1).losses).all()
    assert calls == [1]
    other = key("bf16")
    RunFolder(folder).measure_once(other, counted(other, 3, calls))
    again = RunFolder(tmp_path / "run-2")
    again.measure_once(whole, counted(whole, 4, calls))
    assert calls == [1, 3, 4]
    kept = RunFolder(folder).predictions(whole.digest)
    assert kept
    assert (kept.losses == predictions(seed=1).losses).all()
    assert RunFolder(folder).predictions("another") is None


@pytest.mark.parametrize(
    ("kept", "asked", "is_enough"),
    [
        (key(), key(may_end_early=True), True),
        (key(may_end_early=True), key(), False),
        (key(may_end_early=True), key(may_end_early=True), True),
        (key(), key(GUARDED), True),
        (key(), key(GUARDED, may_end_early=True), True),
        (key(GUARDED), key(), False),
        (key("bf16"), key(GUARDED), False),
    ],
)
def test_what_decides_as_much_serves_too(
    tmp_path: Path, kept: MeasurementKey, asked: MeasurementKey, is_enough: bool
) -> None:
    folder, calls = RunFolder(tmp_path / "run-1"), list[int]()
    folder.measure_once(kept, counted(kept, 1, calls))
    found, _ = folder.measure_once(asked, counted(asked, 2, calls))
    assert calls == ([1] if is_enough else [1, 2])
    assert found.key == (kept if is_enough else asked).digest


def test_a_measurement_in_the_same_arithmetic_serves_first(tmp_path: Path) -> None:
    folder, calls = RunFolder(tmp_path / "run-1"), list[int]()
    for seed, each in enumerate((key(GUARDED), key())):
        folder.measure_once(each, counted(each, seed, calls))
    asked = key(GUARDED, may_end_early=True)
    found, _ = folder.measure_once(asked, counted(asked, 9, calls))
    assert (found.key, calls) == (key(GUARDED).digest, [0, 1])


def test_what_a_killed_worker_left_half_is_measured_again(tmp_path: Path) -> None:
    folder, calls, whole = tmp_path / "run-1", list[int](), key()
    RunFolder(folder).measure_once(whole, counted(whole, 1, calls))
    (folder / f"{whole.digest}.json").unlink()
    RunFolder(folder).measure_once(whole, counted(whole, 2, calls))
    assert calls == [1, 2]


def _hold(folder: Path, ready: multiprocessing.synchronize.Event) -> None:
    def measure() -> tuple[Measurement, Predictions]:
        ready.set()
        for _ in range(1000):
            if (folder / "waiting").exists():
                break
        return counted(key(), 1, [])()

    RunFolder(folder).measure_once(key(), measure)


def test_a_worker_waits_for_one_that_measures_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "run-1"
    fork = multiprocessing.get_context("fork")
    ready = fork.Event()
    other = fork.Process(target=_hold, args=(folder, ready))
    other.start()
    assert ready.wait(20)
    calls: list[int] = []
    early = key(may_end_early=True)
    found, _ = RunFolder(folder).measure_once(early, counted(early, 2, calls))
    other.join()
    assert (found.key, calls) == (key().digest, [])


def test_names_are_left_once_and_as_the_ledger_keeps_them(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "runs" / "run-1")
    names = ImageNames(("0/a.png",), ("0",), ("d" * 32,))
    assert folder.names("print") is None
    folder.share_names("print", lambda: names)

    def again() -> ImageNames:
        raise AssertionError("they are there")

    folder.share_names("print", again)
    encoded = folder.names("print")
    assert encoded
    assert decode_names(encoded) == names
    folder.share_names("other", lambda: msgspec.structs.replace(names, files=()))
    assert folder.names("print") == encoded != folder.names("other")


def open_files() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


def test_a_folder_is_for_nobody_else_and_goes_with_its_run(tmp_path: Path) -> None:
    claimed, measured = tmp_path / "runs" / "run-1", tmp_path / "others" / "run-2"
    owner = RunFolder(claimed)
    owner.claim()
    RunFolder(measured).measure_once(key(), counted(key(), 1, []))
    for folder in (claimed, measured):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((claimed / "owner.lock").stat().st_mode) == 0o600
    before = open_files()
    owner.remove()
    assert not claimed.exists()
    assert open_files() == before - 1
    # Removed twice, as after an error; one that was never claimed has no lock.
    owner.remove()
    RunFolder(measured).remove()
    assert not measured.exists()


@pytest.mark.parametrize(("seconds", "is_left"), [(59.5, True), (60.5, False)])
def test_a_folder_is_abandoned_when_nobody_has_locked_it_for_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, is_left: bool
) -> None:
    left, other = tmp_path / "a-run-1", tmp_path / "b-run-1"
    for folder in (left, other):
        folder.mkdir()
        os.utime(folder, (1e9, 1e9))
    monkeypatch.setattr(time, "time", lambda: 1e9 + seconds)
    mine = RunFolder(tmp_path / "a-run-2")
    mine.claim()
    monkeypatch.undo()
    assert left.exists() is is_left
    # Of other runs, such as those of another user, it is not ours.
    assert other.exists()
    before = open_files()
    for number in range(5):
        RunFolder(tmp_path / f"a-run-{number + 3}").claim()
    # Five of its own, and none of those that it looked at.
    assert open_files() == before + 5


def test_a_folder_that_a_worker_made_first_is_claimed_too(tmp_path: Path) -> None:
    folder = tmp_path / "run-1"
    folder.mkdir()
    before = open_files()
    RunFolder(folder).claim()
    assert open_files() == before + 1


def test_where_no_folder_can_be_made_a_run_goes_on_without(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    mine = RunFolder(tmp_path / "file" / "run-1")
    mine.claim()
    mine.remove()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_folder_whose_lock_cannot_be_opened_is_left_to_others(tmp_path: Path) -> None:
    theirs = tmp_path / "a-run-1"
    (theirs / "owner.lock").mkdir(parents=True)
    os.utime(theirs, (1e9, 1e9))
    before = open_files()
    mine = RunFolder(tmp_path / "a-run-2")
    mine.claim()
    assert theirs.exists()
    assert open_files() == before + 1
    mine.remove()
