"""Being installed costs another project's tests nothing to notice."""

from __future__ import annotations

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


def test_a_file_that_is_named_costs_another_project_no_settings(
    pytester: pytest.Pytester,
) -> None:
    pytester.makeini("[pytest]")
    pytester.makepyfile(
        test_other="""
        def test_of_another_project():
            import sys
            assert "repro.plugin.hooks" in sys.modules
            assert "repro.plugin.settings" not in sys.modules
        """
    )
    options = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")
    result = pytester.runpytest_subprocess(*options, "test_other.py")
    result.assert_outcomes(passed=1)


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
