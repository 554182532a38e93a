"""`--repro-baseline` and `repro compare`: what has changed between two runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from repro.cli import cli

from .conftest import ReleaseCopy, RunCases


def test_an_unchanged_night_says_that_nothing_changed(
    release: ReleaseCopy, run_cases: RunCases, tmp_path: Path
) -> None:
    ledger = f"--repro-ledger={tmp_path / 'ledger'}"
    run_cases(release, ledger, "--repro-baseline=last").assert_outcomes(passed=3)
    result = run_cases(release, ledger, "--repro-baseline=last")
    result.stdout.fnmatch_lines(
        [
            "run 1 → run 2: nothing changed: 3 cases, every image as before",
            "environment: the same",
        ]
    )


@pytest.mark.slow
def test_other_weights_are_named_with_the_images_that_flipped(
    release: ReleaseCopy,
    run_cases: RunCases,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    ledger = f"--repro-ledger={tmp_path / 'ledger'}"
    run_cases(release, ledger).assert_outcomes(passed=3)
    other = release.weights("supervised/real/160").read_bytes()
    release.weights("supervised/real/80").write_bytes(other)
    options = (ledger, "--repro-baseline=1", "--repro-no-early-stop")
    result = run_cases(release, *options)
    said = str(result.stdout)
    before, after = (
        release.published(f"supervised/real/{n}", "top1") for n in (80, 160)
    )
    right, wrong = _flips(said)
    assert right - wrong == round(5 * (float(after) - float(before)))
    assert "1 of 3 cases changed" in said
    assert "more than chance in supervised/real/80@digits-supervised" in said
    row = next(line for line in said.splitlines() if line.endswith("weights"))
    assert row.split()[:3] == [
        "supervised/real/80@digits-supervised",
        f"{float(before):.3f}",
        f"{float(after):.3f}",
    ]

    answered = CliRunner().invoke(
        cli, ["compare", "1", "2", "--ledger", str(tmp_path / "ledger")]
    )
    assert answered.exit_code == 0
    assert all(line in said for line in answered.output.splitlines())


def test_a_case_that_was_met_before_begins_with_what_changed(
    release: ReleaseCopy, run_cases: RunCases, tmp_path: Path
) -> None:
    one = ("-k", "supervised/real/80", "--repro-no-early-stop")
    ledger = f"--repro-ledger={tmp_path / 'ledger'}"
    run_cases(release, *one, ledger).assert_outcomes(passed=1)
    release.keep("supervised/real/80")
    published = release.published("supervised/real/80", "top1")
    release.edit("references.toml", (f'top1 = "{published}"', 'top1 = "12.34"'))
    images = sorted((release.folder / "val").rglob("*.jpg"))[:12]
    for number, file in enumerate(images):
        Image.new("L", (32, 32), 10 * number).save(file)
    result = run_cases(release, *one, ledger)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "  Since run 1, where it was met:",
            f"    published   top1 {published} → 12.34 (edited since)",
            "    images      12 of 500 images have other bytes under the same name: *",
            "    replaced    of 12 evaluated, * were right then, * are right now: *",
            "    the others  all 488 images are decided as then",
            "  top1",
        ]
    )
    said = str(run_cases(release, *one, "--repro-ledger=none").stdout)
    assert "12.34" in said
    assert "Since run" not in said


def _flips(said: str) -> tuple[int, int]:
    match = re.search(r"(\d+) images? became right and (\d+) wrong", said)
    assert match
    return int(match[1]), int(match[2])
