"""The table at the end of a run."""

from __future__ import annotations

import re

import pytest

from .conftest import ReleaseCopy, RunCases, table_of


def test_a_quiet_run_shows_only_what_somebody_has_to_look_at(
    release: ReleaseCopy, run_cases: RunCases
) -> None:
    rows = table_of(run_cases(release, "-q").outlines)
    assert rows[0] == "3 reproduced cases not shown; -v shows all"
    assert rows[-1] == "3 cases: 3 reproduced"


def test_a_missing_case_shows_its_published_numbers(
    release: ReleaseCopy, run_cases: RunCases
) -> None:
    published = release.published("supervised/real/80", "top1")
    release.weights("supervised/real/80").unlink()
    rows = table_of(run_cases(release, "-v").outlines)
    assert any(re.fullmatch(rf"  80 +top1 +{published} .*not run", row) for row in rows)


@pytest.mark.parametrize("width", [60, 80, 200])
def test_no_line_of_the_table_is_wider_than_the_terminal(
    release: ReleaseCopy,
    run_cases: RunCases,
    width: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    rows = table_of(run_cases(release, "-k", "supervised/real").outlines)
    table = rows[: next(n for n, row in enumerate(rows) if row.startswith("top-1"))]
    assert max(map(len, table)) <= width
    assert len([row for row in table if "2 checkpoints  reproduced" in row]) == 1
