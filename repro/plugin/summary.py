"""What a run prints at its end: tables that are computed elsewhere, in colours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from repro.claims.result import ClaimResult
from repro.records.result import CaseResult
from repro.report.claims_report import claim_lines
from repro.report.terminal import Style, Verbosity, table_lines
from repro.words import visible

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

Line = tuple[str, Style]
PLAIN: Style = "plain"
BAD: Style = "bad"

_MARKUP: dict[Style, dict[str, bool]] = {
    "plain": {},
    "good": {"green": True},
    "bad": {"red": True},
    "dim": {"light": True},
    "bold": {"bold": True},
}


def print_summary(
    reporter: TerminalReporter,
    results: Sequence[CaseResult],
    claims: Sequence[ClaimResult],
    record: Iterable[Line],
    files: Iterable[Line],
    baseline: int | None = None,
) -> None:
    """Print the table of results, and of claims, where there are some.

    Args:
        reporter: of pytest.
        results: in the order of the table.
        claims: that were checked.
        record: what is said of the run below its table.
        files: what is said of its reports.
        baseline: run with which the record says that it was compared.
    """
    width, verbosity = reporter._tw.fullwidth, _verbosity(reporter)
    if results:
        _section(reporter, "published and measured")
        _print(reporter, table_lines(results, width, verbosity, baseline))
        _print(reporter, record)
    if claims:
        _section(reporter, "claims")
        _print(reporter, claim_lines(claims, width, verbosity))
    if results or claims:
        _print(reporter, files)


def _section(reporter: TerminalReporter, title: str) -> None:
    reporter.ensure_newline()
    reporter.section(title, sep="=")


def _print(reporter: TerminalReporter, lines: Iterable[Line]) -> None:
    for line, style in lines:
        reporter.write_line(visible(line), **_MARKUP[style])


def _verbosity(reporter: TerminalReporter) -> Verbosity:
    if reporter.verbosity:
        return "verbose" if reporter.verbosity > 0 else "quiet"
    return "normal"
