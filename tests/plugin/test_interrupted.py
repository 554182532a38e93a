"""What a run that ended before its end did not measure is counted, in every face."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
from pathlib import Path

import pytest

from repro.plugin.recording import NO_TURN

from .conftest import ReleaseCopy, RunCases

SUFFIXES = ("json", "md", "csv", "html", "badge.json")
FIRST = "supervised/real/80"
WAYS = {
    "exitfirst": ["-x"],
    "maxfail": ["--maxfail=1"],
    "interrupt": ["-p", "interrupting"],
}
#: Interrupts a run after its first case, as SIGINT would.
INTERRUPTING = """
def pytest_runtest_logfinish():
    raise KeyboardInterrupt
"""


@pytest.mark.parametrize(
    "way", [*list(WAYS)[:2], pytest.param("interrupt", marks=pytest.mark.slow)]
)
def test_what_did_not_run_is_counted_in_the_summary_and_in_every_face(
    release: ReleaseCopy,
    run_cases: RunCases,
    pytester: pytest.Pytester,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
) -> None:
    if way == "interrupt":
        # In this process the interrupt would end the tests of repro too.
        monkeypatch.setattr(pytester, "runpytest", pytester.runpytest_subprocess)
    pytester.makepyfile(interrupting=INTERRUPTING)
    monkeypatch.setenv("PYTHONPATH", str(pytester.path), prepend=os.pathsep)
    pytester.syspathinsert()
    shutil.copy(release.weights("supervised/real/160"), release.weights(FIRST))
    files = {suffix: tmp_path / f"report.{suffix}" for suffix in SUFFIXES}
    reports = [f"--repro-report={file}" for file in files.values()]
    said = run_cases(release, *reports, "--junitxml=junit.xml", *WAYS[way])
    assert said.ret in (pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED)
    counted = "3 cases: 1 above, 2 not run"
    families = ["    supervised/real * 1", "    clip/real * 1"]
    said.stdout.fnmatch_lines([f"not run, {NO_TURN}: 2 cases", *families, counted])
    text = {suffix: file.read_text() for suffix, file in files.items()}
    assert counted in text["md"]
    assert text["md"].count(NO_TURN) == 1
    assert json.loads(text["badge.json"])["message"] == "0/3"
    verdicts = [case["verdict"] for case in json.loads(text["json"])["cases"]]
    assert sorted(verdicts) == ["above", "not run", "not run"]
    rows = list(csv.DictReader(text["csv"].splitlines()))
    assert {row["case"] for row in rows if row["verdict"] == "not run"} == {
        "supervised/real/160@digits-supervised",
        "clip/real/80@digits-clip",
    }
    assert counted in (pytester.path / "junit.xml").read_text()
    page = text["html"]
    assert page.count(NO_TURN) == 2
    assert re.search(r"stopped after [\d,]+ of 500 images", page)
    assert re.search(r"[\d.]+ to [\d.]+ % on all images \(99.9 %\)", page)
