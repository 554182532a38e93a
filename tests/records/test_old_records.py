"""What a record does not say means what it meant when it was written."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec
import pytest

from repro.cases import list_cases
from repro.errors import LedgerError
from repro.judgement.verdict import Verdict
from repro.published import EMBEDDED, read_releases
from repro.records.identity import Asked, Environment, GitState, asked
from repro.records.ledger import Ledger
from repro.records.result import CaseResult, Measurement, Run

from ..made_results import ENVIRONMENT, measurement, result


def without(made: msgspec.Struct, *names: str) -> msgspec.Struct:
    """Read a record of a version that did not know these fields."""
    fields = msgspec.to_builtins(made)
    kept = {name: value for name, value in fields.items() if name not in names}
    return msgspec.convert(kept, type(made))


def test_a_measurement_of_before_was_of_all_images_by_one_process() -> None:
    later = (
        *("key", "conditions", "intervals", "stopped_early", "workers"),
        *("calibration_error", "accelerations", "weights_read", "images_assumed"),
        "guarded",
    )
    made = measurement(
        key="k", conditions="c", workers=8, stopped_early=True, calibration_error=0.5
    )
    found = without(made, *later)
    assert isinstance(found, Measurement)
    assert (found.key, found.conditions, found.intervals) == ("", "", {})
    assert (found.stopped_early, found.workers) == (False, 1)
    assert (found.calibration_error, found.guarded) == (None, None)
    assert (found.accelerations, found.weights_read) == ((), ())
    assert found.images_assumed == ()
    assert not found.is_guarded
    assert found.is_complete


def test_a_result_of_before_was_asked_for_in_an_unknown_way() -> None:
    later = ("asked", "since", "diagnosis", "kind", "test", "lacking", "remedy")
    found = without(result(asked=Asked(digest="d"), test="t", lacking="l"), *later)
    assert isinstance(found, CaseResult)
    assert found.asked == Asked() == Asked(settings={}, digest="")
    assert (found.since, found.diagnosis, found.kind) == (None, None, None)
    assert (found.test, found.lacking, found.remedy) == ("", "", "")


def test_an_environment_of_before_had_no_changes_of_its_own() -> None:
    dirty = msgspec.structs.replace(ENVIRONMENT, dirty=True)
    found = without(dirty, "dirty", "commit", "cuda", "driver")
    assert isinstance(found, Environment)
    assert found.commit is found.cuda is found.driver is None
    assert not found.dirty


def test_what_was_asked_is_written_in_words() -> None:
    case = list_cases(read_releases([EMBEDDED]))[0]
    chosen = {"names": ["a", "b"], "one": ("a",), "none": [], "number": 3, "off": None}
    found = asked(case, {}, chosen)
    assert found.settings == {
        "names": "a, b",
        "one": "a",
        "none": "none",
        "number": "3",
        "off": "None",
    }
    assert asked(case, {}, {}).digest == found.digest
    assert asked(case, {"a": 1}, {}).digest != found.digest


def finished(ledger: Ledger, uid: str, planned: int, *results: CaseResult) -> Run:
    run = ledger.begin(uid, planned, [], GitState())
    for one in results:
        ledger.record(run, one)
    ledger.finish(run, 0)
    return ledger.find_run(str(run))


@pytest.mark.parametrize(("planned", "is_green"), [(1, True), (2, True), (3, False)])
def test_a_run_is_green_where_no_planned_case_lacks_a_result(
    tmp_path: Path, planned: int, is_green: bool
) -> None:
    with Ledger(tmp_path, create=True) as ledger:
        # One case in two ways has two results.
        ways = [result(asked=Asked(digest=way)) for way in "ab"]
        assert finished(ledger, "a", planned, *ways).is_green is is_green


def test_runs_that_are_not_neighbours_have_counts_of_their_own(tmp_path: Path) -> None:
    with Ledger(tmp_path, create=True) as ledger:
        first = finished(ledger, "a", 1, result("1M"))
        finished(ledger, "b", 2, result("2M"), result("4M"))
        third = finished(ledger, "c", 2, result("1M", Verdict.BELOW), result("2M"))
        found = [run for run, _ in ledger.history(result("1M").id)]
    assert found == [first, third]
    assert [run.counts for run in found] == [
        {Verdict.REPRODUCED: 1},
        {Verdict.REPRODUCED: 1, Verdict.BELOW: 1},
    ]
    # In the order of the verdicts, whatever came first.
    assert list(found[1].counts) == [Verdict.REPRODUCED, Verdict.BELOW]


def test_a_file_that_is_no_ledger_is_closed_again(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").write_bytes(b"no database " * 100)
    before = len([*Path("/proc/self/fd").iterdir()])
    # As long as the error is at hand, so is all that it passed through.
    with pytest.raises(LedgerError) as caught:
        Ledger(tmp_path)
    assert len([*Path("/proc/self/fd").iterdir()]) == before
    assert "cannot be used" in str(caught.value)


def test_another_thread_may_record(tmp_path: Path) -> None:
    # Folders above it need not be there either.
    with Ledger(tmp_path / "a" / "b", create=True) as ledger:
        done: list[Run] = []
        thread = threading.Thread(
            target=lambda: done.append(finished(ledger, "a", 1, result()))
        )
        thread.start()
        thread.join()
        assert done == ledger.runs()
