from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from repro.judgement.verdict import Verdict
from repro.records.identity import GitState
from repro.records.ledger import Ledger
from repro.records.predictions import ImageNames, encode_names
from repro.records.upkeep import prune

from ..made_results import measurement, predictions, result

CASE = result().id


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Ten runs, each with predictions of its own; of them only the second is green."""
    with Ledger(tmp_path, create=True) as opened:
        for number in range(1, 11):
            verdict = Verdict.REPRODUCED if number == 2 else Verdict.BELOW
            run = opened.begin(str(number), 1, [], GitState())
            made = predictions(3000, seed=number)
            fingerprint = f"{number:064}"
            opened.record_names(fingerprint, encode_names(ImageNames(("a",), ("b",))))
            measured = measurement(dataset_fingerprint=fingerprint)
            opened.record(run, result("1M", verdict, measurement=measured), made)
            opened.finish(run, int(number != 2))
        yield opened


def kept_runs(ledger: Ledger) -> list[int]:
    return [run.id for run in reversed(ledger.runs())]


def kept_predictions(ledger: Ledger) -> list[int]:
    return [r for r in kept_runs(ledger) if ledger.predictions(r, CASE) is not None]


def test_little_is_kept_whole(ledger: Ledger) -> None:
    removed = prune(ledger)
    assert (removed.runs, removed.predictions) == (0, 0)
    assert kept_predictions(ledger) == list(range(1, 11))


def test_predictions_of_the_newest_and_the_last_green_run_are_kept(
    ledger: Ledger,
) -> None:
    with sqlite3.connect(ledger.file) as connection:
        sizes = connection.execute("SELECT length(content) FROM prediction").fetchall()
    connection.close()
    largest = max(size for (size,) in sizes)
    removed = prune(ledger, prediction_bytes=3 * largest)
    assert removed.predictions == 7
    assert kept_predictions(ledger) == [2, 9, 10]
    assert kept_runs(ledger) == list(range(1, 11))


@pytest.mark.parametrize(("less", "kept"), [(0, [2, 9, 10]), (1, [2, 10])])
def test_what_fits_to_the_last_byte_is_kept(
    ledger: Ledger, less: int, kept: list[int]
) -> None:
    with sqlite3.connect(ledger.file) as connection:
        sizes = connection.execute(
            "SELECT sum(length(prediction.content)) FROM prediction JOIN result "
            "ON result.prediction = prediction.id WHERE run IN (2, 9, 10)"
        ).fetchone()
    connection.close()
    prune(ledger, prediction_bytes=sizes[0] - less)
    assert kept_predictions(ledger) == kept


def test_what_was_measured_stays_when_predictions_go(ledger: Ledger) -> None:
    before = ledger.results(5)
    prune(ledger, prediction_bytes=0)
    assert kept_predictions(ledger) == [2]
    assert ledger.results(5) == before


def test_the_file_becomes_smaller(ledger: Ledger) -> None:
    before = ledger.file.stat().st_size
    removed = prune(ledger, prediction_bytes=0)
    assert removed.bytes == before - ledger.file.stat().st_size
    assert removed.bytes > before / 3


def test_old_runs_go_when_asked_and_the_last_green_one_stays(ledger: Ledger) -> None:
    removed = prune(ledger, keep_runs=3)
    assert removed.runs == 6
    assert kept_runs(ledger) == [2, 8, 9, 10]
    assert ledger.names(f"{5:064}") is None
    assert ledger.names(f"{8:064}") is not None


def test_a_green_run_of_few_cases_does_not_push_out_that_of_a_night(
    ledger: Ledger,
) -> None:
    night = ledger.begin("night", 2, [], GitState())
    for name in ("1M", "2M"):
        ledger.record(night, result(name), predictions(3000, seed=99))
    ledger.finish(night, 0)
    for seed in (100, 101):
        noon = ledger.begin(f"noon {seed}", 1, [], GitState())
        ledger.record(noon, result(), predictions(3000, seed=seed))
        ledger.finish(noon, 0)
    prune(ledger, keep_runs=1, prediction_bytes=0)
    assert kept_runs(ledger) == kept_predictions(ledger) == [night, noon]


def test_nothing_is_left_of_what_nobody_refers_to(ledger: Ledger) -> None:
    prune(ledger, keep_runs=3)
    with sqlite3.connect(ledger.file) as connection:
        counts = {
            table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("result", "prediction", "dataset")
        }
    connection.close()
    assert set(counts.values()) == {4}
