"""A badge: the JSON that shields.io's endpoint badge reads."""

from __future__ import annotations

import msgspec

from repro.judgement.verdict import Verdict
from repro.report.report import Report
from repro.report.rows import counts


def badge_json(report: Report) -> str:
    """Say how many of the cases that have published numbers are reproduced.

    The format is that of https://shields.io/badges/endpoint-badge.
    """
    found = counts(report.results)
    cases = len(report.results) - found.get(Verdict.UNREFERENCED, 0)
    reproduced = found.get(Verdict.REPRODUCED, 0)
    if any(verdict.is_failure for verdict in found):
        colour = "red"
    else:
        colour = "brightgreen" if cases and reproduced == cases else "yellow"
    badge = {
        "schemaVersion": 1,
        "label": "reproduced",
        "message": f"{reproduced}/{cases}",
        "color": colour,
    }
    return msgspec.json.encode(badge).decode() + "\n"
