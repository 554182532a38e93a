"""What a nightly run needs: a baseline, and an exit status for a divergence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import ReleaseCopy, RunCases

ONE = ("-k", "supervised/real/80")


@pytest.fixture
def release(quick_release: ReleaseCopy) -> ReleaseCopy:
    return quick_release


def diverge(release: ReleaseCopy) -> None:
    published = release.published("supervised/real/80", "loss")
    release.edit("references.toml", (published, "9.9"))


def test_a_divergence_has_the_exit_status_that_was_asked_for(
    release: ReleaseCopy, run_cases: RunCases
) -> None:
    diverge(release)
    assert run_cases(release, *ONE, "--repro-diverged-exit=10").ret == 10
    assert run_cases(release, *ONE).ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.slow
@pytest.mark.parametrize("stop", ["--exitfirst", "--maxfail=1"])
@pytest.mark.parametrize("workers", [(), ("-n2",)])
def test_a_divergence_that_ends_the_run_has_the_same_exit_status(
    release: ReleaseCopy, run_cases: RunCases, stop: str, workers: tuple[str, ...]
) -> None:
    diverge(release)
    assert run_cases(release, stop, *workers, "--repro-diverged-exit=10").ret == 10


def test_what_breaks_has_the_exit_status_of_pytest(
    release: ReleaseCopy, run_cases: RunCases
) -> None:
    release.weights("supervised/real/80").write_bytes(b"damaged")
    result = run_cases(release, "--repro-diverged-exit=10")
    result.assert_outcomes(passed=2, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_a_good_run_has_the_exit_status_zero(
    release: ReleaseCopy, run_cases: RunCases
) -> None:
    assert run_cases(release, *ONE, "--repro-diverged-exit=10").ret == 0


def test_images_that_flipped_since_the_last_green_run_are_in_the_report(
    release: ReleaseCopy, run_cases: RunCases, tmp_path: Path
) -> None:
    file = tmp_path / "report.json"
    report = f"--repro-report={file}"
    options = (*ONE, "--repro-baseline=green", "--repro-no-early-stop", report)
    run_cases(release, *options).assert_outcomes(passed=1)
    assert json.loads(file.read_text())["baseline"] is None
    other = release.weights("supervised/real/160").read_bytes()
    release.weights("supervised/real/80").write_bytes(other)
    run_cases(release, *options).assert_outcomes(failed=1)
    baseline = json.loads(file.read_text())["baseline"]
    assert baseline["run"] == 1
    (flips,) = baseline["flips"].values()
    gained = sum(flip["after"] == flip["label"] for flip in flips)
    lost = sum(flip["before"] == flip["label"] for flip in flips)
    published = [
        float(release.published(f"supervised/real/{n}", "top1")) for n in (80, 160)
    ]
    assert gained - lost == round((published[1] - published[0]) * 5)
    assert flips[0]["image"].endswith(".jpg")


def test_a_baseline_that_is_not_there_is_one_error_before_anything_is_measured(
    release: ReleaseCopy, run_cases: RunCases
) -> None:
    result = run_cases(release, "--repro-baseline=7")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*has no run '7'*"])


@pytest.mark.parametrize("text", ["0", "256", "green"])
def test_an_impossible_exit_status_is_an_error(
    release: ReleaseCopy, run_cases: RunCases, text: str
) -> None:
    result = run_cases(release, f"--repro-diverged-exit={text}")
    said = "\n".join([*result.outlines, *result.errlines])
    assert f"--repro-diverged-exit is '{text}'; it must be" in said
