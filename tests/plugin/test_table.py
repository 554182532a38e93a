"""The table at the end of a run."""

from __future__ import annotations

import re

import pytest

from .conftest import ReleaseCopy, RunCases


def _rows(result: pytest.RunResult) -> list[str]:
    """Take the lines between the table's title and its totals."""
    lines = [str(line) for line in result.outlines]
    start = next(n for n, line in enumerate(lines) if "published and measured" in line)
    end = next(n for n, line in enumerate(lines) if re.match(r"\d+ cases?: ", line))
    return lines[start + 1 : end + 1]


def test_workers_of_xdist_give_the_table_of_one_process(
    release: ReleaseCopy, run_cases: RunCases, pytester: pytest.Pytester
) -> None:
    alone = run_cases(release, "-p", "no:xdist")
    spread = pytester.runpytest_subprocess(
        "-p",
        "no:cacheprovider",
        "-n",
        "2",
        f"--repro-expected={release.folder}",
        f"--repro-cache={release.folder.parent / 'cache'}",
    )
    alone.assert_outcomes(passed=3)
    spread.assert_outcomes(passed=3)
    assert _rows(spread) == _rows(alone)
    spread.stdout.fnmatch_lines(["repro: expected *release*"])


def test_a_quiet_run_shows_only_what_somebody_has_to_look_at(
    release: ReleaseCopy, run_cases: RunCases
) -> None:
    rows = _rows(run_cases(release, "-q"))
    assert rows[0] == "9 reproduced rows are not shown; -v shows them"
    assert rows[-1] == "3 cases: 3 reproduced"


def test_a_missing_case_shows_its_published_numbers(
    release: ReleaseCopy, run_cases: RunCases
) -> None:
    published = release.published("supervised/real/80", "top1")
    release.weights("supervised/real/80").unlink()
    rows = _rows(run_cases(release))
    assert any(re.fullmatch(rf"  80 +top1 +{published} .*not run", row) for row in rows)


@pytest.mark.parametrize("width", [60, 80, 200])
def test_no_line_of_the_table_is_wider_than_the_terminal(
    release: ReleaseCopy,
    run_cases: RunCases,
    width: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    rows = _rows(run_cases(release, "-k", "supervised/real"))
    table = rows[: next(n for n, row in enumerate(rows) if row.startswith("top-1"))]
    assert max(map(len, table)) <= width
    assert any(row.endswith("reproduced") for row in table)


def test_a_worker_that_dies_leaves_a_row_for_its_case(
    release: ReleaseCopy, pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(
        test_release="""
        import os
        import pytest

        @pytest.mark.repro
        def test_checkpoint(case, reproduce):
            if case.checkpoint == "160":
                os._exit(1)
            reproduce(case)
        """
    )
    result = pytester.runpytest_subprocess(
        "-n",
        "1",
        f"--repro-expected={release.folder}",
        f"--repro-cache={release.folder.parent / 'cache'}",
    )
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        ["*not run: supervised/real/160@digits-supervised", "*worker * crashed*"]
    )
    result.stdout.fnmatch_lines(["3 cases: 2 reproduced, 1 not run"])
