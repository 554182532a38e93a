"""How a case moved over the runs of a ledger, in words."""

from __future__ import annotations

from collections.abc import Sequence

from repro.judgement.compare import Since
from repro.records.past import Past, red_since
from repro.report.changes import change_parts


def red_since_text(past: Sequence[Past]) -> str:
    """Say since when a case is red, of those runs that are known; empty if it is not.

    It is empty too where there is only one run, which says nothing of others.
    """
    first = red_since(past)
    if first is None or len(past) == 1:
        return ""
    if first is past[0]:
        return f"in all {len(past):,} runs"
    return f"since run {first.run}, {first.started.astimezone():%Y-%m-%d}"


def causes_then(since: Since | None) -> list[tuple[str, str]]:
    """List what differed in another run, without what was measured then."""
    if since is None:
        return []
    said = ("measured", "the others", "verdicts", "unexplained")
    return [part for part in change_parts(since.difference) if part[0] not in said]
