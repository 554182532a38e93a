"""`repro runs`, `show`, `history`, `report` and `prune` read the ledger."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from repro.claims.result import ClaimResult, ClaimVerdict, Finding
from repro.cli import cli
from repro.cli.ledger import selection
from repro.judgement.compare import CaseDifference, Change, Since
from repro.judgement.verdict import Verdict
from repro.records.identity import GitState
from repro.records.ledger import Ledger
from repro.report.faces import write_report
from repro.report.report import report_of_run

from ..made_results import metrics, predictions, result

CASE = result("2M").id
CLAIM = ClaimResult(
    id="real-is-better",
    release="made",
    kind="ordering",
    text="Real images are better than any number of synthetic ones.",
    metric="top1",
    dataset="imagenet-val",
    protocol="plain",
    source="paper",
    source_title="a paper",
    source_url="https://example.org",
    expected="holds",
    verdict=ClaimVerdict.HOLDS,
    findings=(
        Finding(
            subject="top1 of supervised/real/2M better than supervised/real/1M by",
            value=1.5,
            interval=(0.5, 2.5),
            origin="images resampled",
            wanted="above 0",
            verdict=ClaimVerdict.HOLDS,
        ),
    ),
)

Command = Callable[..., str]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run a command on a ledger of three runs, on a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    folder = tmp_path / ".repro"
    with Ledger(folder, create=True) as ledger:
        for number, shift in enumerate((0.0, -0.31), start=1):
            verdict = Verdict.BELOW if shift else Verdict.REPRODUCED
            run = ledger.begin(f"run {number}", 2, [], GitState("0123abcd" * 5, "x"))
            ledger.record(run, result("1M"), predictions())
            seed = predictions(seed=number)
            ledger.record(run, result("2M", verdict, difference=shift), seed)
            ledger.record_claim(run, CLAIM)
            ledger.finish(run, int(bool(shift)))
        ledger.record(ledger.begin("killed", 2, [], GitState("", "")), result("1M"))

    def run_command(*arguments: str) -> str:
        done = CliRunner().invoke(
            cli, [*arguments, "--ledger", str(folder)], catch_exceptions=False
        )
        assert done.exit_code == 0
        assert max(map(len, done.output.splitlines())) <= 80
        return done.output

    return run_command


def test_runs_are_listed_newest_first(command: Command) -> None:
    _, _, *rows = command("runs").splitlines()
    assert [row.split()[0] for row in rows] == ["3", "2", "1"]
    assert "unfinished" in rows[0]
    assert "1/2" in rows[0]
    assert rows[1].split()[-6:-4] == ["2/2", "1"]
    assert rows[1].endswith("1 below, 1 reproduced")


def test_show_has_the_table_and_the_claims_of_a_run(command: Command) -> None:
    lines = command("show", "2").splitlines()
    assert lines[0].startswith("run 2, ")
    assert lines[1].startswith("took 0:00:0")
    assert lines[2] == f"commit {'0123abcd' * 5} with local changes"
    assert any(line.split()[:2] == ["2M", "top1"] and "below" in line for line in lines)
    place = lines.index("2 cases: 1 reproduced, 1 below")
    assert lines[place + 2 : place + 4] == [
        "holds     real-is-better",
        "    Real images are better than any number of synthetic ones.",
    ]
    assert "1.500 [0.500, 2.500]" in " ".join("".join(lines[place:]).split())
    assert lines[-1] == "1 claim: 1 holds"


def test_show_says_that_a_run_was_not_finished(command: Command) -> None:
    lines = command("show").splitlines()
    assert lines[1] == "unfinished, 1 of 2 cases"
    assert not any("claim" in line for line in lines)


def test_history_has_a_line_a_run_and_a_sparkline(command: Command) -> None:
    lines = command("history", CASE).splitlines()
    assert [line.split()[0] for line in lines[2:4]] == ["2", "1"]
    assert lines[2].endswith("below")
    assert lines[3].endswith("reproduced")
    assert any(line.startswith("top-1") and "▁" in line for line in lines)
    always = command("history", CASE, "-n", "1").splitlines()
    assert any(line.startswith("top-1") and "always" in line for line in always)


def test_what_chose_the_cases_of_a_run_is_said_once(tmp_path: Path) -> None:
    given = ["--repro-shard=1/2", "-k", "a b", "x.py::test", "--repro-shard=1/2", "-q"]
    with Ledger(tmp_path / "ledger", create=True) as ledger:
        ledger.begin("a", 1, given, GitState("", ""))
        (run,) = ledger.runs()
    assert selection(run) == "--repro-shard=1/2 -k 'a b' x.py::test"


def test_compare_fits_the_terminal_and_keeps_how_far_numbers_moved(
    command: Command,
) -> None:
    lines = command("compare", "1", "2").splitlines()
    (header,) = [line.split() for line in lines if line.startswith("case ")]
    assert header[0] == "case"
    assert {"points", "right", "wrong"} <= set(header)


@pytest.mark.parametrize("width", ["60", "80", "120"])
@pytest.mark.parametrize(
    "arguments", [("runs",), ("history",), ("history", CASE), ("compare", "1", "2")]
)
def test_no_name_and_no_number_is_cut_where_there_is_room(
    tmp_path: Path,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    width: str,
    arguments: tuple[str, ...],
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    done = CliRunner().invoke(
        cli, [*arguments, "--ledger", str(tmp_path / ".repro")], catch_exceptions=False
    )
    assert max(map(len, done.output.splitlines())) <= int(width)
    assert "…" not in done.output


def test_history_of_all_cases_has_a_line_each(command: Command) -> None:
    for arguments in ((), ("supervised/*",)):
        _, _, first, second = command("history", *arguments).splitlines()
        assert first.split() == [result("1M").id, "76.500", "reproduced", "▁▁▁"]
        assert second.split()[:5] == [CASE, "76.500", "below", "since", "run"]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_curves_and_verdicts_have_room_on_any_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    family, ran = "supervised/in-captions-cfg2.0", set(Verdict) - {Verdict.NOT_RUN}
    cases = [
        result(f"{number}M", verdict, family=family)
        for number, verdict in enumerate(sorted(ran), start=100)
    ]
    with Ledger(tmp_path, create=True) as ledger:
        for night in range(20):
            run = ledger.begin(str(night), len(cases), [], GitState("", ""))
            for case in cases:
                ledger.record(run, case)
    said = {
        name: CliRunner().invoke(cli, [name, "--ledger", str(tmp_path)]).output
        for name in ("history", "runs")
    }
    assert max(map(len, "\n".join(said.values()).splitlines())) <= width
    # The case that failed was not measured.
    curves = [line for line in said["history"].splitlines() if line.endswith("▁" * 8)]
    assert len(curves) == len(ran) - 1
    assert all(
        f" {verdict} " in f"{said['history']} ".replace("\n", " ") for verdict in ran
    )
    counts = " ".join(said["runs"].split())
    assert all(counts.count(f" 1 {verdict}") == 20 for verdict in ran)


def test_history_says_what_differed_when_a_case_became_red(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    numbers = metrics()
    other = Change("weights", "ab" * 32, "cd" * 32)
    difference = CaseDifference(
        case=CASE, before=numbers, after=numbers, weights=other, unknown=()
    )
    since = Since(1, Verdict.REPRODUCED, difference)
    nights = [result("2M"), result("2M", Verdict.BELOW, since=since)]
    with Ledger(tmp_path, create=True) as ledger:
        for number, night in enumerate([*nights, nights[1], nights[1]]):
            run = ledger.begin(str(number), 1, [], GitState("", ""))
            ledger.record(run, night)
        report = report_of_run(ledger, ledger.find_run("last"))
    done = CliRunner().invoke(cli, ["history", CASE, "--ledger", str(tmp_path)])
    *_, said, cause = done.output.splitlines()
    assert said.startswith("red since run 2, 20")
    assert cause == "  weights: abababab → cdcdcdcd"
    write_report(tmp_path / "report.html", report)
    page = (tmp_path / "report.html").read_text()
    assert said.replace("red", '<p class="when">Red') in page
    assert page.count("abababab → cdcdcdcd") == 1


def test_a_report_can_be_made_of_a_run_long_ago(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command("report", "1", "-o", "late.json")
    made = json.loads((tmp_path / "late.json").read_text())
    assert [case["verdict"] for case in made["cases"]] == ["reproduced"] * 2
    assert [claim["id"] for claim in made["claims"]] == ["real-is-better"]


def test_prune_says_what_it_removed(command: Command) -> None:
    said = command("prune", "--keep-runs", "1")
    # The last green run stays, whatever its age.
    assert said.startswith("removed 1 run and 1 set of predictions")
    assert "unfinished" in command("runs")
