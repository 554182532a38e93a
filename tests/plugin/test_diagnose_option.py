"""`--repro-diagnose` and `--repro-no-diagnose`: what explains a divergence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from repro.records.ledger import Ledger

from .conftest import ReleaseCopy, RunCases

ONE = ("-k", "supervised/real/160")
#: How many images a suspect sees, where it is enough that it is tried.
FEW = "--repro-diagnose-share=3"

#: What the checkpoint scores with ImageNet's mean and std, as a plain torchvision loop
#: measures it (tools/planted_faults).
PLANTED = {"top1": "39.80", "top5": "75.20", "loss": "2.318649"}


@pytest.fixture
def wrong(release: ReleaseCopy, monkeypatch: pytest.MonkeyPatch) -> ReleaseCopy:
    """A release whose number was published with another normalisation."""
    release.keep("supervised/real/160")
    for metric, value in PLANTED.items():
        published = release.published("supervised/real/160", metric)
        release.edit(
            "references.toml",
            (f'{metric} = "{published}"', f'{metric} = "{value}"'),
        )
    return release


@pytest.fixture
def run(run_cases: RunCases, monkeypatch: pytest.MonkeyPatch) -> RunCases:
    """Run cases as users do, with diagnosis."""
    monkeypatch.delenv("REPRO_NO_DIAGNOSE")
    return run_cases


def test_a_divergence_names_its_cause_in_the_failure_and_in_every_report(
    wrong: ReleaseCopy, run: RunCases, tmp_path: Path
) -> None:
    files = [tmp_path / f"report.{suffix}" for suffix in ("json", "md", "html")]
    # A tenth of so few images is too little to see the likeliest suspect on all.
    result = run(
        wrong,
        "--repro-diagnose-share=20",
        *(f"--repro-report={file}" for file in files),
        f"--repro-ledger={tmp_path / 'ledger'}",
    )
    result.assert_outcomes(failed=1)
    sentence = (
        "Evaluated with ImageNet mean/std instead of mean 0.5, std 0.5, it scores "
        "39.80 (published 39.80): the published number was measured with another "
        "normalisation."
    )
    assert str(result.stdout).count(sentence) == 1
    result.stdout.fnmatch_lines(
        [
            "*likely cause  Evaluated with ImageNet mean/std*",
            "*how sure *explains 100 % of the gap in top1*McNemar p = *",
            "*tried * variations, * % of a full evaluation each: ImageNet mean/std *",
            "*what to do *correct mean and std of the protocol*",
        ]
    )
    (case,) = json.loads(files[0].read_text())["cases"]
    assert case["diagnosis"]["cause"] == "ImageNet mean/std"
    assert case["diagnosis"]["sentence"] == sentence
    for file in files[1:]:
        assert "another normalisation" in file.read_text()
        assert "what to do" in file.read_text()
    with Ledger(tmp_path / "ledger") as ledger:
        (kept,) = ledger.results(1)
    assert kept.diagnosis is not None
    assert kept.diagnosis.sentence == sentence
    assert len(kept.diagnosis.trials) == len(case["diagnosis"]["trials"])


def test_no_diagnose_tries_nothing(wrong: ReleaseCopy, run: RunCases) -> None:
    result = run(wrong, "--repro-no-diagnose")
    result.assert_outcomes(failed=1)
    assert "likely cause" not in str(result.stdout)
    result.stdout.fnmatch_lines(["repro: *no diagnosis*"])


@pytest.mark.slow
def test_a_subset_that_diverges_is_diagnosed_too(
    wrong: ReleaseCopy, run: RunCases
) -> None:
    result = run(wrong, "--repro-limit=200")
    result.assert_outcomes(failed=1)
    # CIFAR-10's mean and std decide as many of these images rightly.
    result.stdout.fnmatch_lines(
        ["*cause not settled *: * are not ruled out, nor is something else.*"]
    )


def test_a_faithful_checkpoint_gets_no_explanation(
    release: ReleaseCopy, run: RunCases, tmp_path: Path
) -> None:
    file = tmp_path / "report.json"
    result = run(release, *ONE, "--repro-diagnose", FEW, f"--repro-report={file}")
    result.assert_outcomes(passed=1)
    (case,) = json.loads(file.read_text())["cases"]
    assert case["diagnosis"]["outcome"] == "not needed"
    assert case["diagnosis"]["cause"] == ""
    assert "likely cause" not in str(result.stdout)
    assert len(case["diagnosis"]["trials"]) > 20


def test_a_digit_is_called_mistyped_without_looking_at_an_image_again(
    release: ReleaseCopy, run: RunCases, tmp_path: Path
) -> None:
    file = tmp_path / "report.json"
    published = release.published("supervised/real/160", "top1")
    off = f"{float(published) - 2:.2f}"
    release.edit("references.toml", (f'top1 = "{published}"', f'top1 = "{off}"'))
    result = run(release, *ONE, f"--repro-report={file}")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*likely cause *probably a slip, one digit mistyped: "
            f"{published} was meant*",
            "*how sure *would fit by chance*",
            "*what to do *Compare it with the source*",
        ]
    )
    (case,) = json.loads(file.read_text())["cases"]
    assert case["diagnosis"]["outcome"] == "clerical"
    assert case["diagnosis"]["images"] == 0


def test_accuracy_of_chance_concludes_nothing_beside_a_cause_that_is_found(
    release: ReleaseCopy, run: RunCases
) -> None:
    release.keep("supervised/real/160")
    digits = [f'"{digit}"' for digit in range(10)]
    ordered, reversed_ = (f"classes = [{', '.join(d)}]" for d in (digits, digits[::-1]))
    release.edit("release.toml", (ordered, reversed_))
    result = run(release, *ONE)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*likely cause *classes in the order of their names*"])
    assert "no better than chance" not in str(result.stdout)


def test_a_number_that_was_edited_since_the_ledger_saw_it_met_is_called_that(
    release: ReleaseCopy, run: RunCases, tmp_path: Path
) -> None:
    release.keep("supervised/real/160")
    ledger = f"--repro-ledger={tmp_path / 'ledger'}"
    run(release, ledger).assert_outcomes(passed=1)
    published = release.published("supervised/real/160", "loss")
    release.edit("references.toml", (f'loss = "{published}"', 'loss = "0.527316"'))
    result = run(release, ledger)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*likely cause *a number edited since it was last met: "
            f"loss was {published} and is 0.527316*"
        ]
    )


def test_what_is_neither_a_slip_nor_a_suspect_gets_no_cause(
    release: ReleaseCopy, run: RunCases
) -> None:
    for metric, off in (("top1", -2.6), ("top5", -0.4), ("loss", 0.0173)):
        published = release.published("supervised/real/160", metric)
        digits = len(published.partition(".")[2])
        other = f"{float(published) + off:.{digits}f}"
        release.edit(
            "references.toml", (f'{metric} = "{published}"', f'{metric} = "{other}"')
        )
    result = run(release, *ONE, FEW)
    result.assert_outcomes(failed=1)
    assert "likely cause" not in str(result.stdout)
    # How far they are ruled out depends on how many images there was time for.
    result.stdout.fnmatch_lines(["*one of the * variations that were tried *"])


def test_the_marker_asks_for_a_diagnosis(
    release: ReleaseCopy, run: RunCases, pytester: pytest.Pytester, tmp_path: Path
) -> None:
    release.keep("supervised/real/160")
    pytester.makepyfile(
        test_marked="""
        import pytest

        @pytest.mark.repro(diagnose=True)
        def test_checkpoint(case, reproduce):
            assert reproduce(case).diagnosis.outcome == "not needed"
        """
    )
    pytester.runpytest(
        "test_marked.py",
        f"--repro-expected={release.folder}",
        f"--repro-cache={tmp_path / 'cache'}",
    ).assert_outcomes(passed=1)
