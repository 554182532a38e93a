from __future__ import annotations

import hashlib
import io
import itertools
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from repro.claims.result import ClaimResult, ClaimVerdict
from repro.cli import cli
from repro.errors import LedgerError
from repro.files import DamageWarning
from repro.judgement.verdict import Verdict
from repro.planning.costs import load_timings
from repro.records.identity import Asked, GitState
from repro.records.ledger import FILE, Ledger, existing_ledger
from repro.records.past import past_of
from repro.records.predictions import ImageNames, encode_names, encode_predictions
from repro.records.result import CaseResult
from repro.records.schema import SEALED, VERSION, seal, version_of

from ..conftest import Often
from ..made_results import measurement, predictions, result

HERE = Path(__file__).parent
CODE = GitState("0123abcd", "changed")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / ".repro", create=True) as opened:
        yield opened


def begin(ledger: Ledger, uid: str = "first", planned: int = 2) -> int:
    return ledger.begin(uid, planned, ["-k", "real"], CODE)


def keyed(one: CaseResult) -> CaseResult:
    if one.measurement is None:
        return one
    measured = msgspec.structs.replace(one.measurement, key=f"key of {one.id}")
    return msgspec.structs.replace(one, measurement=measured)


def run_of(ledger: Ledger, uid: str, *results: CaseResult, status: int = 0) -> int:
    run = begin(ledger, uid, planned=len(results))
    for one in results:
        ledger.record(run, keyed(one), predictions())
    ledger.finish(run, status)
    return run


def test_results_come_back_as_they_were(ledger: Ledger) -> None:
    given = [
        result("1M"),
        result("2M", Verdict.BELOW, difference=-0.3, reason="The labels, likely."),
        result("4M", Verdict.NOT_RUN),
        result("8M", Verdict.UNREFERENCED, comparisons=()),
        result("16M", Verdict.INCONCLUSIVE, measurement=measurement(total=60_000)),
    ]
    run = run_of(ledger, "first", *given)
    assert ledger.results(run) == [keyed(one) for one in given]


def test_a_run_comes_back_with_its_counts(ledger: Ledger) -> None:
    run_of(ledger, "a", result("1M"), result("2M", Verdict.ABOVE), status=1)
    (run,) = ledger.runs()
    assert run.counts == {Verdict.REPRODUCED: 1, Verdict.ABOVE: 1}
    assert (run.cases, run.planned, run.exit_status) == (2, 2, 1)
    assert (run.commit, run.dirty) == ("0123abcd", True)
    assert run.arguments == ("-k", "real")
    assert run.finished is not None
    assert run.finished >= run.started


def test_a_case_is_kept_before_its_run_ends(ledger: Ledger, tmp_path: Path) -> None:
    run = begin(ledger)
    ledger.record(run, result())
    with Ledger(tmp_path / ".repro") as other:
        assert other.results(run) == [result()]
        assert other.runs()[0].finished is None


def test_the_last_result_of_a_case_counts(ledger: Ledger) -> None:
    run = begin(ledger)
    ledger.record(run, result(verdict=Verdict.NOT_RUN))
    ledger.record(run, result())
    assert ledger.results(run) == [result()]


def test_the_folder_is_hidden_from_git(ledger: Ledger) -> None:
    assert (ledger.file.parent / ".gitignore").read_text() == "*\n"


def test_runs_are_found_by_number_and_by_name(ledger: Ledger) -> None:
    green = run_of(ledger, "a", result())
    red = run_of(ledger, "b", result(verdict=Verdict.BELOW), status=1)
    assert ledger.find_run("last").id == red
    assert ledger.find_run("green").id == green
    assert ledger.find_run(str(green)).id == green
    assert ledger.find_run("last", before=red).id == green
    with ledger.transaction() as connection:
        connection.execute("UPDATE sqlite_sequence SET seq = 998 WHERE name = 'run'")
    assert run_of(ledger, "c", result()) == 999
    assert ledger.find_run("999").id == 999


def test_a_green_run_is_the_last_of_those_with_most_of_the_wanted_cases(
    ledger: Ledger,
) -> None:
    night = [result(f"{number}M") for number in range(1, 6)]
    run_of(ledger, "night", *night)
    last_night = run_of(ledger, "last night", *night)
    noon = run_of(ledger, "noon", *night[:2])
    other = run_of(ledger, "other", result("64M"))
    run_of(ledger, "red", *night, result("6M", Verdict.BELOW), status=1)
    assert ledger.find_run("green").id == other
    tonight = {one.id for one in (*night, result("new"))}
    assert ledger.find_run("green", cases=tonight).id == last_night
    assert ledger.find_run("green", cases=[night[1].id]).id == noon
    with pytest.raises(LedgerError, match="has no run 'green'"):
        ledger.find_run("green", cases=["no/such@case"])


@pytest.mark.parametrize("text", ["0", "9", "-1", "first", ""])
def test_a_run_that_is_not_there_is_an_error(ledger: Ledger, text: str) -> None:
    run_of(ledger, "a", result())
    with pytest.raises(LedgerError, match=r"has no run .*; give a number up to 1, "):
        ledger.find_run(text)


@pytest.mark.parametrize(
    ("results", "status"),
    [
        ((), 0),
        ((result(verdict=Verdict.UNREFERENCED),), 0),
        ((result(), result("2M", Verdict.NOT_RUN)), 0),
        ((result(), result("2M", Verdict.INCONCLUSIVE)), 0),
        ((result(),), 2),
    ],
)
def test_a_run_that_settles_less_than_all_is_not_green(
    ledger: Ledger, results: tuple[CaseResult, ...], status: int
) -> None:
    run_of(ledger, "a", *results, status=status)
    with pytest.raises(LedgerError):
        ledger.find_run("green")


FINE = (Verdict.REPRODUCED, Verdict.EXPECTED_DIVERGENCE, Verdict.UNREFERENCED)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_run_is_green_where_one_case_is_met_and_no_other_is_off(
    ledger: Ledger, number: int
) -> None:
    for verdicts in itertools.combinations(Verdict, number):
        names = [f"{place}M" for place in range(number)]
        results = map(result, names, verdicts)
        run = run_of(ledger, " and ".join(verdicts), *results)
        is_green = Verdict.REPRODUCED in verdicts and {*verdicts} <= {*FINE}
        assert ledger.find_run(str(run)).is_green is is_green, verdicts
    assert ledger.find_run("last").cases == number


def test_a_ledger_is_read_where_there_is_one(ledger: Ledger, tmp_path: Path) -> None:
    run_of(ledger, "a", result())
    with existing_ledger(ledger.file.parent) as found:
        assert found is not None
        assert len(found.runs()) == 1
    for folder in (None, tmp_path / "no"):
        with existing_ledger(folder) as none:
            assert none is None
    assert not (tmp_path / "no").exists()


def test_an_unfinished_run_is_not_green(ledger: Ledger) -> None:
    ledger.record(begin(ledger, planned=1), result())
    with pytest.raises(LedgerError):
        ledger.find_run("green")


def test_history_lists_a_case_oldest_first(ledger: Ledger) -> None:
    for number in range(4):
        moved = result(difference=number / 1000)
        run_of(ledger, str(number), moved, result("2M"))
    found = ledger.history(result().id, limit=3)
    assert [run.id for run, _ in found] == [2, 3, 4]
    assert [one.comparisons[0].difference for _, one in found] == [0.001, 0.002, 0.003]
    whole = ledger.history(result().id)
    assert [run.id for run, _ in whole] == [1, 2, 3, 4]
    assert [run.id for run in ledger.runs(2)] == [4, 3]
    assert whole[1:] == found
    assert ledger.history("no/such@case") == []
    assert ledger.cases() == ["supervised/real/1M@plain", "supervised/real/2M@plain"]


def test_history_counts_runs_and_not_results(ledger: Ledger) -> None:
    for number in range(3):
        asked = [result(asked=Asked(digest=name)) for name in "ab"]
        run_of(ledger, str(number), *asked, result("2M"))
        run_of(ledger, f"without it {number}", result("2M"))
    for limit in range(4):
        found = [run.id for run, _ in ledger.history(result().id, limit)]
        assert found == [run for run in (1, 3, 5)[3 - limit :] for _ in "ab"]


def test_predictions_come_back_by_run_and_case(ledger: Ledger) -> None:
    run = run_of(ledger, "a", result())
    kept = ledger.predictions(run, result().id)
    assert kept is not None
    assert kept.metrics().top1 == predictions().metrics().top1
    assert ledger.predictions(run, "no/such@case") is None


def test_equal_predictions_of_many_nights_are_stored_once(ledger: Ledger) -> None:
    for number in range(5):
        run_of(ledger, str(number), result(), result("2M"))
    with sqlite3.connect(ledger.file) as connection:
        found = connection.execute("SELECT count(*) FROM prediction").fetchone()
    connection.close()
    assert found == (1,)


def test_a_measurement_is_found_by_its_key(ledger: Ledger) -> None:
    run = run_of(ledger, "a", result(), result("2M"))
    found = ledger.measured(f"key of {result('2M').id}")
    assert found is not None
    assert (found.run, found.measurement) == (run, keyed(result("2M")).measurement)
    assert ledger.measured("another key") is None


def test_names_of_images_come_back(ledger: Ledger) -> None:
    names = ImageNames(("0/a.png", "1/b.png"), ("0", "1"))
    ledger.record_names("f" * 64, encode_names(names))
    ledger.record_names("f" * 64, encode_names(names))
    assert ledger.names("f" * 64) == names
    assert ledger.names("0" * 64) is None


def test_reading_needs_a_ledger(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="no ledger in "):
        Ledger(tmp_path / ".repro")
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    Ledger(tmp_path, create=True).close()
    connection = sqlite3.connect(tmp_path / FILE)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(LedgerError, match=r"has version 99 .* newer one; update"):
        Ledger(tmp_path)


@pytest.mark.parametrize("content", [b"no database " * 100, b"\0" * 5000])
def test_a_file_that_is_no_ledger_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(LedgerError, match=rf"ledger {tmp_path}.* cannot be used"):
        Ledger(tmp_path, create=True)
    assert (tmp_path / FILE).read_bytes() == content


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """A ledger that was written when a result was in five tables."""
    connection = sqlite3.connect(tmp_path / FILE)
    connection.executescript((HERE / "ledger_of_version_2.sql").read_text())
    connection.close()
    return tmp_path


def test_an_older_ledger_is_read_as_the_version_that_wrote_it_did(older: Path) -> None:
    content = (HERE / "ledger_of_version_2.json").read_bytes()
    was_read = msgspec.json.decode(content, type=dict[int, list[CaseResult]])
    with Ledger(older) as ledger:
        assert {run: ledger.results(run) for run in (1, 2)} == was_read
        first, second = reversed(ledger.runs())
        assert (first.uid, first.exit_status, first.is_green) == ("first", 0, False)
        assert second.counts[Verdict.BELOW] == 1
        (claim,) = ledger.claims(2)
        assert (claim.id, claim.verdict) == ("steeper", "fails")
        names = ledger.names("cd" * 32)
        assert names is not None
        assert names.files == ("0/a.png", "1/b.png")
        found = ledger.measured("key of 2M")
        assert found is not None
        assert found.run == 1
        # The one weights file, by two precisions and on two machines.
        seconds = [t.seconds for t in load_timings(ledger) if "/1M@" in t.case]
        assert seconds == [61.5, 0.1 + 0.2, 61.5]


def test_the_oldest_ledger_knows_less_of_published_numbers(older: Path) -> None:
    connection = sqlite3.connect(older / FILE)
    connection.execute("ALTER TABLE comparison DROP COLUMN details")
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()
    content = (HERE / "ledger_of_version_2.json").read_bytes()
    expected = msgspec.json.decode(content, type=dict[int, list[CaseResult]])
    with Ledger(older) as ledger:
        for run, results in expected.items():
            assert ledger.results(run) == [without_details(one) for one in results]


def without_details(one: CaseResult) -> CaseResult:
    lacking = {"interval": None, "spread": "", "tolerance_images": None, "xfail": ""}
    numbers = (msgspec.structs.replace(n, **lacking) for n in one.comparisons)
    return msgspec.structs.replace(one, comparisons=tuple(numbers))


def test_a_page_holds_several_results_and_what_is_pruned_is_given_back(
    ledger: Ledger, older: Path
) -> None:
    for number in range(3):
        run_of(ledger, str(number), result())
    rows = ledger.read("SELECT length(content) FROM result")
    with Ledger(older) as upgraded:
        for opened in (ledger, upgraded):
            ((page,),) = opened.read("PRAGMA page_size")
            assert page == 2**14 > 4 * max(length for (length,) in rows)
            assert [*map(tuple, opened.read("PRAGMA auto_vacuum"))] == [(2,)]
            # Who knows this version reads it, and nobody has to know a later one.
            assert version_of(opened._connection) == VERSION == 5


def test_an_older_ledger_goes_on_where_it_ended(older: Path) -> None:
    with Ledger(older) as ledger:
        run = run_of(ledger, "third", result(), result("2M"))
        assert run == 3
        assert [run.id for run, _ in ledger.history(result("2M").id)] == [1, 2, 3]
    with Ledger(older) as ledger:
        assert len(ledger.runs()) == 3
        tables = ledger.read("SELECT name FROM sqlite_master WHERE type = 'table'")
    gone = {"subject", "environment", "measurement", "comparison", "reference", "older"}
    assert not gone & {row["name"] for row in tables}


def test_a_ledger_without_checksums_gets_them_when_it_is_opened(
    ledger: Ledger,
) -> None:
    run = run_of(ledger, "first", result("1M"), result("2M"))
    ledger.record_claim(run, CLAIM)
    with ledger.transaction() as connection:
        # What version 3 had not.
        connection.execute("DROP TABLE unrun")
        for table in ("result", "claim"):
            connection.execute(f"ALTER TABLE {table} DROP COLUMN digest")
        connection.execute("PRAGMA user_version = 3")
    ledger.close()
    with Ledger(ledger.file.parent) as opened:
        assert version_of(opened._connection) == VERSION
        assert opened.results(run) == [keyed(result("1M")), keyed(result("2M"))]
        assert opened.claims(run) == [CLAIM]
        assert opened.unrun(run) == []
        opened.record_unrun(run, [NOT_RUN])
        assert opened.unrun(run) == [NOT_RUN]


def test_what_failed_unmeasured_is_named_so_also_in_a_ledger_that_had_a_mark_for_it(
    ledger: Ledger,
) -> None:
    failed, last = (
        result(name, Verdict.FAILED, reason="it is cut off") for name in ("2M", "8M")
    )
    run = run_of(ledger, "first", result("1M"), NOT_RUN, failed, last)
    as_now = [ledger.results(run), ledger.runs()[0].counts]
    damaged = run_of(ledger, "second", result("64M", Verdict.FAILED), failed)
    with ledger.transaction() as connection:
        # What version 4 wrote.
        connection.execute(
            "UPDATE result SET verdict = 'not run', content = "
            "json_set(replace(content, '\"failed\"', '\"not run\"'), "
            "'$.is_broken', json('true')) WHERE verdict = 'failed'"
        )
        seal(connection)
        connection.execute("PRAGMA user_version = 4")
        connection.execute(
            "UPDATE result SET machine = 'another' WHERE case_id LIKE '%/64M@%'"
        )
    ledger.close()
    with Ledger(ledger.file.parent) as opened:
        assert version_of(opened._connection) == VERSION
        assert [opened.results(run), opened.runs()[1].counts] == as_now
        assert opened.runs()[1].counts[Verdict.FAILED] == 2
        with pytest.warns(DamageWarning, match=r"said of .*/64M@plain .* left out"):
            assert opened.results(damaged) == [failed]


def test_an_older_ledger_that_cannot_be_taken_over_is_left_as_it_is(
    older: Path,
) -> None:
    connection = sqlite3.connect(older / FILE)
    with connection:
        connection.execute("UPDATE subject SET content = '{' WHERE id = 3")
    before = list(connection.iterdump())
    with pytest.raises(LedgerError, match="cannot be used"):
        Ledger(older)
    assert list(connection.iterdump()) == before
    assert version_of(connection) == 2 < VERSION
    connection.close()


def test_fields_that_came_later_need_no_column(ledger: Ledger) -> None:
    run = run_of(ledger, "a", result())
    with ledger.transaction() as connection:
        connection.execute("UPDATE result SET content = json_set(content, '$.new', 1)")
        seal(connection)
    assert ledger.results(run) == [keyed(result())]


def test_fields_that_earlier_versions_did_not_know_are_as_by_default(
    ledger: Ledger,
) -> None:
    run = run_of(ledger, "a", result())
    with ledger.transaction() as connection:
        connection.execute(
            "UPDATE result SET content = json_remove(content, '$.asked', "
            "'$.measurement.conditions', '$.comparisons[0].spread')"
        )
        seal(connection)
    assert ledger.results(run) == [keyed(result())]
    assert ledger.predictions(run, result().id) is not None


def test_a_result_that_cannot_be_read_is_an_error_that_names_the_file(
    ledger: Ledger,
) -> None:
    run = run_of(ledger, "a", result())
    with ledger.transaction() as connection:
        connection.execute("UPDATE result SET content = json_remove(content, '$.id')")
        seal(connection)
    with pytest.raises(LedgerError, match=rf"{ledger.file} cannot be used.*`id`"):
        ledger.results(run)


def test_a_run_keeps_two_results_of_a_case_that_was_asked_for_in_two_ways(
    ledger: Ledger,
) -> None:
    made = [
        result(measurement=measurement(key=name), asked=Asked(digest=name))
        for name in ("a", "b")
    ]
    run = begin(ledger)
    for seed, one in enumerate([*made, made[0]]):
        ledger.record(run, one, predictions(seed=seed))
    assert sorted(ledger.results(run), key=lambda one: one.place) == made
    for key, seed in (("a", 2), ("b", 1)):
        kept = ledger.predictions(run, made[0].id, key)
        assert kept is not None
        assert kept.metrics().top1 == predictions(seed=seed).metrics().top1


_SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from made_results import predictions, result
from repro.records.identity import GitState
from repro.records.ledger import Ledger
ledger = Ledger(Path({folder!r}), create=True)
run = ledger.begin({uid!r}, {cases}, [], GitState())
for number in range(1, {cases} + 1):
    ledger.record(run, result(f"{{number}}M"), predictions(seed=number))
    print(number, flush=True)
ledger.finish(run, 0)
"""


def started_run(folder: Path, uid: str, cases: int) -> subprocess.Popen[str]:
    """Start a process that records cases and says of each that it has."""
    tests = str(Path(__file__).parents[1])
    script = _SCRIPT.format(tests=tests, folder=str(folder), uid=uid, cases=cases)
    return subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    )


def test_two_runs_at_once_both_survive(tmp_path: Path) -> None:
    with (
        started_run(tmp_path, "one", cases=30) as one,
        started_run(tmp_path, "two", cases=30) as two,
    ):
        one.communicate(timeout=60)
        two.communicate(timeout=60)
    assert (one.returncode, two.returncode) == (0, 0)
    with Ledger(tmp_path) as ledger:
        assert {run.uid for run in ledger.runs()} == {"one", "two"}
        for run in ledger.runs():
            found = [result.checkpoint for result in ledger.results(run.id)]
            assert found == [f"{number}M" for number in range(1, 31)]


@pytest.mark.parametrize(
    "kills", [2, pytest.param(50, marks=pytest.mark.slow)], ids=["quick", "long"]
)
def test_a_kill_in_mid_write_loses_nothing_that_was_finished(
    tmp_path: Path, kills: int, often: Often
) -> None:
    rng = random.Random(kills)
    for kill in range(often(kills, 10)):
        with started_run(tmp_path, str(kill), cases=10**6) as writer:
            assert writer.stdout is not None
            said = writer.stdout.readline()
            time.sleep(rng.random() * 0.2)
            os.kill(writer.pid, signal.SIGKILL)
            said += writer.stdout.read()
        finished = len(said.splitlines())
        with Ledger(tmp_path) as ledger:
            check = ledger._connection.execute("PRAGMA integrity_check").fetchone()[0]
            run = ledger.find_run("last")
            kept = ledger.results(run.id)
        assert check == "ok"
        # The case in flight may have been written just before it was said.
        assert len(kept) in (finished, finished + 1)
        assert [one.checkpoint for one in kept] == [
            f"{number}M" for number in range(1, len(kept) + 1)
        ]


def test_the_newest_of_a_case_is_of_the_release_that_is_asked_for(
    ledger: Ledger,
) -> None:
    ours, theirs = result("1M"), msgspec.structs.replace(result("1M"), release="other")
    run_of(ledger, "first", ours)
    run_of(ledger, "second", theirs)
    for wanted in (ours, theirs):
        (found,) = ledger.newest(wanted.release, [ours.id])
        assert found.release == wanted.release
    assert ledger.newest("a third", [ours.id]) == []


_COPIES = (
    "INSERT INTO run (uid, started, finished, exit_status, planned, arguments, "
    "git_commit, dirty) "
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 999) "
    "SELECT 'copy ' || i, started, finished, exit_status, planned, arguments, "
    "git_commit, dirty FROM n, run",
    "INSERT INTO result (run, case_id, asked, verdict, recorded, identity, machine, "
    "fingerprint, prediction, content, digest) "
    "SELECT run.id, case_id, asked, verdict, recorded, identity, machine, "
    "fingerprint, prediction, content, digest FROM run, result WHERE run.id > 1",
)


@pytest.mark.slow
def test_of_a_thousand_runs_of_fifty_cases_no_more_is_read_than_asked_for(
    ledger: Ledger,
) -> None:
    cases = [result(f"{number}M") for number in range(1, 51)]
    run_of(ledger, "first", *cases)
    with ledger.transaction() as connection:
        for statement in _COPIES:
            connection.execute(statement)
        seal(connection)
    said: list[str] = []
    ledger._connection.set_trace_callback(said.append)
    runs = ledger.runs()
    history = ledger.history(cases[7].id)
    ledger._connection.set_trace_callback(None)
    assert (len(runs), len(history)) == (1000, 1000)
    assert sum(run.cases for run in runs) == 50_000
    plans = [
        step["detail"]
        for statement in said
        for step in ledger.read(f"EXPLAIN QUERY PLAN {statement}")
    ]
    assert plans
    read_whole = [p for p in plans if p.startswith("SCAN result") and "INDEX" not in p]
    assert read_whole == []
    for arguments in (["runs", "-n", "1000"], ["history", cases[7].id, "-n", "1000"]):
        arguments += ["--ledger", str(ledger.file.parent)]
        done = CliRunner().invoke(cli, arguments)
        assert done.output.count("reproduced") >= 1000
    assert ledger.results(777) == [keyed(one) for one in cases]
    assert ledger.file.stat().st_size < 125e6


def steps_of(ledger: Ledger, action: Callable[[], object]) -> int:
    """Count the instructions of sqlite, which no other process slows down."""
    counts = itertools.count()
    ledger._connection.set_progress_handler(lambda: next(counts) * 0, 1)
    action()
    ledger._connection.set_progress_handler(None, 0)
    return next(counts)


def test_recording_takes_the_same_steps_however_many_images_were_measured(
    ledger: Ledger,
) -> None:
    run = begin(ledger)
    few, many = predictions(200), predictions(50_000)
    for_few = steps_of(ledger, lambda: ledger.record(run, result("1M"), few))
    for_many = steps_of(ledger, lambda: ledger.record(run, result("2M"), many))
    assert 0 < for_many < 2 * for_few


def test_predictions_with_another_byte_are_not_believed(ledger: Ledger) -> None:
    run = run_of(ledger, "first", result("1M"))
    with sqlite3.connect(ledger.file) as connection:
        ((content,),) = connection.execute("SELECT content FROM prediction")
        place = len(content) // 2
        changed = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        connection.execute("UPDATE prediction SET content = ?", (changed,))
    connection.close()
    said = "what was predicted in run 1 of .* is not as it was written; it is left out"
    with pytest.warns(DamageWarning, match=said):
        assert ledger.predictions(run, result("1M").id) is None
    (key,) = ledger.keys()
    with pytest.warns(DamageWarning, match=said):
        assert ledger.measured(key) is None
    # The same again takes the place of what is damaged.
    second = begin(ledger, "second")
    ledger.record(second, keyed(result("1M")), predictions())
    assert ledger.measured(key) is not None


@pytest.mark.parametrize("what", ["text", "no arrays", "a list", "cut off"])
def test_predictions_that_are_none_are_not_believed_for_their_digest(
    ledger: Ledger, what: str
) -> None:
    run = run_of(ledger, "first", result("1M"))
    stream = io.BytesIO()
    np.savez(stream, labels=np.zeros((2, 2)))
    listed = io.BytesIO()
    np.save(listed, np.zeros(3))
    content = {
        "text": b"none",
        "no arrays": stream.getvalue(),
        "a list": listed.getvalue(),
        "cut off": encode_predictions(predictions())[:-40],
    }[what]
    with sqlite3.connect(ledger.file) as connection:
        changed = content, hashlib.sha256(content).hexdigest()
        connection.execute("UPDATE prediction SET content = ?, digest = ?", changed)
    connection.close()
    with pytest.warns(DamageWarning, match="what was predicted in .* left out"):
        assert ledger.predictions(run, result("1M").id) is None


def test_names_with_another_byte_are_not_believed(ledger: Ledger) -> None:
    names = encode_names(ImageNames(("0/a.png", "1/b.png"), ("0", "1")))
    ledger.record_names("ab" * 32, names[:-20] + b"x" + names[-19:])
    with pytest.warns(DamageWarning, match="names of the images abab.* left out"):
        assert ledger.names("ab" * 32) is None
    ledger.record_names("ab" * 32, names)
    assert ledger.names("ab" * 32) is not None


CLAIM = ClaimResult(
    id="better",
    release="made",
    kind="ordering",
    text="Better.",
    metric="top1",
    dataset="val",
    protocol="plain",
    source="paper",
    source_title="",
    source_url="",
    expected="holds",
    verdict=ClaimVerdict.HOLDS,
)
NOT_RUN = result("4M", Verdict.NOT_RUN)


@pytest.mark.parametrize(
    ("table", "column"),
    [(t, c) for t, columns in SEALED.items() for c in columns if c != "run"],
)
@pytest.mark.parametrize("byte", [b"\xff", b"0"])
def test_a_row_with_another_byte_is_named_and_left_out(
    ledger: Ledger, table: str, column: str, byte: bytes
) -> None:
    first = run_of(ledger, "first", result("1M"), result("2M"))
    second = run_of(ledger, "second", result("1M"))
    for run in (first, second):
        ledger.record_claim(run, CLAIM)
        ledger.record_unrun(run, [NOT_RUN])
    with ledger.transaction() as connection:
        connection.execute(
            f"UPDATE {table} SET {column} = CAST(CAST(? AS BLOB) || "
            f"coalesce(substr(CAST({column} AS BLOB), 2), '') AS TEXT) WHERE run = ?",
            (byte, second),
        )
    read = {"result": ledger.results, "unrun": ledger.unrun, "claim": ledger.claims}
    with pytest.warns(DamageWarning, match=r"run 2 .*not as it was written; it is l"):
        assert read[table](second) == []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ledger.results(first) == [keyed(result("1M")), keyed(result("2M"))]
        assert ledger.claims(first) == [CLAIM]
        assert ledger.unrun(first) == [NOT_RUN]


def test_a_verdict_that_is_none_is_counted_nowhere(ledger: Ledger) -> None:
    run_of(ledger, "first", result("1M"), result("2M"))
    with ledger.transaction() as connection:
        connection.execute("UPDATE result SET verdict = 'repro' WHERE id = 1")
        connection.execute("UPDATE run SET arguments = '['")
    with pytest.warns(DamageWarning) as said:
        (run,) = ledger.runs()
    assert (run.counts, run.arguments, run.is_green) == (
        {Verdict.REPRODUCED: 1},
        (),
        False,
    )
    assert [str(one.message) for one in said] == [
        "a verdict of run 1 is 'repro'; it is left out",
        "what run 1 was asked is not as written; it is left out",
    ]


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.filterwarnings("ignore::repro.files.DamageWarning")
def test_whatever_byte_of_the_file_is_another_nothing_else_is_read(
    ledger: Ledger, seed: int
) -> None:
    run_of(ledger, "first", *(result(f"{n}M") for n in (1, 2, 4)))
    before = read_whole(ledger)
    ledger.close()
    rng = random.Random(seed)
    content = bytearray(ledger.file.read_bytes())
    for place in rng.sample(range(len(content)), 5):
        content[place] = rng.randrange(256)
    ledger.file.write_bytes(content)
    try:
        with Ledger(ledger.file.parent) as damaged:
            found = read_whole(damaged)
    except LedgerError:
        return
    for now, was in zip(found, before, strict=True):
        assert all(one in was for one in now)


def read_whole(ledger: Ledger) -> tuple[list[object], ...]:
    """Read all that is verified: results, what was measured, and what came before."""
    results = [one for run in ledger.runs() for one in ledger.results(run.id)]
    keys = ledger.keys()
    found = [ledger.measured(key) for key in keys]
    past = [
        one for said in past_of(ledger, 9, 9, ledger.cases()).values() for one in said
    ]
    return (
        list(results),
        [one.measurement for one in found if one],
        [(one.verdict, one.top1) for one in past],
        list(load_timings(ledger)),
    )


def test_what_could_not_be_written_takes_nothing_else_along(ledger: Ledger) -> None:
    run = begin(ledger)
    ledger.read("PRAGMA busy_timeout = 1")
    with sqlite3.connect(ledger.file) as reader:
        reading = reader.execute("SELECT * FROM run UNION ALL SELECT * FROM run")
        reading.fetchone()
        with pytest.raises(LedgerError, match="locked"):
            ledger.record(run, result("one"))
        reading.close()
    reader.close()
    ledger.record(run, result("two"))
    with Ledger(ledger.file.parent) as again:
        assert again.results(run) == [result("two")]
