"""`--repro-precision=guarded` in a run of pytest: verdicts, reports, taking over."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from repro.engine import guarding
from repro.judgement import guarded
from repro.records.ledger import Ledger

from .conftest import ReleaseCopy, RunCases

GUARDED = "--repro-precision=guarded"


@pytest.fixture
def forced(release: ReleaseCopy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guard few images on any processor, and publish no loss, which needs them all."""
    monkeypatch.setattr(guarding, "LEAST_IMAGES", 0)
    monkeypatch.setattr(guarding, "PAYS", float("inf"))
    monkeypatch.setattr(guarded, "LEAST_SAMPLE", 150)
    monkeypatch.setattr(guarded, "MOST", 1.0)
    file = release.folder / "references.toml"
    file.write_text(re.sub(r"(?m)^loss = .*\n", "", file.read_text()))


def cases(file: Path) -> dict[str, Any]:
    return {case["id"]: case for case in json.loads(file.read_text())["cases"]}


@pytest.mark.usefixtures("forced")
def test_verdicts_are_those_of_float32_and_every_face_says_how_they_came(
    release: ReleaseCopy, run_cases: RunCases, tmp_path: Path, pytester: pytest.Pytester
) -> None:
    faces = [tmp_path / f"run.{kind}" for kind in ("json", "md", "html")]
    result = run_cases(release, GUARDED, *(f"--repro-report={f}" for f in faces))
    result.assert_outcomes(passed=3)
    said = "Decisions are those of float32 in 3 guarded cases: amp-bf16"
    for text in (result.stdout.str(), faces[1].read_text(), faces[2].read_text()):
        assert said in " ".join(text.split())
    for case in cases(faces[0]).values():
        assert case["precision"] == "fp32"
        assert case["guarded"]["cheap"] == "amp-bf16"
        assert 0 < case["guarded"]["recomputed"] < 500
        assert case["metrics"]["calibration_error"] is None
        with Ledger(pytester.path / ".repro") as ledger:
            kept = ledger.predictions(1, case["id"], case["key"])
        assert kept is not None
        assert kept.recomputed is not None
        assert kept.recomputed.sum() == case["guarded"]["recomputed"]


@pytest.mark.usefixtures("forced")
def test_a_guarded_run_takes_over_from_a_plain_one_and_not_the_other_way_round(
    release: ReleaseCopy, run_cases: RunCases
) -> None:
    run_cases(release, GUARDED)
    plain = run_cases(release, "--repro-resume")
    assert "taken over" not in plain.stdout.str()
    again = run_cases(release, GUARDED, "--repro-resume")
    again.stdout.fnmatch_lines(["taken over from run *"])
    release.edit("references.toml", ('top1 = "70.00"', 'top1 = "71.00"'))
    judged = run_cases(release, GUARDED, "--repro-resume")
    judged.assert_outcomes(passed=2, failed=1)
    judged.stdout.fnmatch_lines(["*environment *fp32 (guarded: amp-bf16, and *"])


def test_where_it_does_not_pay_everything_is_float32_and_that_is_said(
    release: ReleaseCopy, run_cases: RunCases
) -> None:
    result = run_cases(release, GUARDED)
    result.assert_outcomes(passed=3)
    said = " ".join(result.stdout.str().split())
    assert (
        "3 cases wholly in float32 (guarded does not pay here: 500 images are too few "
        "to learn from a part of them)." in said
    )
