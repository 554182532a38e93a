"""With which status a run ends: pytest's own, or another where cases diverged."""

from __future__ import annotations

import msgspec
import pytest


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How a run came out, as far as its exit status depends on it.

    `diverged_exit` is what was asked for a run in which a case diverges, or a claim
    comes out otherwise than expected (`has_diverged`). A run `is_whole` where every
    case that was planned got its turn, and `is_written` where every report was;
    `has_baseline` is False where a strict run should have one and has not. `stopped`
    tells that it ended where it was to, with a failure.
    """

    diverged_exit: int
    is_shard: bool = False
    has_diverged: bool = False
    is_whole: bool = True
    is_written: bool = True
    has_baseline: bool = True
    stopped: bool = False


def exit_status(status: int, ending: Ending) -> int:
    """Choose the exit status of a run.

    Args:
        status: that pytest gives it.
        ending: how it came out.
    """
    failed, asked = pytest.ExitCode.TESTS_FAILED, ending.diverged_exit
    # Of more shards than cases, some have none.
    if ending.is_shard and status == pytest.ExitCode.NO_TESTS_COLLECTED:
        return pytest.ExitCode.OK
    if status == pytest.ExitCode.OK:
        if not ending.is_written:
            return pytest.ExitCode.USAGE_ERROR
        return status if ending.is_whole and ending.has_baseline else failed
    # xdist ends a run at its first failures by an interruption, pytest alone does not.
    if status == pytest.ExitCode.INTERRUPTED and ending.stopped and asked != failed:
        status = failed
    # A part of the cases says nothing of the others: one that was killed, or crashed,
    # keeps the status that says so.
    is_whole = ending.stopped or ending.is_whole
    return asked if ending.has_diverged and status == failed and is_whole else status
