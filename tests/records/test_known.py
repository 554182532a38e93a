"""What a ledger knows of the other cases of a release, as these are now."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from repro.cases import Case, list_cases
from repro.diagnosis.findings import Known, Seen
from repro.evaluation.predictions import Metrics
from repro.judgement.compare import CaseDifference, Change, Since
from repro.judgement.verdict import Verdict
from repro.published import EMBEDDED, printed, read_releases
from repro.records.identity import GitState
from repro.records.ledger import Ledger
from repro.records.past import known_of
from repro.records.result import CaseResult, judge_case, not_run

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


@pytest.mark.parametrize("case", sorted(CASES, key=lambda case: case.id)[::7])
def test_all_but_a_case_itself_are_others(ledger: Ledger, case: Case) -> None:
    with ledger:
        run = ledger.begin("run", len(CASES), (), GitState("", ""))
        with ledger.transaction():
            for each in CASES:
                ledger.record(run, as_measured(each))
        others = {each.id for each in CASES} - {case.id}
        assert met_of(ledger, case).keys() == others


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


def test_of_another_dataset_the_images_may_be_others(ledger: Ledger) -> None:
    made = as_measured(OTHER)
    assert made.measurement
    images = msgspec.structs.replace(made.measurement, dataset_fingerprint="others")
    with ledger:
        for dataset in ("a", "z", made.dataset):
            elsewhere = msgspec.structs.replace(
                made, measurement=images, dataset=dataset
            )
            ledger.record(ledger.begin(dataset, 1, (), GitState("", "")), elsewhere)
            is_other = dataset != made.dataset
            assert met_of(ledger) == ({OTHER.id: True} if is_other else {})


def test_other_cases_are_known_where_all_their_images_were_measured(
    ledger: Ledger,
) -> None:
    whole, part = (as_measured(case) for case in (OTHER, CASES[5]))
    assert whole.measurement
    assert part.measurement
    mine = msgspec.structs.replace(whole.measurement, weights_sha256="cd" * 32)
    cut = msgspec.structs.replace(part.measurement, total=5000)
    now = as_measured(OURS, more=9)
    unmeasured = not_run(OURS, "no weights")
    with ledger:
        run = ledger.begin("run", 1, (), GitState("", ""))
        ledger.record(run, msgspec.structs.replace(whole, measurement=mine))
        # What a part of the images settles nothing of, what was not measured, and the
        # case itself.
        ledger.record(run, judge_case(CASES[5], cut))
        ledger.record(run, not_run(CASES[6], "no weights"))
        ledger.record(run, as_measured(OURS))
        assert known_of(OURS, now, ledger) == Known(
            cases={OTHER.id: Seen(mine.metrics, "cd" * 32)},
            met={OTHER.id: True},
            weights_sha256="ab" * 32,
        )
        assert known_of(OURS, unmeasured, ledger) == Known()
    assert known_of(OURS, now, None) == Known()


def test_a_case_that_a_part_of_the_images_contradicts_is_not_met(
    ledger: Ledger,
) -> None:
    found = msgspec.structs.replace(as_measured(OTHER), verdict=Verdict.BELOW)
    assert found.measurement
    cut = msgspec.structs.replace(found.measurement, total=5000)
    with ledger:
        for number, verdict in enumerate(Verdict):
            run = ledger.begin(str(number), 1, (), GitState("", ""))
            one = msgspec.structs.replace(found, verdict=verdict, measurement=cut)
            ledger.record(run, one)
            known = known_of(OURS, as_measured(OURS), ledger)
            assert known.cases == {}
            expected = {"reproduced": True, "below": False, "above": False}
            assert known.met == (
                {OTHER.id: expected[verdict]} if verdict in expected else {}
            )


def test_numbers_that_were_others_when_it_was_met_are_known(ledger: Ledger) -> None:
    changes = (
        Change("top1", "91.00", "91.60"),
        Change("loss", None, "0.3"),
        Change("tolerance of top1", "1", "2"),
    )
    counts = as_measured(OURS).measurement
    assert counts
    difference = CaseDifference(
        case=OURS.id, before=counts.metrics, after=counts.metrics, published=changes
    )
    since = Since(1, Verdict.REPRODUCED, difference)
    now = msgspec.structs.replace(as_measured(OURS, more=9), since=since)
    with ledger:
        for where in (ledger, None):
            assert known_of(OURS, now, where).edited == {"top1": "91.00"}
