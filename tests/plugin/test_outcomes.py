"""What is wrong with one case has a clear outcome and leaves the others alone."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from repro.judgement.verdict import Verdict
from repro.records.ledger import Ledger

from .conftest import SUITE, ReleaseCopy, RunCases


def test_a_faithful_release_is_reproduced(
    release: ReleaseCopy, run_cases: RunCases
) -> None:
    result = run_cases(release)
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["3 cases: 3 reproduced"])


def test_what_a_project_sets_for_its_own_tensors_changes_no_outcome(
    release: ReleaseCopy, run_cases: RunCases, pytester: pytest.Pytester
) -> None:
    pytester.makeconftest(
        """
        import pytest, torch

        @pytest.fixture(autouse=True)
        def of_this_project():
            torch.set_default_dtype(torch.float64)
            torch.set_default_device("meta")
            yield
            torch.set_default_dtype(torch.float32)
            torch.set_default_device(None)
        """
    )
    run_cases(release).assert_outcomes(passed=3)


def test_six_faults_have_six_outcomes_and_harm_nobody_else(
    release: ReleaseCopy, run_cases: RunCases, tmp_path: Path
) -> None:
    full = ReleaseCopy(tmp_path / "full")
    real = ("80", "160", "320", "640", "1280")
    full.keep(*(f"supervised/real/{name}" for name in real), "clip/real/80")
    # One damaged, one missing, one of another architecture.
    weights = full.weights("supervised/real/80")
    weights.write_bytes(weights.read_bytes()[:-1000])
    full.weights("supervised/real/160").unlink()
    shutil.copy(full.weights("clip/real/80"), full.weights("supervised/real/320"))
    # One published value off by 0.1 points.
    published = full.published("supervised/real/640", "top1")
    off = f"{float(published) + 0.1:.2f}"
    _shift(full, "640", published, off)
    # Two more datasets: one with an unreadable image, one with a class too few.
    for name in ("unreadable", "incomplete"):
        shutil.copytree(full.folder / "val", full.folder / name)
        _add_dataset(full, name)
    unreadable = next((full.folder / "unreadable" / "3").iterdir())
    unreadable.write_bytes(unreadable.read_bytes()[:100])
    shutil.rmtree(full.folder / "incomplete" / "7")

    result = run_cases(full)

    result.assert_outcomes(passed=2, failed=5, skipped=1)
    text = " ".join((str(result.stdout)).split())
    assert re.search(r"real/80\.pt .*is damaged", text)
    assert re.search(
        r"no weights: .*real has no 160\.pt; get 160\.pt from its pub", text
    )
    assert re.search(r"real/320\.pt does not fit timm .*keys are missing", text)
    assert "supervised/real/640@digits-supervised diverges from what" in text
    assert f"published {off} %" in re.sub(" +", " ", text)
    assert re.search(rf"{re.escape(str(unreadable))} .*cannot be decoded", text)
    assert re.search(r"incomplete: it is not .*: of its 10 .* 1 is missing", text)
    assert "last met" not in text
    assert "Traceback" not in text
    result.stdout.fnmatch_lines(["8 cases: 2 reproduced, 1 below, 1 not run, 4 failed"])


@pytest.mark.parametrize(
    ("line", "options", "why"),
    [
        ("assert 1 == 2", (), "assert 1 == 2"),
        ("", ("--repro-limit=100", "--repro-strict"), "100 of 500 images"),
    ],
)
def test_what_fails_by_no_number_is_failed_in_reports_too(
    release: ReleaseCopy,
    pytester: pytest.Pytester,
    line: str,
    options: tuple[str, ...],
    why: str,
) -> None:
    release.keep("supervised/real/80")
    pytester.makepyfile(f"{SUITE}    {line}\n")
    run = pytester.runpytest(
        f"--repro-expected={release.folder}",
        *("--repro-report=report.json", "--repro-report=report.md", *options),
    )
    run.assert_outcomes(failed=1)
    run.stdout.fnmatch_lines(["1 case: 1 failed"])
    (case,) = json.loads(Path("report.json").read_text())["cases"]
    assert case["verdict"] == "failed"
    assert why in case["reason"]
    assert case["metrics"]["top1"]["total"] == (100 if options else 500)
    assert why in Path("report.md").read_text().partition("## ")[0]


@pytest.mark.parametrize("workers", [(), ("-n1",)])
def test_a_case_whose_teardown_fails_is_failed_with_its_numbers(
    release: ReleaseCopy, pytester: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    release.keep("supervised/real/80")
    pytester.makepyfile(
        SUITE.replace("case, reproduce", "case, broken, reproduce")
        + """
@pytest.fixture
def broken():
    yield
    raise ValueError("the teardown broke")
"""
    )
    run = pytester.runpytest(
        f"--repro-expected={release.folder}", "--repro-report=report.json", *workers
    )
    run.assert_outcomes(passed=1, errors=1)
    run.stdout.fnmatch_lines(["1 case: 1 failed"])
    (case,) = json.loads(Path("report.json").read_text())["cases"]
    assert (case["verdict"], case["metrics"]["top1"]["total"]) == ("failed", 500)
    assert case["reason"] == "ValueError: the teardown broke"
    with Ledger(pytester.path / ".repro") as ledger:
        (kept,) = ledger.results(1)
    assert kept.verdict is Verdict.FAILED


def test_a_divergence_says_which_side_measured_what(
    release: ReleaseCopy, run_cases: RunCases
) -> None:
    published = release.published("supervised/real/80", "top1")
    _shift(release, "80", published, "12.34")
    result = run_cases(release, "-k", "supervised/real/80", "--repro-no-early-stop")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            f"top1 {published}, published 12.34 (+* images): "
            "supervised/real/80@digits-supervised diverges from what was published",
            "*published *12.34 %*make_embedded_release.py*",
            f"*measured *{published} %",
            "*difference *points = *images (better), tolerance *points = *images (25 *",
            "*protocol *digits-supervised: rgb|resize(32,bilinear)|center_crop(28)*",
            "*environment *torch *Pillow *Python *",
        ]
    )


def test_the_summary_of_pytest_has_one_line_a_case_also_in_ci(
    release: ReleaseCopy, run_cases: RunCases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    published = release.published("supervised/real/80", "top1")
    _shift(release, "80", published, "12.34")
    result = run_cases(release, "-k", "supervised/real", "--repro-no-early-stop")
    said = [str(line) for line in result.outlines]
    start = next(n for n, line in enumerate(said) if "short test summary" in line)
    (summary,) = said[start + 1 : -1]
    case = "supervised/real/80@digits-supervised"
    images = round((float(published) - 12.34) * 5)
    assert summary == (
        f"FAILED test_release.py::test_checkpoint[{case}] - "
        f"top1 {published}, published 12.34 ({images:+} images): "
        f"{case} diverges from what was published"
    )


def test_an_improvement_is_a_divergence_too(
    release: ReleaseCopy, run_cases: RunCases
) -> None:
    published = release.published("supervised/real/80", "top1")
    _shift(release, "80", published, f"{float(published) - 0.2:.2f}")
    result = run_cases(release)
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["3 cases: 2 reproduced, 1 above"])


def test_a_checkpoint_without_a_number_is_skipped_as_unreferenced(
    release: ReleaseCopy, run_cases: RunCases
) -> None:
    shutil.copy(
        release.weights("supervised/real/80"), release.weights("supervised/real/81")
    )
    result = run_cases(release, "-rs")
    result.assert_outcomes(passed=3, skipped=1)
    result.stdout.fnmatch_lines(
        [
            "4 cases: 3 reproduced, 1 unreferenced",
            "SKIPPED * unreferenced: no published number to compare with; measured *",
        ]
    )


def test_shuffled_labels_are_named_as_the_likely_cause(
    release: ReleaseCopy, run_cases: RunCases
) -> None:
    folders = [release.folder / "val" / str(digit) for digit in range(10)]
    for folder in folders:
        folder.rename(folder.with_name(f"was-{folder.name}"))
    for digit, folder in enumerate(folders):
        moved = folder.with_name(f"was-{(digit + 3) % 10}")
        moved.rename(folder)
    result = run_cases(release, "-k", "supervised/real/160")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*order of the labels is likely the cause*"])


def test_a_number_of_one_of_two_families_is_met_by_either(
    release: ReleaseCopy, run_cases: RunCases
) -> None:
    _share_with_synthetic(release)
    result = run_cases(release, "-rs")
    result.assert_outcomes(passed=3, skipped=1)
    result.stdout.fnmatch_lines(
        ["*the source measured supervised/real/80, which meets the number*"]
    )


def test_a_number_that_neither_family_meets_fails_for_both(
    release: ReleaseCopy, run_cases: RunCases
) -> None:
    published = release.published("supervised/real/80", "top1")
    _share_with_synthetic(release)
    _shift(release, "80", published, "12.34")
    result = run_cases(release)
    result.assert_outcomes(passed=2, failed=2)


def test_a_number_settles_nothing_while_the_other_family_is_missing(
    release: ReleaseCopy, run_cases: RunCases
) -> None:
    _share_with_synthetic(release)
    release.weights("supervised/real/80").unlink()
    result = run_cases(release, "-rs")
    result.assert_outcomes(passed=2, skipped=2)
    result.stdout.fnmatch_lines(
        ["*inconclusive*supervised/real/80 was not measured: no weights*"]
    )


def _shift(release: ReleaseCopy, name: str, published: str, value: str) -> None:
    """Change top-1 of the supervised/real checkpoint of that name."""
    path = release.folder / "references.toml"
    before, mark, after = path.read_text().partition(f'checkpoint = "{name}"')
    assert mark
    path.write_text(
        before + mark + after.replace(f'top1 = "{published}"', f'top1 = "{value}"', 1)
    )


def _share_with_synthetic(release: ReleaseCopy) -> None:
    """Let the number of supervised/real/80 belong to supervised/synthetic or to it."""
    path = release.folder / "references.toml"
    text = path.read_text()
    shared = '["supervised/synthetic", "supervised/real"]\ncheckpoint = "80"'
    single = '"supervised/real"\ncheckpoint = "80"'
    assert text.count(single) == 1
    path.write_text(text.replace(single, shared))
    folder = release.folder / "checkpoints" / "supervised" / "synthetic"
    folder.mkdir(exist_ok=True)
    shutil.copy(release.weights("supervised/real/160"), folder / "80.pt")


def _add_dataset(release: ReleaseCopy, name: str) -> None:
    """Describe another copy of the images, and give it a number to meet."""
    description = release.folder / "release.toml"
    classes = ", ".join(f'"{digit}"' for digit in range(10))
    description.write_text(
        f'{description.read_text()}\n[dataset.{name}]\ntitle = "{name} digits"\n'
        f'folder = "{name}"\nclasses = [{classes}]\nimages = 500\n'
    )
    references = release.folder / "references.toml"
    references.write_text(
        f'{references.read_text()}\n[[reference]]\nfamily = "supervised/real"\n'
        f'checkpoint = "1280"\ndataset = "{name}"\nprotocol = "digits-supervised"\n'
        'source = "make"\ntop1 = "97.00"\n'
    )


def test_where_published_numbers_are_wrong_no_option_is_blamed(
    release: ReleaseCopy, run_cases: RunCases
) -> None:
    (release.folder / "references.toml").write_text("[[reference]]\ntop1 = 1\n")
    result = run_cases(release, "--repro-report=report.html")
    result.assert_outcomes(errors=1)
    result.stdout.no_fnmatch_line("*no effect*")
