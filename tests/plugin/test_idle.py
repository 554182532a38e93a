"""Being installed costs another project's tests nothing to notice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

OTHER_PROJECT = """
def test_of_another_project():
    import sys
    heavy = {"torch", "numpy", "PIL", "msgspec", "scipy", "repro.cases"}
    assert not heavy & set(sys.modules)
"""


def test_another_project_sees_no_import_no_header_and_no_file(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(test_other=OTHER_PROJECT)
    options = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")
    result = pytester.runpytest_subprocess(*options)
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*repro:*")
    result.stdout.no_fnmatch_line("*published*")
    pytesters_own = {"__pycache__", "stdout", "stderr", "runpytest-0"}
    left = {path.name for path in pytester.path.iterdir() if not path.is_symlink()}
    assert left - pytesters_own == {"test_other.py"}


def test_collecting_cases_imports_no_torch(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_release="""
        import sys
        import pytest

        @pytest.mark.repro(expected="embedded")
        def test_checkpoint(case, reproduce):
            reproduce(case)
        """,
        conftest="""
        import sys

        def pytest_sessionfinish():
            print("torch imported:", "torch" in sys.modules)
        """,
    )
    result = pytester.runpytest_subprocess("--collect-only", "-q", "-s")
    result.stdout.fnmatch_lines(["*@digits-*", "*torch imported: False*"])


@pytest.mark.slow
def test_start_up_takes_at_most_10_ms_longer(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text("def test_nothing():\n    pass\n")

    def seconds(*options: str) -> float:
        command = [sys.executable, "-m", "pytest", "--collect-only", "-q", *options]
        before = _children_seconds()
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        return _children_seconds() - before

    seconds()
    without = [seconds("-p", "no:repro") for _ in range(7)]
    with_ = [seconds() for _ in range(7)]
    # What else runs on the machine can only add to it.
    assert min(with_) - min(without) < 0.01


def _children_seconds() -> float:
    """Processor time of ended children: other load on the machine does not count."""
    import resource

    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
