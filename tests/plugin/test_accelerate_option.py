"""`--repro-accelerate`: what is wanted, what became of it, and where that is said."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from .conftest import SUITE, ReleaseCopy, RunCases

ONE = ("-k", "supervised/real/80", "--repro-batch-size=50")


def measured(release: ReleaseCopy, run_cases: RunCases, names: str) -> dict[str, Any]:
    """Run a case and give what the JSON report says of it."""
    report: Path = release.folder / "report.json"
    options = f"--repro-accelerate={names}", f"--repro-report={report}"
    run_cases(release, *ONE, *options).assert_outcomes(passed=1)
    (case,) = json.loads(report.read_text())["cases"]
    assert case["verdict"] == "reproduced"
    found: dict[str, Any] = case
    return found


def test_what_cannot_be_had_here_is_in_the_report_with_its_reason(
    release: ReleaseCopy, run_cases: RunCases
) -> None:
    case = measured(release, run_cases, "cuda-graphs")
    assert case["accelerations"] == [
        {
            "name": "cuda-graphs",
            "used": False,
            "difference": None,
            "reason": "it needs a CUDA device",
        }
    ]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler")
def test_a_compiled_model_reproduces_the_number_and_the_report_says_so(
    release: ReleaseCopy, run_cases: RunCases
) -> None:
    (tried,) = measured(release, run_cases, "compile")["accelerations"]
    assert tried["used"], tried["reason"]
    assert tried["difference"] <= 1e-4


@pytest.mark.slow
def test_without_a_compiler_the_number_is_reproduced_and_the_report_says_why(
    release: ReleaseCopy, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", str(release.folder / "no-compiler"))
    monkeypatch.setenv("TORCHINDUCTOR_FORCE_DISABLE_CACHES", "1")
    pytester.makepyfile(test_release=SUITE)
    report = release.folder / "report.json"
    # A process of its own: torch looks for the compiler once.
    result = pytester.runpytest_subprocess(
        *ONE,
        f"--repro-expected={release.folder}",
        "--repro-cache=none",
        "--repro-accelerate=compile",
        f"--repro-report={report}",
    )
    result.assert_outcomes(passed=1)
    (case,) = json.loads(report.read_text())["cases"]
    assert case["verdict"] == "reproduced"
    (tried,) = case["accelerations"]
    assert not tried["used"]
    assert "no-compiler" in tried["reason"]
