"""What a project replaces in Python for all of its tests is not there for cases."""

from __future__ import annotations

import shutil

import pytest

from repro.plugin.surroundings import as_they_were

from .conftest import SUITE, ReleaseCopy, RunCases

#: What an autouse fixture replaces, and by what; `tests/neighbours` has fake file
#: systems and frozen clocks.
MOCKS = {
    "open": 'setattr("builtins.open", mock.mock_open(read_data="x"))',
    "folders": 'setattr("os.scandir", lambda place=".": iter(()))',
    "files": 'setattr("pathlib.Path.is_file", lambda self: False)',
    "their bytes": 'setattr("pathlib.Path.read_bytes", lambda self: b"")',
    "names": 'setattr("uuid.uuid4", lambda: "1")',
}
FOR_ALL = """
from unittest import mock
import pytest

@pytest.fixture(autouse=True)
def of_this_project(monkeypatch):
    monkeypatch.{}
"""


@pytest.mark.parametrize("mock", MOCKS.values(), ids=MOCKS)
def test_cases_are_measured_whatever_a_project_mocks_for_all_tests(
    mock: str,
    pytester: pytest.Pytester,
    quick_release: ReleaseCopy,
    run_cases: RunCases,
) -> None:
    pytester.makeconftest(FOR_ALL.format(mock))
    result = run_cases(quick_release, "-kreal/80")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["1 case: 1 reproduced"])
    assert result.ret == pytest.ExitCode.OK


def test_a_mock_is_there_again_when_its_case_is_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = shutil.copyfile
    monkeypatch.setattr(shutil, "copyfile", None)
    with as_they_were(), as_they_were():
        assert shutil.copyfile is real
    assert shutil.copyfile is None


@pytest.mark.parametrize("workers", [(), ("-n1",)])
def test_weights_that_vanish_while_tests_run_are_no_reason_to_be_green(
    workers: tuple[str, ...],
    pytester: pytest.Pytester,
    quick_release: ReleaseCopy,
    run_cases: RunCases,
) -> None:
    gone = quick_release.folder / "checkpoints"
    pytester.makeconftest(
        f"import pytest, shutil\n"
        f"@pytest.fixture(autouse=True)\n"
        f"def loses_a_disk(): shutil.rmtree({str(gone)!r}, ignore_errors=True)\n"
    )
    result = run_cases(quick_release, *workers, "-kreal/80")
    result.stdout.fnmatch_lines(
        ["failed: *real/80*", "*before the first test*", "1 case: 1 failed"]
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED


#: Of another project, whose process has imported nothing before.
RUNS_PYTEST = """
import pytest

pytest_plugins = ["pytester"]

@pytest.mark.parametrize("workers", [(), ("-n1",)])
def test_runs_pytest(pytester, workers):
    pytester.makepyfile(test_release={suite!r})
    for _ in range(2):
        result = pytester.runpytest_inprocess(*{options!r}, *workers)
        result.assert_outcomes(passed=1)

@pytest.mark.repro
def test_own(case, reproduce):
    reproduce(case)
"""


@pytest.mark.slow
def test_cases_are_measured_as_often_as_tests_of_tests_run_them(
    pytester: pytest.Pytester, quick_release: ReleaseCopy
) -> None:
    numbers = f"--repro-expected={quick_release.folder}"
    options = ("-pno:cacheprovider", numbers, "-kreal/80")
    pytester.makepyfile(RUNS_PYTEST.format(suite=SUITE, options=options))
    chosen = (*options[:2], "-kreal/80 or runs_pytest")
    result = pytester.runpytest_subprocess(*chosen)
    result.assert_outcomes(passed=3)
