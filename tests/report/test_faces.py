"""One computation, many faces: every face of a report says the same numbers."""

from __future__ import annotations

import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from repro.cases import list_cases
from repro.claims.result import ClaimResult, ClaimVerdict
from repro.errors import OptionError
from repro.judgement.intervals import Interval
from repro.judgement.verdict import Verdict
from repro.published import MEASURED, read_releases
from repro.records.identity import Asked
from repro.records.result import CaseResult
from repro.report.claims_report import claim_lines
from repro.report.faces import FACES, write_report
from repro.report.failure import failure_text
from repro.report.markdown import markdown
from repro.report.report import Report, report_of_results
from repro.report.rows import Row, rows_of, shift_of
from repro.report.terminal import table_lines

from ..made_results import comparison, made_claim, measurement, result
from .conftest import HOSTILE

#: Case, metric, published, measured and difference, as texts.
Number = tuple[str, str, str, str, str]


def expected(report: Report) -> list[Number]:
    return [
        (row.case, row.metric, row.published, row.measured, row.difference)
        for row in rows_of(report.results)
    ]


def from_csv(file: Path) -> list[Number]:
    with file.open(newline="", encoding="utf-8") as stream:
        return [
            (r["case"], r["metric"], r["published"], r["measured"], r["difference"])
            for r in csv.DictReader(stream)
        ]


def from_markdown(file: Path) -> list[Number]:
    text = file.read_text(encoding="utf-8").partition("<details>")[2]
    rows = [
        [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("| `")
    ]
    return [(r[0], r[1], r[2], r[3], r[4]) for r in rows]


class _Rows(HTMLParser):
    """Reads the table of the page: of each row the case, and texts by their class."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[dict[str, dict[str, str]]] = []
        self._cell: dict[str, str] | None = None
        self._spans: list[str] = []
        self._is_inside = self._is_titles = False
        self._titles: list[str] = []
        self._column = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self._is_inside |= values.get("id") == "rows"
        if tag == "tr":
            self._column = 0
        self._is_titles |= tag == "th" and self._is_inside
        if self._is_inside and "data-verdict" in values:
            self.rows.append({})
        if tag == "td" and self._is_inside:
            self._cell = self.rows[-1].setdefault(self._titles[self._column], {})
            self._column += 1
        if tag == "span":
            self._spans.append(values.get("class", "").rpartition(" ")[2])
            if self._cell is not None:
                self._cell.setdefault(self._spans[-1], "")

    def handle_endtag(self, tag: str) -> None:
        self._is_inside &= tag != "table"
        if tag == "td":
            self._cell = None
        self._is_titles &= tag != "th"
        if tag == "span":
            self._spans.pop()

    def handle_data(self, data: str) -> None:
        if self._is_titles:
            self._titles += [data.strip()] * bool(data.strip())
        if self._cell is not None:
            for name in ("", *self._spans[-1:]):
                self._cell[name] = self._cell.get(name, "") + data


def from_html(file: Path) -> list[Number]:
    reader = _Rows()
    reader.feed(file.read_text(encoding="utf-8"))
    return [
        (
            "@".join(row["case"][""].split()),
            metric,
            said.get("p", ""),
            said.get("m", ""),
            said.get("d", ""),
        )
        for row in reader.rows
        for metric, said in row.items()
        if "m" in said
    ]


def from_terminal(report: Report) -> list[tuple[str, ...]]:
    lines = [line for line, _ in table_lines(report.results, 200, "verbose")]
    numbers = re.compile(r"\s(top1|top5|loss)\s")
    return [tuple(line.split()) for line in lines if numbers.search(line)]


@pytest.mark.parametrize(
    ("suffix", "read"),
    [(".csv", from_csv), (".md", from_markdown), (".html", from_html)],
)
def test_a_face_has_every_number_of_the_report(
    report: Report, tmp_path: Path, suffix: str, read: object
) -> None:
    file = tmp_path / f"report{suffix}"
    write_report(file, report)
    assert callable(read)
    assert read(file) == expected(report)


def test_json_has_every_number_of_the_report(report: Report, tmp_path: Path) -> None:
    write_report(tmp_path / "report.json", report)
    content = json.loads((tmp_path / "report.json").read_text())
    compared = {
        (case["id"], number["metric"]): number
        for case in content["cases"]
        for number in case["references"]
    }
    rows = [row for row in rows_of(report.results) if row.published]
    assert len(rows) == len(compared)
    for row in rows:
        number = compared[row.case, row.metric]
        assert number["printed"] == row.published
        assert number["verdict"] == row.verdict
        for text, value in (
            (row.measured, number["measured"]),
            (row.difference, number["difference"]),
        ):
            sign = "+" if text.startswith("+") else ""
            decimals = len(text.partition(".")[2])
            assert text == ("" if value is None else f"{value:{sign}.{decimals}f}")


def test_the_terminal_has_every_number_of_the_report(report: Report) -> None:
    lines = from_terminal(report)
    red = {result.id for result in report.results if result.is_failure}
    rows = rows_of(report.results)
    assert len(lines) == len(rows)
    # What is red comes last; each group of lines is in the order of the report.
    rows.sort(key=lambda row: row.case in red)
    for line, row in zip(lines, rows, strict=True):
        shown = (row.metric, row.published, row.measured, row.difference)
        assert [text for text in line if text in shown] == [t for t in shown if t]


@pytest.mark.slow
def test_junit_has_every_number_of_the_run_and_stays_valid(
    embedded_run: Path,
) -> None:
    suite = ElementTree.parse(embedded_run / "junit.xml").getroot()[0]
    # The schema has properties first in a suite, and none in a test case.
    assert [child.tag for child in suite][:2] == ["properties", "testcase"]
    assert not suite.findall("testcase/properties")
    said = {p.attrib["name"]: p.attrib["value"] for p in suite.iterfind(".//property")}
    assert len(said) == len(suite.findall(".//property"))
    content = json.loads((embedded_run / "report.json").read_text())
    assert said["repro"].endswith("reproduced")
    for case in content["cases"]:
        for number in case["references"]:
            name = f"{case['id']} {number['metric']}"
            assert said[f"{name} published"] == number["printed"]
            assert said[f"{name} verdict"] == number["verdict"]
            text = said[f"{name} measured"]
            decimals = len(text.partition(".")[2])
            assert text == f"{number['measured']:.{decimals}f}"


@pytest.mark.parametrize("name", [n for n in FACES.names() if n != "html"])
def test_a_report_of_nothing_can_be_written(tmp_path: Path, name: str) -> None:
    file = tmp_path / f"report.{name}"
    write_report(file, report_of_results([]))
    assert file.read_text()


def test_the_calibration_error_is_in_json_and_among_the_facts_of_the_page(
    tmp_path: Path,
) -> None:
    made = result("1M", measurement=measurement(calibration_error=0.01234))
    report = report_of_results([made])
    write_report(tmp_path / "report.json", report)
    write_report(tmp_path / "report.html", report)
    (case,) = json.loads((tmp_path / "report.json").read_text())["cases"]
    assert case["metrics"]["calibration_error"] == pytest.approx(1.234)
    page = (tmp_path / "report.html").read_text()
    assert "expected calibration error 1.23 % (20 bins of confidence)" in page


def test_the_badge_counts_the_cases_that_have_numbers(
    report: Report, tmp_path: Path
) -> None:
    file = tmp_path / "repro.badge.json"
    write_report(file, report)
    badge = json.loads(file.read_text())
    assert badge == {
        "schemaVersion": 1,
        "label": "reproduced",
        "message": "4/8",
        "color": "red",
    }


@pytest.mark.parametrize(
    ("verdicts", "colour"),
    [
        ((Verdict.REPRODUCED, Verdict.UNREFERENCED), "brightgreen"),
        ((Verdict.REPRODUCED, Verdict.NOT_RUN), "yellow"),
        ((), "yellow"),
        ((Verdict.REPRODUCED, Verdict.ABOVE), "red"),
    ],
)
def test_the_badge_is_green_only_when_all_is_reproduced(
    tmp_path: Path, verdicts: tuple[Verdict, ...], colour: str
) -> None:
    made = [result(f"{n}M", verdict) for n, verdict in enumerate(verdicts, start=1)]
    write_report(tmp_path / "a.badge.json", report_of_results(made))
    assert json.loads((tmp_path / "a.badge.json").read_text())["color"] == colour


@pytest.mark.parametrize(
    ("made", "message", "colour"),
    [
        (made_claim(ClaimVerdict.HOLDS), "1/1, 1/1 claims", "brightgreen"),
        (made_claim(ClaimVerdict.FAILS), "1/1, 0/1 claims", "red"),
        (made_claim(ClaimVerdict.FAILS, "fails"), "1/1, 1/1 claims", "brightgreen"),
        (made_claim(ClaimVerdict.HOLDS, "fails"), "1/1, 0/1 claims", "red"),
        (made_claim(ClaimVerdict.UNDECIDED), "1/1, 0/1 claims", "yellow"),
    ],
)
def test_the_badge_counts_claims(
    tmp_path: Path, made: ClaimResult, message: str, colour: str
) -> None:
    write_report(tmp_path / "a.badge.json", report_of_results([result()], [made]))
    badge = json.loads((tmp_path / "a.badge.json").read_text())
    assert (badge["message"], badge["color"]) == (message, colour)


def test_a_difference_that_is_not_zero_looks_like_it_in_no_face(
    tmp_path: Path,
) -> None:
    shifts = (
        comparison(published="91.2", difference=0.002),
        comparison("loss", "0.800000", difference=-4e-8),
    )
    made = [result(f"{n}M", comparisons=shifts) for n in range(1, 4)]
    report = report_of_results(made, [made_claim(ClaimVerdict.FAILS)])
    said = {
        "terminal": "\n".join(line for line, _ in table_lines(made, 200, "verbose"))
    }
    said["terminal"] += "\n".join(line for line, _ in claim_lines(report.claims, 200))
    for suffix in (".md", ".csv", ".html"):
        write_report(tmp_path / f"report{suffix}", report)
        said[suffix] = (tmp_path / f"report{suffix}").read_text()
    for face, text in said.items():
        assert "+0.002" in text, face
        assert "-4e-8" in text, face
        if face != ".csv":
            interval = "-0.0004 [-0.0005, -0.0003]"
            assert interval in text.replace("\\", ""), face
            assert "mean +0.002 points" in text, face


def test_markdown_begins_with_counts_and_what_is_not_reproduced(
    report: Report, tmp_path: Path
) -> None:
    write_report(tmp_path / "report.md", report)
    text = (tmp_path / "report.md").read_text()
    places = [
        text.index(part)
        for part in (
            "2 of 9 cases are red: ",
            "9 cases: 4 reproduced, 1 below, 1 above",
            "## Not reproduced",
            "`clip/synthetic+real/1M` top1 | 76.190 (-0.310), published 76.500: below",
            "## Why",
            "## Since run 7",
            "photograph\\_",
            "<details>",
            "`clip/synthetic+real/1M@plain` | top1 | 76.500 | 76.190 | -0.310 | -155",
        )
    ]
    assert places == sorted(places)


def test_markdown_of_a_thousand_cases_fits_a_job_summary(tmp_path: Path) -> None:
    many = [result(f"{n}M") for n in range(1, 6000)]
    write_report(tmp_path / "report.md", report_of_results(many))
    text = (tmp_path / "report.md").read_text()
    assert 900 * 1024 < len(text.encode()) < 1024 * 1024
    more = re.search(r"([\d,]+) more rows have no room", text)
    assert more
    shown = sum(line.startswith("| `") for line in text.splitlines())
    assert int(more[1].replace(",", "")) + shown == 2 * len(many)


def test_a_job_summary_of_reasons_alone_says_how_many_rows_it_lacks() -> None:
    many = [
        msgspec.structs.replace(result(f"{n}M", Verdict.FAILED), reason=f"{n:0500}")
        for n in range(1, 5001)
    ]
    text = markdown(report_of_results(many))
    assert 900 * 1024 < len(text.encode()) < 1024 * 1024
    _, _, folded = text.partition("\n\nThe rest has no room in the 1 MiB")
    assert "<summary>All 10,000 rows</summary>\n\n10,000 rows have no room" in folded
    assert folded.endswith("</details>\n")


@pytest.mark.parametrize("suffix", [".md", ".html"])
def test_text_from_elsewhere_is_shown_and_not_obeyed(
    report: Report, tmp_path: Path, suffix: str
) -> None:
    file = tmp_path / f"report{suffix}"
    write_report(file, report)
    text = file.read_text()
    assert HOSTILE not in text
    assert "<script>alert" not in text
    assert "alert" in text


def test_a_link_that_runs_code_is_text(
    results: list[CaseResult], tmp_path: Path
) -> None:
    first = results[0]
    comparisons = tuple(
        msgspec.structs.replace(c, source_url="javascript:alert(1)")
        for c in first.comparisons
    )
    changed = msgspec.structs.replace(first, comparisons=comparisons)
    write_report(tmp_path / "report.html", report_of_results([changed]))
    assert "javascript:" not in (tmp_path / "report.html").read_text()


def test_csv_has_all_fields_of_a_row(report: Report, tmp_path: Path) -> None:
    write_report(tmp_path / "report.csv", report)
    with (tmp_path / "report.csv").open(newline="") as stream:
        fields = next(csv.reader(stream))
    assert [*fields, "is_one_of_several"] == list(Row.__struct_fields__)


def test_an_unknown_suffix_is_an_error_that_names_the_known(
    report: Report, tmp_path: Path
) -> None:
    with pytest.raises(OptionError, match=r"must end with one of \.json, \.md"):
        write_report(tmp_path / "report.pdf", report)


def test_a_place_that_cannot_be_written_is_an_error(
    report: Report, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OptionError, match=r"report .*report.md cannot be written"):
        write_report(tmp_path / "file/report.md", report)


def test_every_face_tells_apart_two_results_of_one_case_and_two_sources(
    tmp_path: Path,
) -> None:
    numbers = (
        comparison(difference=0.01, source="table"),
        comparison(difference=0.05, source="figure"),
    )
    made = [
        result(
            comparisons=numbers,
            asked=Asked(settings={"checkpoints": f"/data/{name}"}, digest=name),
        )
        for name in ("A", "B")
    ]
    report = report_of_results(made)
    said = {}
    for suffix in (".md", ".csv", ".html", ".json"):
        write_report(tmp_path / f"report{suffix}", report)
        said[suffix] = (tmp_path / f"report{suffix}").read_text()
    said["terminal"] = "\n".join(line for line, _ in table_lines(made, 200, "verbose"))
    for text in said.values():
        assert "weights A" in text
        assert "weights B" in text
    for face in (".md", ".html", "terminal"):
        assert "top1 (table)" in said[face]
        assert "top1 (figure)" in said[face]
    bars = re.findall(r'title="(.\S+) of the tolerance"', said[".html"])
    tolerance = numbers[0].tolerance
    assert bars == [f"{d / tolerance:+.2f}" for d in (0.01, 0.05)] * 2
    anchors = re.findall(r'id="(case-[^"]+)"', said[".html"])
    assert anchors == [
        f"case-supervised/real/1M@plain_(weights_{name})" for name in ("A", "B")
    ]


def test_accepted_measurements_do_not_dilute_the_common_shift() -> None:
    published = [result(f"{n}M", difference=0.04) for n in range(1, 7)]
    accepted = [
        msgspec.structs.replace(
            one,
            comparisons=(*one.comparisons, comparison(source=MEASURED, difference=0.0)),
        )
        for one in published
    ]
    assert shift_of(accepted) == shift_of(published)


def test_what_is_met_beside_what_diverges_is_named_with_its_source() -> None:
    case = list_cases(read_releases(["embedded"]))[0]
    numbers = (
        comparison(difference=0.0, source="figure"),
        comparison(difference=-0.3, source="table", verdict=Verdict.BELOW),
        comparison(difference=0.0, source=MEASURED),
        comparison("loss", "0.800000", source="table"),
    )
    text = failure_text(case, result(verdict=Verdict.BELOW, comparisons=numbers))
    assert text.startswith("top1 (table) 76.200, published 76.500 (-150 images): ")
    (met,) = [line for line in text.splitlines() if line.startswith("  met ")]
    assert met.split(maxsplit=1)[1] == "top1 (figure), loss"


def test_a_part_of_the_images_stands_beside_its_interval_and_no_tolerance(
    tmp_path: Path,
) -> None:
    number = comparison(difference=-0.4, verdict=Verdict.INCONCLUSIVE)
    part = msgspec.structs.replace(number, interval=Interval(74.25, 78.5))
    limited = result(
        verdict=Verdict.INCONCLUSIVE,
        measurement=measurement(total=100_000),
        comparisons=(part,),
    )
    for made, is_part in ((limited, True), (result(comparisons=(number,)), False)):
        report = report_of_results([made])
        said = ["\n".join(line for line, _ in table_lines([made], 200, "verbose"))]
        for suffix in (".md", ".html"):
            write_report(tmp_path / f"report{suffix}", report)
            said.append((tmp_path / f"report{suffix}").read_text())
        for text in said:
            assert ("74.250 to 78.500" in text) == is_part
            assert ("on all images" in text) == is_part
        assert '<span class="m">76.100</span>' in said[2]
        for text in said[:2]:
            assert ("0.051" in text) == (not is_part)
        assert ('of the tolerance"' in said[2]) == (not is_part)


def test_a_case_that_is_broken_failed_in_every_face(tmp_path: Path) -> None:
    broken = result("2M", Verdict.FAILED, reason="it is cut off")
    report = report_of_results([result("1M"), broken])
    said = {"terminal": "\n".join(line for line, _ in table_lines(report.results, 80))}
    for suffix in (".md", ".html", ".json", ".csv"):
        write_report(tmp_path / f"report{suffix}", report)
        said[suffix] = (tmp_path / f"report{suffix}").read_text()
    assert "2 cases: 1 reproduced, 1 failed" in said["terminal"]
    assert "2 cases: 1 reproduced, 1 failed" in said[".md"]
    assert "<b>1</b> failed" in said[".html"]
    case = json.loads(said[".json"])["cases"][1]
    assert {case["verdict"], *(n["verdict"] for n in case["references"])} == {"failed"}
    assert said[".csv"].count(",failed,") == len(broken.comparisons)
    assert not any("not run" in text.split("<script>")[0] for text in said.values())


def test_columns_of_metrics_have_one_order_and_are_dropped_whole() -> None:
    loss = comparison("loss", "0.800000")
    cases = [
        result("1M", Verdict.INCONCLUSIVE, comparisons=(loss,)),
        result(
            "2M",
            Verdict.INCONCLUSIVE,
            comparisons=(comparison(), comparison("top5", "93.00"), loss),
        ),
    ]
    for width, metrics in ((80, ["top1", "top5", "loss"]), (36, ["top1"])):
        header = next(table_lines(cases, width))[0]
        assert header.split() == [word for m in metrics for word in (m, "diff")]
