"""What a ledger knows of the other cases of a release, as these are now."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from repro.cases import Case, list_cases
from repro.evaluation.predictions import Metrics
from repro.published import EMBEDDED, printed, read_releases
from repro.records.environment import GitState
from repro.records.ledger import Ledger
from repro.records.past import known_of
from repro.records.result import CaseResult, judge_case

from ..made_results import measurement

CASES = list_cases(read_releases([EMBEDDED]))
OURS, OTHER = CASES[3], CASES[4]


def as_measured(case: Case, more: int = 0) -> CaseResult:
    """Measure what is published, but for some images more that are right."""
    values = {r.metric: float(r.published.value) for r in case.references}
    counts = Metrics(
        images=500,
        top1=round(5 * values["top1"]) + more,
        top5=round(5 * values["top5"]),
        loss_sum=500 * values["loss"],
    )
    return judge_case(case, measurement(counts, total=500))


def met_of(ledger: Ledger, case: Case = OURS) -> dict[str, bool]:
    return known_of(case, as_measured(case, more=9), ledger).met


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path, create=True)


@pytest.mark.parametrize("more", [0, 9])
def test_other_cases_are_met_or_not(ledger: Ledger, more: int) -> None:
    with ledger:
        run = ledger.begin("run", 1, (), GitState("", ""))
        ledger.record(run, as_measured(OTHER, more))
        assert met_of(ledger) == {OTHER.id: not more}


def test_results_of_other_numbers_protocols_or_images_say_nothing(
    ledger: Ledger,
) -> None:
    found = as_measured(OTHER)
    assert found.measurement
    images = msgspec.structs.replace(found.measurement, dataset_fingerprint="others")
    numbers = tuple(
        msgspec.structs.replace(r, published=printed("12.34")) for r in OTHER.references
    )
    elsewhere = judge_case(
        msgspec.structs.replace(OTHER, references=numbers), found.measurement
    )
    stale = [
        msgspec.structs.replace(found, measurement=images),
        msgspec.structs.replace(found, geometry="rgb|resize(28)|center_crop(28)"),
        msgspec.structs.replace(found, conditions="another mean"),
        elsewhere,
    ]
    with ledger:
        for name, result in enumerate(stale):
            run = ledger.begin(str(name), 1, (), GitState("", ""))
            ledger.record(run, result)
            assert met_of(ledger) == {}
        ledger.record(ledger.begin("now", 1, (), GitState("", "")), found)
        assert met_of(ledger) == {OTHER.id: True}
