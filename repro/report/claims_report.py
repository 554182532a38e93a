"""Claims in reports: lines for a terminal, and plain data."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from repro.claims.result import ClaimResult, ClaimVerdict, Finding
from repro.report.terminal import Style

_MISSING_SHOWN = 2


def claim_lines(
    results: Sequence[ClaimResult], width: int
) -> Iterator[tuple[str, Style]]:
    """Yield what is said of each claim, with the numbers that it rests on.

    Those of which nothing is known come last.

    Args:
        results: of all claims.
        width: of the terminal, in characters.
    """
    for result in sorted(results, key=lambda result: not result.findings):
        yield f"{result.verdict:<10}{result.id}"[:width], _style(result)
        if result.verdict is ClaimVerdict.MISSING and not result.findings:
            yield f"    {missing_text(result)}"[:width], "dim"
            continue
        for line in textwrap.wrap(result.text, max(width - 4, 40)):
            yield f"    {line}", "plain"
        for line in detail_lines(result):
            wrapped = textwrap.wrap(line, max(width - 4, 40), subsequent_indent="  ")
            for part in wrapped:
                yield f"    {part}", "dim"
    if results:
        bad = any(result.is_surprise for result in results)
        yield totals_text(results), "bad" if bad else "plain"


def finding_text(finding: Finding) -> str:
    """Write a number with its confidence interval and what it should be."""
    low, high = finding.interval
    return (
        f"{finding.subject} {finding.value:.3f} [{low:.3f}, {high:.3f}] "
        f"({finding.origin}), wanted {finding.wanted}: {finding.verdict}"
    )


def missing_text(result: ClaimResult) -> str:
    """Say what would have to be measured."""
    shown = result.missing[:_MISSING_SHOWN]
    more = len(result.missing) - len(shown)
    return f"missing: {', '.join(shown)}{f' and {more} more' * (more > 0)}"


def totals_text(results: Iterable[ClaimResult]) -> str:
    """Say in one line how many claims have which verdict."""
    found = Counter(result.verdict for result in results)
    said = ", ".join(f"{found[v]:,} {v}" for v in ClaimVerdict if found[v])
    total = found.total()
    return f"{total:,} claim{'s' * (total != 1)}: {said}"


def claims_data(results: Iterable[ClaimResult]) -> list[dict[str, Any]]:
    """Give claims as plain data for the JSON report (docs/json-report.md)."""
    return [msgspec.to_builtins(result) for result in results]


def claim_text(result: ClaimResult) -> str:
    """Write why a test of a claim fails."""
    expected = "" if result.expected == "holds" else f", expected {result.expected}"
    lines = [
        f"claim {result.id}: {result.verdict}{expected}",
        f"  {result.text}",
        f"  source      {result.source_title}, {result.source_url}",
        *(f"  {line}" for line in detail_lines(result)),
    ]
    return "\n".join(lines)


def short_text(result: ClaimResult) -> str:
    """Write in one line why a test of a claim is skipped."""
    return f"claim {result.id}: {result.verdict}; {'; '.join(detail_lines(result))}"


def detail_lines(result: ClaimResult) -> Iterator[str]:
    """Yield the numbers that a claim rests on, and what is missing."""
    yield from map(finding_text, result.findings)
    if result.missing:
        yield missing_text(result)
    if result.reason:
        yield result.reason.splitlines()[0]
    if result.expected != "holds":
        yield f"expected {result.expected}: {result.note}"


def _style(result: ClaimResult) -> Style:
    if result.is_surprise:
        return "bad"
    return "good" if result.is_as_expected else "plain"
