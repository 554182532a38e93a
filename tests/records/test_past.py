"""What earlier runs said is read in short, and is what their results say."""

from __future__ import annotations

from pathlib import Path

import pytest

from repro.judgement.verdict import Verdict
from repro.records.identity import Asked, GitState
from repro.records.ledger import Ledger
from repro.records.past import LastMet, Past, last_met, past_of, red_since
from repro.records.result import CaseResult
from repro.report.changes import red_since_text

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
        found = past_of(ledger, 5, 4, ledger.cases())
        results = [r for run in range(2, 6) for r in ledger.results(run)]
        assert last_met(ledger, nights[0].id) == LastMet(6, "ab" * 32)
        assert last_met(ledger, "another") is None
    assert {len(past) for past in found.values()} == {4}
    assert {
        place: [said.verdict for said in past] for place, past in found.items()
    } == {place: [r.verdict for r in results if r.place == place] for place in found}
    assert [(*one[:3], one.is_red) for one in found[nights[0].place]] == [
        (2, Verdict.REPRODUCED, 76.5, False),
        (3, Verdict.INCONCLUSIVE, None, False),
        (4, Verdict.NOT_RUN, None, False),
        (5, Verdict.BELOW, 76.0, True),
    ]


def past(*verdicts: Verdict | str, folder: Path) -> tuple[Past, ...]:
    with Ledger(folder, create=True) as ledger:
        for number, verdict in enumerate(verdicts):
            run = ledger.begin(str(number), 1, (), GitState("", ""))
            ledger.record(run, result("1M", Verdict(verdict)))
        (only,) = past_of(ledger, 9, 30, ledger.cases()).values()
    return only


@pytest.mark.parametrize(
    ("verdicts", "since", "said"),
    [
        (["reproduced", "below", "below"], 2, "since run 2, "),
        (["below", "reproduced", "above"], 3, "since run 3, "),
        (["expected divergence", "unexpectedly met"], 2, "since run 2, "),
        (["reproduced", "not run", "below"], 3, "since run 3, "),
        (["reproduced", "failed", "below"], 2, "since run 2, "),
        (["below", "inconclusive", "below"], 1, "in all 3 runs"),
        (["below", "reproduced"], None, ""),
        (["below"], 1, ""),
    ],
)
def test_a_case_is_red_since_the_first_run_after_it_was_as_expected(
    tmp_path: Path, verdicts: list[str], since: int | None, said: str
) -> None:
    found = past(*verdicts, folder=tmp_path)
    first = red_since(found)
    assert (first.run if first else None) == since
    assert red_since_text(found).startswith(said)
    assert bool(red_since_text(found)) == bool(said)


def test_a_case_whose_published_number_is_edited_has_one_history(
    tmp_path: Path,
) -> None:
    edited = Asked(settings={}, digest="edited")
    again = result("2M", Verdict.BELOW, asked=edited)
    with Ledger(tmp_path, create=True) as ledger:
        for number, nights in enumerate(
            [[result("10M"), result("2M")], [again, result("10M")]]
        ):
            run = ledger.begin(str(number), 2, (), GitState("", ""))
            for night in nights:
                ledger.record(run, night)
        found = past_of(ledger, 2, 30, ledger.cases())
        assert [*found] == [again.place, result("10M").place]
        assert [one.run for one in found[again.place]] == [1, 2]
        # Of two in one run nothing tells which goes on from which.
        ledger.record(2, result("2M"))
        apart = past_of(ledger, 2, 30, ledger.cases())
        assert [one.run for one in apart[again.place]] == [2]
        assert [one.run for one in apart[result("2M").place]] == [1, 2]
