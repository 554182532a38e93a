"""A run that is spread over workers of xdist: one, looked at from all sides.

Each worker imports torch, which takes seconds, so one run serves all tests here.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from repro.judgement.verdict import Verdict
from repro.records.ledger import Ledger
from repro.report.for_programs import json_report

from .conftest import OTHER_STEPS, SUITE, ReleaseCopy, table_of

pytestmark = pytest.mark.slow

# Writes down, in the process that the user started, which report had a result.
CONFTEST = """
import os

def pytest_runtest_logreport(report):
    if "PYTEST_XDIST_WORKER" not in os.environ and hasattr(report, "repro"):
        test = report.nodeid.split("::")[1].split("[")[0]
        with open("travelled.txt", "a") as stream:
            print(test, report.when, report.repro["id"], file=stream)
"""


@dataclasses.dataclass(frozen=True)
class SpreadRun:
    """A run with two workers of three cases: one lacks its weights, one diverges."""

    folder: Path
    options: tuple[str, ...]
    done: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def spread(tmp_path_factory: pytest.TempPathFactory) -> SpreadRun:
    folder = tmp_path_factory.mktemp("spread")
    release = ReleaseCopy(folder / "release")
    release.keep("supervised/real/80", "supervised/real/160", "clip/real/80")
    release.weights("clip/real/80").unlink()
    release.bring_code()
    loss = release.published("supervised/real/80", "loss")
    release.edit("references.toml", (loss, "9.9"))
    (folder / "test_release.py").write_text(SUITE + OTHER_STEPS)
    (folder / "conftest.py").write_text(CONFTEST)
    options = (
        *("-p", "no:cacheprovider", "--repro-no-diagnose", "--repro-diverged-exit=10"),
        "--repro-run-code",
        f"--repro-expected={release.folder}",
        f"--repro-cache={folder / 'cache'}",
    )
    done = subprocess.run(
        (
            *(sys.executable, "-m", "pytest", "-n2", "--repro-report=report.json"),
            *options,
        ),
        cwd=folder,
        env={name: os.environ[name] for name in os.environ if "PYTEST" not in name},
        capture_output=True,
        text=True,
        check=False,
    )
    return SpreadRun(folder, options, done)


def test_workers_of_xdist_give_the_table_of_one_process(
    spread: SpreadRun, pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(test_release=SUITE + OTHER_STEPS)
    alone = pytester.runpytest("-p", "no:xdist", *spread.options)
    alone.assert_outcomes(passed=3, failed=1, errors=1, skipped=2)
    said = spread.done.stdout.splitlines()
    assert "1 failed, 3 passed, 2 skipped, 1 error" in said[-1]
    assert table_of(said) == table_of(alone.outlines)
    assert any(line.startswith("repro: expected release") for line in said)


def test_a_divergence_on_a_worker_has_the_exit_status_that_was_asked_for(
    spread: SpreadRun,
) -> None:
    assert spread.done.returncode == 10


def test_nothing_of_the_progress_of_workers_is_in_a_log_file(spread: SpreadRun) -> None:
    said = spread.done.stdout + spread.done.stderr
    for sign in ("images/s", "remain", "\x1b"):
        assert sign not in said


def test_what_workers_measure_is_in_the_ledger_with_all_that_the_report_says(
    spread: SpreadRun,
) -> None:
    with Ledger(spread.folder / ".repro") as ledger:
        run = ledger.find_run("last")
        kept = ledger.results(run.id)
    assert (run.planned, run.cases, run.exit_status) == (3, 3, 10)
    assert run.counts == {
        Verdict.REPRODUCED: 1,
        Verdict.BELOW: 1,
        Verdict.NOT_RUN: 1,
    }
    reported = json.loads((spread.folder / "report.json").read_bytes())["cases"]
    again = json.loads(msgspec.json.encode(json_report(kept, None)["cases"]))
    assert {c["id"]: c for c in again} == {c["id"]: c for c in reported}


def test_a_result_of_a_worker_travels_with_one_report_whatever_step_it_comes_of(
    spread: SpreadRun,
) -> None:
    travelled = (spread.folder / "travelled.txt").read_text().splitlines()
    clip = "clip/real/80@digits-clip"
    supervised = [f"supervised/real/{n}@digits-supervised" for n in (80, 160)]
    assert sorted(travelled) == sorted(
        [
            f"test_checkpoint call {clip}",
            f"test_setup setup {clip}",
            *(f"test_checkpoint call {case}" for case in supervised),
            *(f"test_teardown teardown {case}" for case in supervised),
        ]
    )
