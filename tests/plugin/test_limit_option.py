"""`--repro-limit` after a run of all images: compared with it image by image."""

from __future__ import annotations

from pathlib import Path

from .conftest import ReleaseCopy, RunCases

ONE = ("-k", "supervised/real/80", "-rs")


def test_a_subset_is_compared_with_an_earlier_full_run(
    release: ReleaseCopy, run_cases: RunCases, tmp_path: Path
) -> None:
    ledger = f"--repro-ledger={tmp_path / 'ledger'}"
    run_cases(release, *ONE, ledger).assert_outcomes(passed=1)
    run_cases(release, *ONE, ledger, "--repro-limit=60").assert_outcomes(skipped=1)
    result = run_cases(release, *ONE, ledger, "--repro-limit=200")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(
        ["all 200 images are decided as in run 1 (supervised/real/80@*)"]
    )
    published = release.published("supervised/real/80", "top1")
    result.stdout.fnmatch_lines(
        [
            "*inconclusive*all 200 images are decided as in run 1, which measured "
            f"{float(published):.3f} % on all images"
        ]
    )


def test_a_subset_of_other_weights_says_how_many_images_flipped(
    release: ReleaseCopy, run_cases: RunCases, tmp_path: Path
) -> None:
    ledger = f"--repro-ledger={tmp_path / 'ledger'}"
    run_cases(release, *ONE, ledger).assert_outcomes(passed=1)
    other = release.weights("supervised/real/160").read_bytes()
    release.weights("supervised/real/80").write_bytes(other)
    result = run_cases(release, *ONE, ledger, "--repro-limit=200")
    result.stdout.fnmatch_lines(
        [
            "  Since run 1, where it was met:",
            "    weights     ???????? → ????????",
            "    verdicts    of 200 images, * became right and * wrong *",
        ]
    )


def test_without_a_full_run_nothing_is_said(
    release: ReleaseCopy, run_cases: RunCases, tmp_path: Path
) -> None:
    ledger = f"--repro-ledger={tmp_path / 'ledger'}"
    for _ in range(2):
        result = run_cases(release, *ONE, ledger, "--repro-limit=60")
        assert "decided as in run" not in str(result.stdout)
