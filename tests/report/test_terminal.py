"""The table at the end of a run, as lines: what is folded, what is last, what fits."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from repro.claims.result import ClaimVerdict
from repro.diagnosis.findings import Diagnosis
from repro.errors import NotAvailableError
from repro.judgement.compare import CaseDifference, Change, Since
from repro.judgement.intervals import Interval
from repro.judgement.verdict import Verdict
from repro.records.comparison import RunComparison
from repro.records.result import CaseResult
from repro.report.claims_report import claim_lines
from repro.report.html import html
from repro.report.markdown import markdown
from repro.report.report import Report, report_of_results, verdict_sentence
from repro.report.rows import rows_of
from repro.report.terminal import Verbosity, table_lines
from repro.report.texts import difference_text
from repro.words import nonzero_text

from ..made_results import comparison, made_claim, measurement, metrics, result

SIZES = ("1M", "4M", "16M", "64M")


def lines(
    results: list[CaseResult], width: int = 80, verbosity: Verbosity = "normal"
) -> list[str]:
    return [line for line, _ in table_lines(results, width, verbosity)]


def whole_family(name: str, place: int = 0) -> list[CaseResult]:
    return [
        result(size, family=name, position=(place, int(size[:-1]))) for size in SIZES
    ]


def test_a_family_that_is_reproduced_is_one_line_with_its_largest_difference() -> None:
    found = [*whole_family("supervised/real"), *whole_family("clip/real", 1)]
    for width in (60, 80, 120):
        said = [line for line in lines(found, width) if "checkpoints" in line]
        assert len(said) == 2
        assert all("4 checkpoints  reproduced" in line for line in said)
        assert all(len(line) <= width for line in said)
    assert "largest difference 0.000 points, 0.000100 nats" in lines(found, 120)[0]


@pytest.mark.parametrize("name", ["16M", "ViT-B-16-quickgelu-laion400m_e32"])
def test_no_verdict_is_cut_on_a_narrow_terminal(name: str) -> None:
    shown = lines([result(name, Verdict.EXPECTED_DIVERGENCE)], 60, "verbose")
    (row,) = [line for line in shown if " top1 " in line]
    assert row.endswith("  expected divergence")
    assert row.split()[0][-2:] == name[-2:]
    assert max(map(len, shown)) <= 60


def test_what_diverges_stands_below_all_that_does_not() -> None:
    red = result("640M", Verdict.BELOW, difference=-0.31)
    said = lines([red, *whole_family("supervised/real")])
    row = next(n for n, line in enumerate(said) if line.split()[:2] == ["640M", "top1"])
    others = [n for n, line in enumerate(said) if "4 checkpoints" in line]
    assert others
    assert row > max(others)
    assert "-0.310" in said[row]


def test_a_checkpoint_of_which_nothing_is_known_has_one_row_of_all_metrics() -> None:
    found = [
        *whole_family("supervised/real"),
        result("2M", Verdict.INCONCLUSIVE, difference=0.01),
    ]
    (row,) = [line for line in lines(found) if line.startswith("  2M")]
    assert {"76.510", "0.800100", "inconclusive"} <= set(row.split())


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("verbosity", ["quiet", "normal"])
def test_no_line_is_wider_than_the_terminal(
    report: Report, width: int, verbosity: Verbosity
) -> None:
    said = lines(list(report.results), width, verbosity)
    assert max(map(len, said)) <= width


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("expected", ["holds", "fails"])
def test_no_line_of_a_claim_is_wider_than_the_terminal(
    width: int, expected: str
) -> None:
    claim = made_claim(ClaimVerdict.HOLDS, expected, "Real images are better. " * 9)
    assert all(len(line) <= width for line, _ in claim_lines([claim], width))


@pytest.mark.parametrize("width", [60, 88])
def test_whole_names_of_what_a_claim_misses_are_given(width: int) -> None:
    cases = tuple(f"supervised/synthetic/{n}@digits-supervised" for n in (40, 40960))
    made = made_claim(ClaimVerdict.MISSING)
    claim = msgspec.structs.replace(made, findings=(), missing=cases)
    said = [line for line, _ in claim_lines([claim], width, "verbose")]
    assert max(map(len, said)) <= width
    assert f"missing: {cases[0]}, {cases[1]}" in " ".join(map(str.strip, said))


def test_a_claim_is_named_where_its_sentence_has_room_beside_the_name() -> None:
    claim = made_claim(ClaimVerdict.HOLDS, text="Real images are better. " * 2)
    wide = next(line for line, _ in claim_lines([claim], 80))
    narrow = next(line for line, _ in claim_lines([claim], 60))
    assert wide == f"holds     order  {claim.text}"
    assert narrow == f"holds     {claim.text}"


def test_what_is_not_here_is_counted_by_family_with_one_command_for_all() -> None:
    lacking = NotAvailableError("", "weights", "repro fetch {} --checkpoints W")
    found = [
        result(
            f"{n}M",
            Verdict.NOT_RUN,
            family=family,
            reason=f"no weights: W has no {n}M.pt",
            lacking=lacking.lacking,
            remedy=lacking.remedy,
        )
        for family in ("supervised/real", "clip/real")
        for n in range(1, 126)
    ]
    said = lines(found)
    assert "not run, no weights: 250 cases" in said
    counts = [line.split() for line in said if line.startswith("    ")]
    assert sorted(counts) == [["clip/real", "125"], ["supervised/real", "125"]]
    (command,) = [line for line in said if "repro fetch" in line]
    assert command.split()[-2:] == ["--checkpoints", "W"]
    assert len(said) < 10
    report = report_of_results(found)
    assert verdict_sentence(report) == "No case was measured."
    written = markdown(report)
    assert (
        "- no weights: 250 cases not run (`clip/real` 125, `supervised/real` 125)"
        in written
    )
    assert written.count("repro fetch") == 1
    alone = markdown(report_of_results(found[:1]))
    assert "- `supervised/real/1M@plain`: not run. no weights: W has no" in alone


def test_a_damaged_file_is_red_and_last() -> None:
    broken = result("1M", Verdict.FAILED, reason="it is cut off")
    said = table_lines([broken, *whole_family("clip/real", 1)], 80)
    red = [line for line, style in said if style == "bad"]
    assert red[0] == "failed: supervised/real/1M@plain"


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.0, 2, "0.00"),
        (0.002, 1, "+0.002"),
        (-1e-9, 6, "-1e-9"),
        (3e-6, 2, "+0.000003"),
        (-0.31, 2, "-0.31"),
    ],
)
def test_a_difference_is_neither_zero_nor_a_row_of_zeros(
    value: float, digits: int, text: str
) -> None:
    assert nonzero_text(value, digits, signed=True) == text


@pytest.mark.parametrize(
    ("difference", "said"),
    [
        (3e-18, "0.000000 nats"),
        (0.0, "0.000000 nats"),
        (7e-8, "+7e-8 nats"),
        (-0.0004, "-0.000400 nats"),
    ],
)
def test_a_difference_is_zero_only_where_floats_tell_no_more(
    difference: float, said: str
) -> None:
    checked = comparison("loss", "0.325822", difference)
    assert difference_text(checked, long=True) == said


def test_no_image_more_or_less_has_no_sign() -> None:
    assert difference_text(comparison("top1", "76.50", 0.0), long=True) == (
        "0.00 points = 0 images"
    )


def test_what_changed_stands_below_the_cases_that_share_it() -> None:
    pillow = Change("pillow", "11.3", "13.0")
    found = []
    for size, published in (("1M", (Change("top1", "76.8", "76.5"),)), ("2M", ())):
        case = result(size, Verdict.BELOW)
        difference = CaseDifference(
            case=case.id,
            before=metrics(),
            after=metrics(top1=38_000),
            published=published,
            environment=(pillow,),
        )
        since = Since(1, Verdict.REPRODUCED, difference)
        found.append(msgspec.structs.replace(case, since=since))
    one, two = (case.id for case in found)
    said = lines(found, 80)
    place = said.index("Since run 1, where it was met")
    assert said[place + 1 : place + 6] == [
        f"  {one}",
        "    published: top1 76.8 → 76.5 (edited since)",
        f"  {one}, {two}",
        "    environment: pillow 11.3 → 13.0",
        "    measured: top1 76.500 → 76.000",
    ]
    alone = lines(found[:1], 80)
    place = alone.index(f"Since run 1, where it was met: {one}")
    assert alone[place + 1] == "  published: top1 76.8 → 76.5 (edited since)"


def unsettled() -> Diagnosis:
    said = "Whether one of 37 variations explains it is not settled."
    return Diagnosis(outcome="unsettled", sentence=said, advice="Look at more images")


def test_a_cause_that_cases_share_is_said_once_with_their_names() -> None:
    red = [
        result(size, Verdict.BELOW, difference=-0.31, diagnosis=unsettled())
        for size in SIZES[:2]
    ]
    ids = [one.id for one in red]
    text = "\n".join(lines(red, 120))
    assert f"cause not settled: {', '.join(ids)}\n" in text
    assert text.count(unsettled().sentence) == 1
    said = markdown(report_of_results(red))
    assert said.count("Whether one of 37") == said.count("Look at more images") == 1
    assert f"- `{ids[0]}`, `{ids[1]}`: Whether" in said


def test_every_number_is_in_one_table_unless_something_stands_between() -> None:
    family = whole_family("supervised/real")
    red = result("640M", Verdict.BELOW, difference=-0.31)
    for found, tables in (
        ([*family, red], 1),
        (family, 1),
        ([red], 1),
        ([*family, red, result("1280M", Verdict.NOT_RUN)], 2),
    ):
        said = lines(found, 80, "verbose")
        assert sum("metric" in line for line in said) == tables
        assert sum(line == "supervised/real@plain" for line in said) == tables


def test_a_run_that_settles_nothing_says_so() -> None:
    part = result("2M", Verdict.INCONCLUSIVE, difference=0.01)
    said = verdict_sentence(report_of_results([part]))
    assert said == "Nothing contradicts what was published, and nothing settles it."
    unrun = [
        result(f"{n}M", Verdict.NOT_RUN, reason="the run ended before its turn")
        for n in (1, 2)
    ]
    none = verdict_sentence(report_of_results(unrun))
    assert none == "No case was measured: the run ended before its turn."
    both = verdict_sentence(report_of_results([part, result("4M")]))
    assert both == "Nothing contradicts what was published: 1 of 2 cases meets it."


def test_what_differs_from_the_baseline_is_not_said_of_the_last_met_run_too() -> None:
    numbers = metrics()
    difference = CaseDifference(
        case=result().id,
        before=numbers,
        after=numbers,
        weights=Change("weights", "ab" * 32, "cd" * 32),
    )
    since = Since(4, Verdict.REPRODUCED, difference)
    red = [result(n, Verdict.BELOW, since=since) for n in ("1M", "2M")]
    report = report_of_results(red)
    # In full where each case is, and once for both.
    for run, times in ((4, 3), (3, 4)):
        compared = RunComparison(before=run, after=5, differences=(difference,))
        said = html(msgspec.structs.replace(report, run=5, compared=compared))
        assert said.count("abababab → cdcdcdcd") == times


@pytest.mark.parametrize("width", [60, 80, 120])
def test_each_case_of_a_part_shows_a_number_and_what_was_published(width: int) -> None:
    part: dict[str, Any] = {
        "verdict": Verdict.INCONCLUSIVE,
        "interval": Interval(60.2, 80.2),
    }
    loss = comparison("loss", "0.812345", **part)
    three = (comparison("top1", "71.23", **part), comparison("top5", "91.23", **part))
    cases = [
        result("1M", Verdict.INCONCLUSIVE, comparisons=(*three, loss)),
        result("2M", Verdict.INCONCLUSIVE, comparisons=(loss,), position=(0, 2)),
    ]
    lines = [line for line, _ in table_lines(cases, width)]
    assert max(map(len, lines)) <= width
    (first,) = [line for line in lines if line.startswith("  1M ")]
    (second,) = [line for line in lines if line.startswith("  2M ")]
    assert first.split()[1:6] == ["71.23", "60.20", "to", "80.20", "71.23"]
    assert second.split()[1] == second.split()[5] == "0.812345"


def test_the_rule_of_a_table_is_no_wider_than_the_terminal() -> None:
    wide = Verdict.EXPECTED_DIVERGENCE
    found = result("1M", wide, comparisons=(comparison(verdict=wide),))
    for width in (50, 60, 80):
        lines = [line for line, _ in table_lines([found], width, "verbose")]
        assert max(map(len, lines)) <= width
        assert any(set(line) == {"-"} for line in lines)


def test_a_part_has_no_count_of_images_beside_published_numbers() -> None:
    part = result(
        measurement=measurement(metrics(images=100), total=500),
        comparisons=(comparison(difference=35.0, images=100),),
    )
    (row,) = rows_of([part])
    assert (row.difference, row.images, row.tolerance) == ("+35.000", "", "")
