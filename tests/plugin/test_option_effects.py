"""What each option does to a run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from repro.files import kept

from .conftest import ReleaseCopy, RunCases

ONE = ("-k", "supervised/real/80")


def test_strict_fails_what_is_missing(
    release: ReleaseCopy, run_cases: RunCases
) -> None:
    release.weights("supervised/real/80").unlink()
    run_cases(release, *ONE).assert_outcomes(skipped=1)
    run_cases(release, *ONE, "--repro-strict").assert_outcomes(failed=1)


def test_missing_images_are_skipped_with_the_place_to_name_them(
    release: ReleaseCopy, run_cases: RunCases, tmp_path: Path
) -> None:
    result = run_cases(release, "-rs", f"--repro-data={tmp_path / 'nowhere'}")
    result.assert_outcomes(skipped=3)
    result.stdout.fnmatch_lines(["*no images of *nowhere/val does not exist*"])


def test_checkpoints_and_data_elsewhere_are_taken_instead(
    release: ReleaseCopy, run_cases: RunCases, tmp_path: Path
) -> None:
    (release.folder / "checkpoints").rename(tmp_path / "weights")
    (release.folder / "val").rename(tmp_path / "val")
    result = run_cases(
        release,
        f"--repro-checkpoints={tmp_path / 'weights'}",
        f"--repro-data={tmp_path}",
    )
    result.assert_outcomes(passed=3)


def test_a_limit_settles_nothing(release: ReleaseCopy, run_cases: RunCases) -> None:
    result = run_cases(release, *ONE, "--repro-limit=60", "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*inconclusive*100 of 500 images*"])


def test_another_precision_settles_nothing(
    release: ReleaseCopy, run_cases: RunCases
) -> None:
    result = run_cases(release, *ONE, "--repro-precision=amp-bf16", "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(
        ["*inconclusive*measured in amp-bf16, published in fp32*"]
    )


def test_without_a_cache_nothing_is_kept_and_the_numbers_are_the_same(
    release: ReleaseCopy, run_cases: RunCases, tmp_path: Path
) -> None:
    shutil.rmtree(tmp_path / "cache")
    result = run_cases(release, "--repro-cache=none")
    result.assert_outcomes(passed=3)
    assert not (tmp_path / "cache").exists()


@pytest.mark.slow
@pytest.mark.parametrize("size", ["1", "7", "1000"])
def test_the_batch_size_changes_no_number(
    release: ReleaseCopy, run_cases: RunCases, size: str
) -> None:
    result = run_cases(release, *ONE, f"--repro-batch-size={size}")
    result.assert_outcomes(passed=1)


def test_a_batch_size_that_is_remembered_needs_a_cache(
    release: ReleaseCopy, run_cases: RunCases, tmp_path: Path
) -> None:
    asked = "--repro-batch-size=remembered"
    refused = run_cases(release, *ONE, asked, "--repro-cache=none")
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    result = run_cases(release, *ONE, asked)
    result.assert_outcomes(passed=1)
    (file,) = (tmp_path / "cache" / "batch-sizes").glob("*.size")
    assert int(kept(file) or 0) in (8, 16, 32, 64)


def test_an_unknown_device_is_one_clear_error(
    release: ReleaseCopy, run_cases: RunCases
) -> None:
    result = run_cases(release, *ONE, "--repro-device=tpu")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*--repro-device is 'tpu'; it must be auto, cpu*"])


def test_a_report_that_cannot_be_written_costs_no_result(
    release: ReleaseCopy, run_cases: RunCases, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    good = tmp_path / "good.json"
    result = run_cases(
        release,
        *ONE,
        f"--repro-report={tmp_path / 'file' / 'run.json'}",
        f"--repro-report={good}",
    )
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["1 case: 1 reproduced", f"report: {good}"])
    result.stdout.fnmatch_lines(["*run.json cannot be written: *"])


def test_the_json_report_is_the_documented_contract(
    release: ReleaseCopy, run_cases: RunCases, tmp_path: Path
) -> None:
    release.weights("supervised/real/160").unlink()
    file = tmp_path / "reports" / "run.json"
    result = run_cases(release, f"--repro-report={file}")
    result.stdout.fnmatch_lines([f"report: {file}"])
    report = json.loads(file.read_text())
    assert report["schema_version"] == 2
    assert report["environment"]["packages"]["torch"]
    cases = {case["id"]: case for case in report["cases"]}
    case = cases["supervised/real/80@digits-supervised"]
    published = release.published("supervised/real/80", "top1")
    assert case["images"] == 500
    assert case["verdict"] == "reproduced"
    assert case["metrics"]["top1"]["total"] == 500
    assert f"{case['metrics']['top1']['percent']:.2f}" == published
    assert case["metrics"]["top1"]["correct"] == round(float(published) * 5)
    assert 0 < case["metrics"]["calibration_error"] < 100
    top1 = next(r for r in case["references"] if r["metric"] == "top1")
    assert top1["printed"] == published
    assert top1["measured"] - top1["published"] == pytest.approx(top1["difference"])
    assert set(top1) >= {"tolerance", "verdict", "source"}
    missing = cases["supervised/real/160@digits-supervised"]
    assert missing["verdict"] == "not run"
    assert missing["metrics"] is None
    assert "no weights" in missing["reason"]
