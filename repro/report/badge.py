"""A badge: the JSON that shields.io's endpoint badge reads."""

from __future__ import annotations

import msgspec

from repro.judgement.verdict import Verdict
from repro.report.report import Report
from repro.report.rows import counts


def badge_json(report: Report) -> str:
    """Say how many cases that have published numbers, and claims, came out.

    A claim that came out otherwise than expected makes it red, as a case does. The
    format is that of https://shields.io/badges/endpoint-badge.
    """
    found = counts(report.results)
    cases = len(report.results) - found.get(Verdict.UNREFERENCED, 0)
    reproduced = found.get(Verdict.REPRODUCED, 0)
    message = [f"{reproduced}/{cases}"] if cases or not report.claims else []
    if report.claims:
        met = sum(claim.is_as_expected for claim in report.claims)
        message.append(f"{met}/{len(report.claims)} claims")
        cases, reproduced = cases + len(report.claims), reproduced + met
    if any(result.is_failure for result in report.results) or any(
        claim.is_surprise for claim in report.claims
    ):
        colour = "red"
    else:
        colour = "brightgreen" if cases and reproduced == cases else "yellow"
    badge = {
        "schemaVersion": 1,
        "label": "reproduced",
        "message": ", ".join(message),
        "color": colour,
    }
    return msgspec.json.encode(badge).decode() + "\n"
