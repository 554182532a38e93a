"""Claims in reports: lines for a terminal, and plain data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from repro.claims.result import (
    ClaimResult,
    ClaimVerdict,
    Finding,
    in_reading_order,
)
from repro.report.terminal import Style, Verbosity
from repro.words import counted, listed, nonzero_text, shortened, wrapped

_MISSING_SHOWN = 2
_DECIMALS = 3
_PLURALS = {ClaimVerdict.HOLDS: "hold", ClaimVerdict.FAILS: "fail"}
#: Columns that a verdict and a sentence need to be worth the name before them.
_ROOM = 70


def claim_lines(
    results: Sequence[ClaimResult], width: int, verbosity: Verbosity = "normal"
) -> Iterator[tuple[str, Style]]:
    """Yield a line for each claim, and the numbers that surprising ones rest on.

    Args:
        results: of all claims.
        width: of the terminal, in characters.
        verbosity: `verbose` has the numbers of all, `quiet` only what surprises.
    """
    longest = max((len(result.id) for result in results), default=0)
    has_room = width - longest >= _ROOM
    for result in in_reading_order(results):
        if verbosity != "verbose" and not result.is_surprise:
            is_missing = result.verdict is ClaimVerdict.MISSING and not result.findings
            said = missing_text(result) if is_missing else result.text
            # Where both have no room, the sentence tells more than its name.
            name = f"{result.id:<{longest}}  " if is_missing or has_room else ""
            if verbosity == "normal":
                line = f"{result.verdict:<10}{name}{said}"
                yield shortened(line, width), _style(result)
            continue
        yield shortened(f"{result.verdict:<10}{result.id}", width), _style(result)
        if result.verdict is ClaimVerdict.MISSING and not result.findings:
            for part in wrapped(missing_text(result), width - 4):
                yield f"    {part}", "dim"
            continue
        for line in wrapped(result.text, width - 4, indent=""):
            yield f"    {line}", "plain"
        for line in detail_lines(result):
            for part in wrapped(line, width - 4):
                yield f"    {part}", "dim"
    if results:
        bad = any(result.is_surprise for result in results)
        yield totals_text(results), "bad" if bad else "plain"


def finding_text(finding: Finding) -> str:
    """Write a number with its confidence interval and what it should be."""
    value, low, high = (
        nonzero_text(number, _DECIMALS) for number in (finding.value, *finding.interval)
    )
    return (
        f"{finding.subject} {value} [{low}, {high}] "
        f"({finding.origin}), wanted {finding.wanted}: {finding.verdict}"
    )


def missing_text(result: ClaimResult) -> str:
    """Say what would have to be measured."""
    return f"missing: {listed(result.missing, _MISSING_SHOWN)}"


def totals_text(results: Iterable[ClaimResult]) -> str:
    """Say in one line how many claims have which verdict."""
    found = Counter(result.verdict for result in results)
    said = ", ".join(
        f"{found[v]:,} {_PLURALS.get(v, v) if found[v] != 1 else v}"
        for v in ClaimVerdict
        if found[v]
    )
    return f"{counted(found.total(), 'claim')}: {said}"


def claim_text(result: ClaimResult) -> str:
    """Write why a test of a claim fails, the first line for those who read no more."""
    lines = [
        headline(result),
        f"  {result.text}",
        f"  source      {result.source_title}, {result.source_url}",
        *(f"  {line}" for line in detail_lines(result)),
    ]
    return "\n".join(lines)


def headline(result: ClaimResult) -> str:
    """Say in one line what came of a claim, in the words of a case."""
    said = ""
    if result.is_surprise and result.verdict is ClaimVerdict.FAILS:
        said = " diverges from what was published"
    elif result.is_surprise:
        said = " meets what was published, though it is declared not to"
    expected = "" if result.expected == "holds" else f", expected {result.expected}"
    return f"claim {result.id}{said}: {result.verdict}{expected}"


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
