"""Known divergences, subsets and hopeless runs, as pytest shows them."""

from __future__ import annotations

import json
from pathlib import Path

from .conftest import ReleaseCopy, RunCases

KNOWN = 'xfail = "measured on a damaged copy, https://example.org/issue/7"\n'


def test_a_known_divergence_is_an_expected_failure(
    release: ReleaseCopy, run_cases: RunCases
) -> None:
    _declare(release, "12.34")
    result = run_cases(release, "-rx")
    result.assert_outcomes(passed=2, xfailed=1)
    result.stdout.fnmatch_lines(
        [
            "3 cases: 2 reproduced, 1 expected divergence",
            "XFAIL * - *measured on a damaged copy, https://example.org/issue/7*",
        ]
    )


def test_a_known_divergence_that_is_met_fails(
    release: ReleaseCopy, run_cases: RunCases
) -> None:
    _declare(release, release.published("supervised/real/80", "top1"))
    result = run_cases(release)
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        [
            "top1 *, published *: supervised/real/80@* meets what was published, "
            "though it is declared not*",
            "*declared *remove xfail from *references.toml: reference 1*",
            "3 cases: 2 reproduced, 1 unexpectedly met",
        ]
    )


def test_a_subset_is_inconclusive_with_its_interval(
    release: ReleaseCopy, run_cases: RunCases, tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    result = run_cases(release, "--repro-limit=100", f"--repro-report={report}", "-rs")
    result.assert_outcomes(skipped=3)
    result.stdout.fnmatch_lines(
        ["*100 of 500 images; measured top-1 * % (* to * on all images)*"]
    )
    for case in json.loads(report.read_text())["cases"]:
        top1 = case["references"][0]
        assert top1["interval"]["low"] < top1["published"] < top1["interval"]["high"]


def test_a_subset_far_off_is_a_divergence(
    release: ReleaseCopy, run_cases: RunCases
) -> None:
    _shift(release, "12.34")
    result = run_cases(release, "--repro-limit=100")
    result.assert_outcomes(skipped=2, failed=1)
    result.stdout.fnmatch_lines(
        ["    difference * to *% on all images (99.9 %)", "*100 of 500 images*"]
    )


def test_a_hopeless_run_stops_early_unless_told_not_to(
    release: ReleaseCopy, run_cases: RunCases
) -> None:
    _shift(release, "12.34")
    chosen = ("-k", "supervised/real/80")
    stopped = run_cases(release, *chosen)
    stopped.stdout.fnmatch_lines(
        ["*stopped after 100 of 500 images, since the outcome was beyond doubt*"]
    )
    complete = run_cases(release, "--repro-no-early-stop", *chosen)
    complete.assert_outcomes(failed=1)
    complete.stdout.fnmatch_lines(["*CC BY 4.0), 500 images, fingerprint*"])


def _shift(release: ReleaseCopy, top1: str) -> None:
    """Publish another top-1 for supervised/real/80."""
    path = release.folder / "references.toml"
    published = release.published("supervised/real/80", "top1")
    before, mark, after = path.read_text().partition('checkpoint = "80"')
    assert mark
    changed = after.replace(f'top1 = "{published}"', f'top1 = "{top1}"', 1)
    path.write_text(before + mark + changed)


def _declare(release: ReleaseCopy, top1: str) -> None:
    """Publish a top-1 for supervised/real/80 alone that is known not to be met."""
    path = release.folder / "references.toml"
    head, *tables = path.read_text().split("[[reference]]\n")
    for place, table in enumerate(tables):
        if 'family = "supervised/real"\ncheckpoint = "80"' in table:
            kept = table.split("top1")[0]
            tables[place] = f'{kept}top1 = "{top1}"\n{KNOWN}'
    path.write_text("".join([head, *(f"[[reference]]\n{t}" for t in tables)]))
