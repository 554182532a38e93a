"""`--repro-ledger` keeps every run, and every case as soon as it ends."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import pytest
import xxhash

from repro.judgement.verdict import Verdict
from repro.records.ledger import FILE, Ledger
from repro.report.for_programs import json_report

from .conftest import OTHER_STEPS, SUITE, ReleaseCopy, RunCases


@pytest.fixture
def folder(pytester: pytest.Pytester) -> Path:
    """Where the ledger is by default: `.repro` in the root folder."""
    return pytester.path / ".repro"


def test_without_an_ini_file_the_ledger_is_where_the_command_was_given(
    release: ReleaseCopy, run_cases: RunCases, folder: Path
) -> None:
    # The folder of an option's value moves the root folder that pytest guesses.
    checkpoints = release.folder / "checkpoints"
    assert not checkpoints.is_relative_to(folder.parent)
    run_cases(release, "--repro-checkpoints", str(checkpoints), "-k", "clip")
    with Ledger(folder) as ledger:
        assert ledger.find_run("last").id == 1


def test_a_run_is_in_the_ledger_with_all_that_its_report_says(
    release: ReleaseCopy,
    run_cases: RunCases,
    folder: Path,
    tmp_path: Path,
) -> None:
    release.weights("supervised/real/80").unlink()
    file = tmp_path / "report.json"
    result = run_cases(release, f"--repro-report={file}")
    result.stdout.fnmatch_lines(["run 1 of the ledger"])
    with Ledger(folder) as ledger:
        run = ledger.find_run("last")
        kept = ledger.results(run.id)
    assert (run.planned, run.cases, run.exit_status) == (3, 3, 0)
    assert run.counts == {Verdict.REPRODUCED: 2, Verdict.NOT_RUN: 1}
    reported = msgspec.json.decode(file.read_bytes())["cases"]
    again = json_report(kept, None)["cases"]
    written = msgspec.json.decode(msgspec.json.encode(again))
    by_id = {case["id"]: case for case in written}
    assert by_id == {case["id"]: case for case in reported}


@pytest.mark.parametrize("is_writable", [True, False])
def test_what_is_measured_unforeseen_is_recorded(
    release: ReleaseCopy, pytester: pytest.Pytester, folder: Path, *, is_writable: bool
) -> None:
    if not is_writable:
        folder.write_text("no ledger can be made here")
    pytester.makepyfile(
        SUITE.replace("reproduce)", "request)", 1).replace(
            "reproduce(", "request.getfixturevalue('reproduce')("
        )
    )
    result = pytester.runpytest(
        f"--repro-expected={release.folder}", "--repro-cache=none", "-k", "real/80"
    )
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["2 cases: 2 reproduced"])
    if not is_writable:
        result.stdout.fnmatch_lines([f"*{folder}*"])
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        return
    with Ledger(folder) as ledger:
        assert ledger.find_run("last").counts == {Verdict.REPRODUCED: 2}


def test_a_result_travels_with_one_report_whatever_step_it_comes_of(
    release: ReleaseCopy, pytester: pytest.Pytester, tmp_path: Path
) -> None:
    release.weights("clip/real/80").unlink()
    pytester.makeconftest(
        """
        def pytest_runtest_logreport(report):
            if hasattr(report, "repro"):
                with open("travelled.txt", "a") as stream:
                    print(report.when, report.repro["id"], file=stream)
        """
    )
    pytester.makepyfile(
        SUITE.replace(".repro", '.repro(kind="supervised", family="*/real")')
        + OTHER_STEPS
    )
    pytester.runpytest(
        "-pno:cacheprovider",
        f"--repro-expected={release.folder}",
        f"--repro-cache={tmp_path / 'cache'}",
    ).assert_outcomes(passed=4, skipped=1)
    travelled = (pytester.path / "travelled.txt").read_text().splitlines()
    supervised = [f"supervised/real/{n}@digits-supervised" for n in (80, 160)]
    assert sorted(travelled) == sorted(
        [
            "setup clip/real/80@digits-clip",
            *(f"{when} {case}" for case in supervised for when in ("call", "teardown")),
        ]
    )
    with Ledger(pytester.path / ".repro") as ledger:
        assert ledger.find_run("last").cases == 3


def test_predictions_and_names_of_images_are_kept(
    release: ReleaseCopy, run_cases: RunCases, folder: Path
) -> None:
    run_cases(release)
    with Ledger(folder) as ledger:
        for result in ledger.results(1):
            assert result.measurement is not None
            predictions = ledger.predictions(1, result.id)
            assert predictions is not None
            counted, measured = predictions.metrics(), result.measurement.metrics
            assert (counted.top1, counted.top5) == (measured.top1, measured.top5)
            names = ledger.names(result.measurement.dataset_fingerprint)
            assert names is not None
            assert len(set(names.files)) == 500
            photographs = release.folder / "val"
            for file, digest in zip(names.files, names.digests, strict=True):
                assert xxhash.xxh3_128_hexdigest((photographs / file).read_bytes()) == (
                    digest
                )


def test_an_option_that_pytest_refuses_leaves_no_run(
    release: ReleaseCopy, run_cases: RunCases, folder: Path
) -> None:
    result = run_cases(release, "-k", "a@b")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: Wrong expression passed to '-k'*"])
    assert not folder.exists()


def test_none_keeps_nothing(
    release: ReleaseCopy, run_cases: RunCases, folder: Path
) -> None:
    run_cases(release, "--repro-ledger=none").assert_outcomes(passed=3)
    assert not folder.exists()


def test_collecting_leaves_no_file(
    release: ReleaseCopy, run_cases: RunCases, folder: Path
) -> None:
    run_cases(release, "--collect-only")
    assert not folder.exists()


@pytest.mark.parametrize("workers", ["-pno:xdist", "-n1"])
def test_a_ledger_that_cannot_be_used_is_one_error_before_anything_is_measured(
    release: ReleaseCopy, run_cases: RunCases, tmp_path: Path, workers: str
) -> None:
    (tmp_path / FILE).write_text("no database " * 1000)
    result = run_cases(release, workers, f"--repro-ledger={tmp_path}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    said = [*result.errlines, *result.outlines]
    assert any("ledger.sqlite cannot be used" in line for line in said)
    assert not any("Traceback" in line for line in said)
    result.assert_outcomes()


def test_a_run_that_can_no_longer_be_recorded_goes_on_and_says_so(
    release: ReleaseCopy, run_cases: RunCases, pytester: pytest.Pytester, folder: Path
) -> None:
    pytester.makeconftest(
        f"""
        import sqlite3

        def pytest_runtestloop():
            connection = sqlite3.connect({str(folder / FILE)!r})
            with connection:
                connection.execute("DROP TABLE result")
            connection.close()
        """
    )
    result = run_cases(release)
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["not everything was recorded: *no such table*"])


def test_weights_that_cannot_be_read_any_more_are_said_to_have_met_their_numbers(
    release: ReleaseCopy, run_cases: RunCases
) -> None:
    one = ("-k", "supervised/real/80")
    run_cases(release, *one).assert_outcomes(passed=1)
    weights = release.weights("supervised/real/80")
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()[:8]
    weights.write_bytes(weights.read_bytes()[:-1000])
    result = run_cases(release, *one)
    result.assert_outcomes(failed=1)
    said = " ".join(str(result.stdout).split())
    assert f"; it was last met in run 1, with weights {digest}" in said
