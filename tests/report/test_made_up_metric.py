"""A metric that is added to the table is read, counted, judged, kept and reported."""

from __future__ import annotations

import csv
import json
from fractions import Fraction
from pathlib import Path

import msgspec
import numpy as np
import pytest

from repro.cases import Case, list_cases
from repro.diagnosis.what_if import estimate
from repro.evaluation.predictions import Predictions
from repro.judgement.intervals import interval_of
from repro.judgement.verdict import Verdict, verdict_of
from repro.published import METRICS, Metric, read_releases
from repro.published.metrics import TOP1, hits_within
from repro.records.identity import GitState
from repro.records.ledger import Ledger
from repro.records.result import CaseResult, judge, result_of
from repro.report.faces import FACES, write_report
from repro.report.failure import failure_text
from repro.report.report import report_of_results
from repro.report.rows import rows_of, shift_of

from ..made_results import measurement, predictions
from ..releases import edited
from ..releases import write_release as write

MISSES_OF_THREE = msgspec.structs.replace(
    TOP1,
    name="misses_of_three",
    label="misses of three",
    title="images missed by three guesses",
    phrase="it misses",
    is_higher_better=False,
    each=lambda outcomes: ~hits_within(3)(outcomes),
)


@pytest.fixture
def metric(monkeypatch: pytest.MonkeyPatch) -> Metric:
    monkeypatch.setitem(METRICS, MISSES_OF_THREE.name, MISSES_OF_THREE)
    return MISSES_OF_THREE


@pytest.fixture
def run(metric: Metric) -> Predictions:
    found = predictions(images=200)
    assert found.metrics().value(metric.name) == Fraction(
        100 * int((found.classes[:, :3] != found.labels[:, None]).all(axis=1).sum()),
        200,
    )
    return found


def case_of(folder: Path, line: str) -> Case:
    text = edited('top1 = "50.580"', line)
    return list_cases(read_releases([write(folder, text)]))[0]


def judged(case: Case, run: Predictions) -> CaseResult:
    made = measurement(run.metrics())
    found = tuple(judge(r, case.release, made) for r in case.references)
    return result_of(case, verdict_of(found), made, found)


def test_it_is_met_to_the_image_on_both_sides(tmp_path: Path, run: Predictions) -> None:
    value = run.metrics().value(MISSES_OF_THREE.name)
    # 25 of 50,000 are a tenth of an image of 200: every count has to be exact.
    for off, verdict in (
        (0, Verdict.REPRODUCED),
        (Fraction(1, 2), Verdict.BELOW),
        (-Fraction(1, 2), Verdict.ABOVE),
    ):
        case = case_of(tmp_path, f'misses_of_three = "{float(value + off):.2f}"')
        assert judged(case, run).verdict is verdict


def test_its_own_tolerance_is_read_and_a_part_has_an_interval(
    tmp_path: Path, run: Predictions
) -> None:
    case = case_of(
        tmp_path,
        'misses_of_three = "99.9"\n'
        'tolerance = { misses_of_three = 99, reason = "made up" }',
    )
    assert judged(case, run).verdict is Verdict.REPRODUCED
    name = MISSES_OF_THREE.name
    interval = interval_of(run, name, np.full(10, 1000), 50)
    assert interval is not None
    assert interval.low < run.metrics().value(name) < interval.high
    found = estimate(run, run, name)
    assert found.value == pytest.approx(float(run.metrics().value(name)))


def test_every_face_and_the_ledger_have_it(tmp_path: Path, run: Predictions) -> None:
    case = case_of(tmp_path, 'misses_of_three = "99.9"')
    result = judged(case, run)
    with Ledger(tmp_path, create=True) as ledger:
        number = ledger.begin("only", 1, [], GitState("0" * 40, ""))
        ledger.record(number, result, run)
        assert ledger.results(number) == [result]
    (row,) = rows_of([result])
    assert (row.metric, row.verdict, row.quality) == (
        MISSES_OF_THREE.name,
        Verdict.BELOW,
        "better",
    )
    assert "misses_of_three" in failure_text(case, result)
    assert "points" in failure_text(case, result)
    assert "(better), tolerance" in failure_text(case, result)
    for name in FACES.names():
        file = tmp_path / f"report.{name}"
        write_report(file, report_of_results([result]))
        if name != "badge.json":
            assert "misses" in file.read_text()
    (told,) = json.loads((tmp_path / "report.json").read_text())["cases"]
    assert told["metrics"]["values"][MISSES_OF_THREE.name] == pytest.approx(
        float(run.metrics().value(MISSES_OF_THREE.name))
    )
    assert told["references"][0]["quality"] == "better"
    with (tmp_path / "report.csv").open(newline="") as stream:
        assert next(csv.DictReader(stream))["quality"] == "better"


def test_a_measurement_that_is_older_than_the_metric_settles_nothing(
    tmp_path: Path, metric: Metric
) -> None:
    case = case_of(tmp_path, f'{metric.name} = "12.5"')
    (found,) = (judge(r, case.release, measurement()) for r in case.references)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "was not counted in that measurement" in found.reason


def test_an_error_counts_in_the_common_shift_as_the_accuracy_that_it_leaves(
    tmp_path: Path,
) -> None:
    run = predictions(images=200)
    value = run.metrics().value("top1")
    shifts = []
    for line in (
        f'top1 = "{float(value):.2f}"',
        f'error = "{float(100 - value):.1f}1"',
    ):
        result = judged(case_of(tmp_path, line), run)
        shifts.append(result)
    shift = shift_of(shifts)
    assert shift is not None
    # The error is printed 0.01 points too high: the accuracy is as much above it.
    assert shift.mean == pytest.approx(0.005)
