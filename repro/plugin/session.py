"""What a run knows: results as they arrive, and what is printed and written from them.

Only the process that the user started (xdist's controller) collects and writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from repro.errors import ReproError
from repro.plugin.options import read_settings
from repro.plugin.runner import RESULT, run_folder
from repro.plugin.selection import all_cases
from repro.records.result import CaseResult, not_run
from repro.report.json_report import json_report, write_json_report
from repro.report.rows import in_order
from repro.report.terminal import Style, Verbosity, table_lines

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

    from repro.cases import Case

_MARKUP: dict[Style, dict[str, bool]] = {
    "plain": {},
    "good": {"green": True},
    "bad": {"red": True},
    "dim": {"light": True},
    "bold": {"bold": True},
}


class RunSession:
    """The results of a run, in the process that reports them.

    Args:
        config: of the run.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._settings = read_settings(config, {}, config.rootpath)
        self._results: dict[str, CaseResult] = {}

    def receive(self, report: pytest.TestReport) -> None:
        """Take the result that travels with a report, or note that a case has none."""
        content = getattr(report, "repro", None)
        if content is not None:
            result = msgspec.convert(content, CaseResult)
            self._results[result.id] = result
        elif report.failed and (case := self._case_of(report.nodeid)):
            reason = _last_line(report.longreprtext) or "the test failed"
            self._results.setdefault(case.id, not_run(case, reason))

    def print_table(self, reporter: TerminalReporter) -> None:
        """Print the table, and where the reports went."""
        if not self._results:
            return
        verbosity: Verbosity = "normal"
        if reporter.verbosity:
            verbosity = "verbose" if reporter.verbosity > 0 else "quiet"
        reporter.ensure_newline()
        reporter.section("published and measured", sep="=")
        width = reporter._tw.fullwidth
        for line, style in table_lines(self._ordered(), width, verbosity):
            reporter.write_line(line, **_MARKUP[style])
        for file in self._settings.report:
            reporter.write_line(f"report: {file}")

    def write_reports(self) -> None:
        """Write the reports that were asked for, and delete what workers shared.

        Raises:
            UsageError: a report cannot be written.
        """
        run_folder(self._config).remove()
        environments = (
            result.measurement.environment
            for result in self._ordered()
            if result.measurement
        )
        content = json_report(self._ordered(), next(environments, None))
        for file in self._settings.report:
            try:
                write_json_report(file, content)
            except ReproError as error:
                raise pytest.UsageError(str(error)) from error

    def _ordered(self) -> list[CaseResult]:
        return in_order(self._results.values())

    def _case_of(self, nodeid: str) -> Case | None:
        """Find the case that a test was about, when it left no result behind."""
        try:
            cases = all_cases(self._config, self._settings)
        except ReproError:
            return None
        named = nodeid.partition("[")[2].removesuffix("]")
        return next((case for case in cases if case.id == named), None)


def attach_result(item: pytest.Item, report: pytest.TestReport) -> None:
    """Let the result of a test travel with its report, as plain data."""
    result = item.stash.get(RESULT, None)
    if result is not None:
        content: dict[str, Any] = msgspec.to_builtins(result)
        report.repro = content  # type: ignore[attr-defined]


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""
