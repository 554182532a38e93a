"""What is said of a case that was not measured, and of one that was."""

from __future__ import annotations

import msgspec

from repro.cases import list_cases
from repro.errors import ReproError
from repro.evaluation.predictions import Metrics
from repro.judgement.guarded import Guarded
from repro.judgement.intervals import Interval
from repro.judgement.verdict import Verdict
from repro.published import EMBEDDED, read_releases
from repro.records.identity import Asked
from repro.records.result import judge_case, not_run, place_of

from ..made_results import measurement

CASES = list_cases(read_releases([EMBEDDED]))
CASE = CASES[3]
FEW = Metrics(images=500, top1=0, top5=0, loss_sum=5000.0)


def test_a_case_that_was_not_measured_fails_where_that_is_said() -> None:
    asked = Asked(digest="how")
    usual, failed = not_run(CASE, "no weights"), not_run(CASE, "cut", is_failure=True)
    for found, verdict in ((usual, Verdict.NOT_RUN), (failed, Verdict.FAILED)):
        assert found.is_failure is (verdict is Verdict.FAILED)
        assert found.verdict is verdict
        said = [(one.metric, one.verdict, one.measured) for one in found.comparisons]
        assert said == [(one.metric, verdict, None) for one in CASE.references]
        assert (found.lacking, found.remedy, found.measurement) == ("", "", None)
    assert (usual.reason, usual.asked) == ("no weights", Asked())
    again = not_run(CASE, ReproError("no weights"), asked)
    assert again == msgspec.structs.replace(usual, asked=asked)
    assert again.place == place_of(CASE, asked) != usual.place


def test_a_part_of_the_images_settles_what_its_interval_excludes() -> None:
    bad = {r.metric: Interval(0.0, 1.0) for r in CASE.references}
    part = measurement(FEW, total=5000, intervals=bad)
    found = judge_case(CASE, part)
    verdicts = {one.metric: one.verdict for one in found.comparisons}
    assert verdicts["top1"] is verdicts["top5"] is Verdict.BELOW
    unknown = judge_case(CASE, measurement(FEW, total=5000))
    for one in unknown.comparisons:
        assert one.verdict is Verdict.INCONCLUSIVE
        assert one.reason == "500 of 5,000 images"


def test_an_estimate_settles_a_loss_where_it_is_sure_enough() -> None:
    loss = next(r for r in CASE.references if r.metric == "loss")
    exact = float(loss.published.value)
    counts = msgspec.structs.replace(FEW, loss_sum=500 * exact)
    for width, is_sure in ((1e-9, True), (1.0, False)):
        guarded = Guarded(cheap="bf16", loss=Interval(exact - width, exact + width))
        made = measurement(counts, guarded=guarded)
        assert (made.is_guarded, made.asked_precision) == (True, "guarded")
        assert made.estimated("top1") == ""
        verdicts = {c.metric: c for c in judge_case(CASE, made).comparisons}
        assert verdicts["top1"].verdict is Verdict.BELOW
        assert verdicts["loss"].verdict is (
            Verdict.REPRODUCED if is_sure else Verdict.INCONCLUSIVE
        )
        assert ("too rough" in verdicts["loss"].reason) is not is_sure
    whole = measurement(counts, guarded=Guarded(reason="no tensor cores"))
    assert (whole.is_guarded, whole.asked_precision) == (False, "fp32")
    assert whole.estimated("loss") == ""
    (found,) = [c for c in judge_case(CASE, whole).comparisons if c.metric == "loss"]
    assert found.verdict is Verdict.REPRODUCED
