"""What earlier runs said is read in short, and is what their results say."""

from __future__ import annotations

from pathlib import Path

from repro.judgement.verdict import Verdict
from repro.records.environment import GitState
from repro.records.ledger import Ledger
from repro.records.past import LastMet, last_met, past_of_all
from repro.records.result import CaseResult

from ..made_results import measurement, metrics, result


def test_of_the_newest_runs_each_verdict_and_each_whole_top1_is_known(
    tmp_path: Path,
) -> None:
    part = measurement(metrics(images=1000, top1=700), total=50_000)
    nights: list[CaseResult] = [
        result("1M", Verdict.ABOVE),  # too long ago
        result("1M"),
        result("1M", Verdict.INCONCLUSIVE, measurement=part),
        result("1M", Verdict.NOT_RUN),
        result("1M", Verdict.BELOW, measurement=measurement(metrics(top1=38_000))),
        result("1M"),  # not yet
    ]
    with Ledger(tmp_path, create=True) as ledger:
        for number, night in enumerate(nights):
            run = ledger.begin(str(number), 2, (), GitState("", ""))
            ledger.record(run, night)
            ledger.record(run, result("2M"))
        found = past_of_all(ledger, last=5, runs=4)
        results = [r for run in range(2, 6) for r in ledger.results(run)]
        assert last_met(ledger, nights[0].id) == LastMet(6, "ab" * 32)
        assert last_met(ledger, "another") is None
    assert {len(past) for past in found.values()} == {4}
    assert {
        place: [said.verdict for said in past] for place, past in found.items()
    } == {place: [r.verdict for r in results if r.place == place] for place in found}
    assert found[nights[0].place] == (
        (2, Verdict.REPRODUCED, 76.5),
        (3, Verdict.INCONCLUSIVE, None),
        (4, Verdict.NOT_RUN, None),
        (5, Verdict.BELOW, 76.0),
    )
