"""The exit status of a run, in all the ways in which one can end."""

from __future__ import annotations

from typing import Any

import pytest

from repro.plugin.session import exit_status

OK, FAILED, INTERRUPTED, USAGE, EMPTY = 0, 1, 2, 4, 5
DIVERGED = 10


@pytest.mark.parametrize(
    ("status", "ending", "expected"),
    [
        (OK, {}, OK),
        (OK, {"is_whole": False}, FAILED),
        (OK, {"has_baseline": False}, FAILED),
        (OK, {"is_written": False}, USAGE),
        (OK, {"is_written": False, "is_whole": False}, USAGE),
        (FAILED, {}, FAILED),
        (FAILED, {"has_diverged": True}, DIVERGED),
        (FAILED, {"has_diverged": True, "is_whole": False}, FAILED),
        (FAILED, {"has_diverged": True, "is_whole": False, "stopped": True}, DIVERGED),
        (FAILED, {"has_diverged": True, "is_written": False}, DIVERGED),
        (INTERRUPTED, {"has_diverged": True}, INTERRUPTED),
        (INTERRUPTED, {"has_diverged": True, "stopped": True}, DIVERGED),
        (INTERRUPTED, {"stopped": True}, FAILED),
        (USAGE, {"has_diverged": True}, USAGE),
        (EMPTY, {}, EMPTY),
        (EMPTY, {"is_shard": True}, OK),
    ],
)
def test_a_run_ends_with(status: int, ending: dict[str, Any], expected: int) -> None:
    found = exit_status(status, DIVERGED, **ending)
    assert found == expected


@pytest.mark.parametrize("status", [OK, FAILED, INTERRUPTED, USAGE, EMPTY])
def test_without_another_status_for_divergences_it_is_that_of_pytest(
    status: int,
) -> None:
    found = exit_status(status, FAILED, has_diverged=status != OK, stopped=True)
    assert found == status
