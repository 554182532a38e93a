"""Seconds come from earlier runs on such a device, or are named an estimate."""

from __future__ import annotations

from pathlib import Path

import pytest

from repro.cases import list_cases
from repro.diagnosis.findings import Diagnosis
from repro.errors import OptionError
from repro.judgement.verdict import Verdict
from repro.planning.costs import (
    CORE_SPEED,
    Costs,
    Timing,
    load_timings,
    recorded_costs,
    timings_in,
)
from repro.planning.plan import Allowance
from repro.published import EMBEDDED, read_releases
from repro.records.identity import GitState
from repro.records.ledger import Ledger

from ..made_results import measurement, metrics, result

CASES = list_cases(read_releases([EMBEDDED]))
FIRST, OTHER = CASES[0], CASES[-1]


def timing(**fields: object) -> Timing:
    known: dict[str, object] = {
        **{"case": FIRST.id, "seconds": 10.0, "images": 500, "total": 500},
        **{"device": "cuda:0", "cores": 8, "workers": 1},
        "precision": "fp32",
    }
    return Timing(**(known | fields))  # type: ignore[arg-type]


def test_what_took_long_before_is_expected_to_take_as_long() -> None:
    costs = recorded_costs(CASES, [timing()], "cuda", 8)
    assert (costs.of(FIRST).seconds, costs.of(FIRST).basis) == (10, "recorded")


def test_a_part_says_of_all_images_what_they_take_and_loads_once() -> None:
    part = timing(seconds=10.0, loading=8.0, images=100, diagnosed=1.5)
    found = recorded_costs(CASES, [part], "cuda", 8).of(FIRST)
    assert (found.seconds, found.diagnosis) == (8 + 5 * 2, 1.5 * 5 * 2)


def test_another_case_takes_time_in_proportion_to_its_operations() -> None:
    costs = recorded_costs(CASES, [timing()], "cuda", 8)
    found = costs.of(OTHER)
    assert found.basis == "recorded speed"
    assert found.seconds == pytest.approx(10 * OTHER.gflops / FIRST.gflops)


def test_without_a_record_the_speed_is_assumed_and_named_so() -> None:
    found = recorded_costs(CASES, [], "cpu", 2).of(FIRST)
    assert found.basis == "assumed speed"
    assert found.seconds == pytest.approx(FIRST.gflops * 1e9 / (2 * CORE_SPEED))


def test_another_kind_of_device_tells_nothing() -> None:
    assert recorded_costs(CASES, [timing()], "cpu", 8).seconds == {}


def test_a_processor_that_two_workers_shared_was_busy_half_the_time() -> None:
    shared = timing(device="cpu", workers=2)
    assert recorded_costs(CASES, [shared], "cpu", 8).of(FIRST).seconds == 5
    assert recorded_costs(CASES, [shared], "cpu", 4).of(FIRST).seconds == 10


def test_a_part_of_the_images_is_extrapolated() -> None:
    costs = recorded_costs(CASES, [timing(images=50)], "cuda", 8)
    assert costs.of(FIRST).seconds == 100
    assert costs.of(FIRST, images=250).seconds == 50


def test_the_newest_measurement_counts() -> None:
    costs = recorded_costs(CASES, [timing(), timing(seconds=3)], "cuda", 8)
    assert costs.of(FIRST).seconds == 3


def test_a_case_that_diverged_is_going_to_be_diagnosed_again(tmp_path: Path) -> None:
    diverged = result(verdict=Verdict.BELOW, diagnosis=diagnosis(images=1_850))
    met = result("2M", diagnosis=diagnosis(images=1_850))
    with Ledger(tmp_path, create=True) as ledger:
        run = ledger.begin("a run", 2, [], GitState())
        ledger.record(run, diverged)
        ledger.record(run, met)
        found = {timing.case: timing.diagnosed for timing in load_timings(ledger)}
    assert found == {diverged.id: 3.7, met.id: 0}


def test_a_diagnosis_takes_time_beside_the_evaluation_and_says_nothing_of_others() -> (
    None
):
    costs = recorded_costs(CASES, [timing(diagnosed=3.7)], "cuda", 8)
    found = costs.of(FIRST, images=250)
    assert (found.seconds, found.diagnosis, found.in_all) == (5, 18.5, 23.5)
    plain = recorded_costs(CASES, [timing()], "cuda", 8)
    assert costs.of(OTHER) == plain.of(OTHER)


def test_a_diagnosis_takes_a_share_for_each_suspect_half_a_minute_or_as_asked() -> None:
    times = [(FIRST, 10.0), (CASES[1], 100.0)]
    most = Allowance().most(times)
    assert most == Allowance().most([(CASES[1], 100.0)])
    assert Allowance(share=0.2).most(times) == pytest.approx(2 * most)
    # As many as the embedded release says of a case that diverges, and a few that only
    # its weights and predictions rule out.
    assert 37 * 10 <= most <= 45 * 10
    assert Allowance().most([(FIRST, 0.01)]) == 30
    assert Allowance(seconds=5).most(times) == 5
    assert Allowance().most([]) == 0


def diagnosis(images: int) -> Diagnosis:
    return Diagnosis(
        outcome="unsettled", sentence="", advice="", images=images, total=500
    )


def test_costs_come_back_from_their_file(tmp_path: Path) -> None:
    costs = recorded_costs(CASES, [timing()], "cuda", 8)
    costs.write(tmp_path / "costs.json")
    assert Costs.read(tmp_path / "costs.json") == costs


@pytest.mark.parametrize(
    "content",
    [
        *("[]", '{"speed": 0}', '{"speed": -1}', '{"assumed": 0}'),
        *('{"seconds": {"a": -5}}', '{"seconds": {"a": 1e300}}', '{"a":' + "[" * 10**5),
    ],
)
def test_another_file_is_refused_in_a_sentence(content: str, tmp_path: Path) -> None:
    (tmp_path / "costs.json").write_text(content)
    with pytest.raises(OptionError, match=r"holds no costs of cases.*repro plan --co"):
        Costs.read(tmp_path / "costs.json")


def test_a_file_that_is_not_there_is_named_once(tmp_path: Path) -> None:
    with pytest.raises(OptionError) as caught:
        Costs.read(tmp_path / "costs.json")
    assert str(caught.value).count("costs.json") == 1
    assert "No such file" in str(caught.value)


def test_a_case_in_another_precision_tells_nothing() -> None:
    half = timing(precision="amp-fp16")
    assert recorded_costs(CASES, [half], "cuda", 8).seconds == {}
    costs = recorded_costs(CASES, [half], "cuda", 8, "amp-fp16")
    assert costs.of(FIRST).basis == "recorded"


def test_the_ledger_gives_the_newest_timing_of_each_case(
    tmp_path: Path,
) -> None:
    slow = measurement(metrics(), seconds=9.0)
    with Ledger(tmp_path, create=True) as ledger:
        for number, (name, measured) in enumerate(
            [
                ("1M", slow),
                ("1M", measurement(metrics(), seconds=4.0, workers=2)),
                ("2M", measurement(metrics(), precision="bf16")),
            ]
        ):
            run = ledger.begin(str(number), 1, [], GitState())
            ledger.record(run, result(name, measurement=measured))
        timings = {timing.case: timing for timing in load_timings(ledger)}
    found = timings.pop(result("1M").id)
    assert (found.seconds, found.workers, found.cores) == (4, 2, 8)
    assert found.precision == "fp32"
    assert timings[result("2M").id].precision == "bf16"


def test_a_folder_without_a_ledger_tells_nothing(tmp_path: Path) -> None:
    assert timings_in(tmp_path) == []
