"""`--repro-shard I/N` runs a part, and `repro merge` joins the parts into one run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from repro.cli import cli
from repro.planning.costs import Costs
from repro.records.ledger import Ledger

from .conftest import ReleaseCopy, RunCases

# Else the quickest size counts, which rounds losses in another way each time.
BATCHES = "--repro-batch-size=50"


def run_shard(
    release: ReleaseCopy, run_cases: RunCases, shard: str, folder: Path, *options: str
) -> pytest.RunResult:
    ledger = f"--repro-ledger={folder}"
    return run_cases(release, f"--repro-shard={shard}", ledger, BATCHES, *options)


def merge(release: ReleaseCopy, target: Path, *parts: object) -> Result:
    arguments = ["--ledger", str(target), "--expected", str(release.folder)]
    return CliRunner().invoke(cli, ["merge", *arguments, *map(str, parts)])


def without_times(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_text())
    del content["run"]
    del content["claims"]  # this suite does not ask for them; `repro merge` does
    content.pop("started", None)
    for case in content["cases"]:
        assert case.pop("seconds") > 0
    return content


@pytest.mark.slow
def test_the_parts_together_give_the_report_of_one_run(
    release: ReleaseCopy, run_cases: RunCases, tmp_path: Path
) -> None:
    whole, merged = tmp_path / "whole.json", tmp_path / "merged.json"
    run_cases(release, BATCHES, f"--repro-report={whole}")
    parts = [tmp_path / "one", tmp_path / "two"]
    for number, part in enumerate(parts, 1):
        assert run_shard(release, run_cases, f"{number}/2", part).ret == 0
    result = merge(release, tmp_path / "all", *parts, "-o", str(merged))
    assert result.exit_code == 0
    assert "3 cases: 3 reproduced" in result.output
    assert len(json.loads(merged.read_text())["claims"]) == len(release.read().claims)
    assert without_times(merged) == without_times(whole)
    with Ledger(tmp_path / "all") as ledger:
        (run,) = ledger.runs()
        assert (run.planned, run.cases, run.exit_status) == (3, 3, 0)
        case = "supervised/real/80@digits-supervised"
        kept = ledger.predictions(run.id, case)
        assert kept is not None
        assert len(kept.labels) == 500


@pytest.mark.slow
def test_a_part_that_failed_makes_the_whole_fail(
    release: ReleaseCopy, run_cases: RunCases, tmp_path: Path
) -> None:
    release.edit("references.toml", (release.published("clip/real/80", "loss"), "9.9"))
    parts = [tmp_path / "one", tmp_path / "two"]
    statuses = [
        run_shard(release, run_cases, f"{number}/2", part).ret
        for number, part in enumerate(parts, 1)
    ]
    assert sorted(statuses) == [0, 1]
    result = merge(release, tmp_path / "all", *parts)
    assert result.exit_code == 1
    assert "1 above" in result.output or "1 below" in result.output


def test_more_parts_than_cases_are_fine_and_a_missing_one_is_named(
    release: ReleaseCopy, run_cases: RunCases, tmp_path: Path
) -> None:
    release.keep("supervised/real/80")
    first, second = tmp_path / "one", tmp_path / "two"
    run_shard(release, run_cases, "1/2", first).assert_outcomes(passed=1)
    assert run_shard(release, run_cases, "2/2", second).ret == 0
    result = merge(release, tmp_path / "all", first)
    assert result.exit_code != 0
    assert "shards 1/2; 2/2 is missing" in str(result.exception)
    assert merge(release, tmp_path / "all", first, second).exit_code == 0
    again = merge(release, tmp_path / "all", first, second)
    assert "are run 1 of" in str(again.exception)


def test_a_claim_that_fails_when_parts_are_merged_is_a_divergence_of_them(
    release: ReleaseCopy, run_cases: RunCases, tmp_path: Path
) -> None:
    release.keep("supervised/real/80", "supervised/real/160")
    (release.folder / "claims.toml").write_text(
        """
        [[claim]]
        id = "worse"
        kind = "ordering"
        text = "More images are worse."
        source = "make"
        dataset = "digits-val"
        protocol = "digits-supervised"
        metric = "top1"
        order = ["supervised/real", "supervised/real"]
        checkpoints = [["80", "160"]]
        """
    )
    parts = [tmp_path / "one", tmp_path / "two"]
    for number, part in enumerate(parts, 1):
        asked = "--repro-diverged-exit=10"
        assert run_shard(release, run_cases, f"{number}/2", part, asked).ret == 0
    result = merge(release, tmp_path / "all", *parts)
    assert result.exit_code == 10
    assert result.output.count("1 claim: 1 fails") == 1
    with Ledger(tmp_path / "all") as ledger:
        assert ledger.find_run("last").exit_status == 10


@pytest.mark.slow
def test_runs_of_one_ledger_are_merged_by_their_numbers(
    release: ReleaseCopy, run_cases: RunCases, tmp_path: Path
) -> None:
    ledger = tmp_path / "shared"
    for shard in ("1/2", "2/2"):
        run_shard(release, run_cases, shard, ledger)
    result = merge(release, ledger, f"{ledger}:1", f"{ledger}:2")
    assert result.exit_code == 0
    same = merge(release, tmp_path / "other", f"{ledger}:1", f"{ledger}:1")
    assert "2/2 is missing" in str(same.exception)


@pytest.mark.slow
def test_recorded_costs_balance_the_parts(
    release: ReleaseCopy, run_cases: RunCases, tmp_path: Path
) -> None:
    slow = "supervised/real/80@digits-supervised"
    costs = tmp_path / "costs.json"
    others = ("supervised/real/160@digits-supervised", "clip/real/80@digits-clip")
    Costs(seconds={slow: 100.0, **dict.fromkeys(others, 1.0)}).write(costs)
    option = f"--repro-costs={costs}"
    run_shard(release, run_cases, "1/2", tmp_path / "one", option)
    with Ledger(tmp_path / "one") as ledger:
        assert [result.id for result in ledger.results(1)] == [slow]
    result = run_shard(release, run_cases, "2/2", tmp_path / "two", option)
    result.assert_outcomes(passed=2, deselected=1)
    result.stdout.fnmatch_lines(["*, shard 2/2", "repro: 2 cases, * 0:00:0[23] *"])


def test_a_shard_that_is_none_says_what_is_allowed(
    release: ReleaseCopy, run_cases: RunCases
) -> None:
    result = run_cases(release, "--repro-shard=3/2")
    assert result.ret != 0
    result.stderr.fnmatch_lines(["*--repro-shard is '3/2'; it must be I/N with*"])
