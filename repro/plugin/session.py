"""What a run knows: results as they arrive, and what is printed and written from them.

Only the process that the user started (xdist's controller) collects and writes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from repro.claims.result import ClaimResult
from repro.errors import ReproError
from repro.plugin.junit import add_properties
from repro.plugin.recording import Recorder
from repro.plugin.runner import RESULT, TAKEN_FROM, asked_of, run_folder
from repro.plugin.selection import case_of, cases_named
from repro.plugin.settings import read_settings
from repro.records.identity import Asked
from repro.records.result import CaseResult, not_run
from repro.report.claims import claim_lines
from repro.report.comparison import comparison_lines
from repro.report.faces import write_report
from repro.report.report import Report, report_of_results
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
        planned: how many cases were selected; a run of none leaves no record, unless
            it is a shard, of which there may be more than cases.

    Raises:
        UsageError: the ledger cannot be written, or has no such baseline.
    """

    def __init__(self, config: pytest.Config, planned: int) -> None:
        self._config = config
        self._settings = read_settings(config, {}, config.rootpath)
        self._shared = run_folder(config)
        self._shared.claim()
        self._results: dict[str, CaseResult] = {}
        self._claims: dict[tuple[str, str], ClaimResult] = {}
        self._recorder: Recorder | None = None
        self._trouble = ""
        self._written: list[Path] = []
        self._unwritten: list[str] = []
        self._changes: list[str] = []
        if self._settings.ledger and (planned or self._settings.shard):
            try:
                self._recorder = Recorder(
                    config,
                    self._settings.ledger,
                    planned,
                    self._settings.baseline,
                    self._settings.shard,
                )
            except ReproError as error:
                raise pytest.UsageError(str(error)) from error

    def receive(self, report: pytest.TestReport) -> CaseResult | None:
        """Take the result that travels with a report, or note that a case has none.

        It is given back; None where the report adds nothing to what is known.
        """
        content = getattr(report, "repro", None)
        if content is not None:
            return self._add(msgspec.convert(content, CaseResult), report)
        case = self._case_of(report.nodeid) if report.failed else None
        wanted = msgspec.convert(getattr(report, "repro_asked", {}), Asked)
        if case is None or self._has(case.id, wanted):
            return None
        reason = _last_line(report.longreprtext) or "the test failed"
        return self._add(not_run(case, reason, wanted), report)

    def receive_claim(self, content: object) -> None:
        """Take the result of a claim, as plain data."""
        result = msgspec.convert(content, ClaimResult)
        self._claims[result.release, result.id] = result
        if self._recorder and not self._trouble:
            with self._forgiven():
                self._recorder.ledger.record_claim(self._recorder.run, result)

    def print_table(self, reporter: TerminalReporter) -> None:
        """Print the table, the claims, and where the reports went."""
        if self._results:
            self._print_results(reporter)
        if self._claims:
            reporter.ensure_newline()
            reporter.section("claims", sep="=")
            width = reporter._tw.fullwidth
            for line, style in claim_lines(list(self._claims.values()), width):
                reporter.write_line(line, **_MARKUP[style])
        if self._results or self._claims:
            for file in self._written:
                reporter.write_line(f"report: {file}")
            for trouble in self._unwritten:
                reporter.write_line(trouble, red=True)

    def _print_results(self, reporter: TerminalReporter) -> None:
        verbosity: Verbosity = "normal"
        if reporter.verbosity:
            verbosity = "verbose" if reporter.verbosity > 0 else "quiet"
        reporter.ensure_newline()
        reporter.section("published and measured", sep="=")
        width = reporter._tw.fullwidth
        for line, style in table_lines(self._ordered(), width, verbosity):
            reporter.write_line(line, **_MARKUP[style])
        self._print_record(reporter)

    def add_properties(self) -> None:
        """Put the numbers into the JUnit report, where pytest is to write one."""
        if self._results and self._config.getoption("xmlpath", None):
            add_properties(self._config, self._report())

    def finish(self, exit_status: int) -> None:
        """Close the record, write reports and delete what workers shared."""
        try:
            if self._recorder:
                with self._forgiven():
                    self._recorder.finish(exit_status)
                    self._changes = self._since_baseline(self._recorder)
            if self._results or self._claims:
                self._write_reports()
        finally:
            self._shared.remove()
            if self._recorder:
                self._recorder.ledger.close()

    def _since_baseline(self, recorder: Recorder) -> list[str]:
        """Say what has changed since the baseline, where there is one."""
        baseline = self._settings.baseline
        if not baseline or not self._results:
            return []
        found = recorder.compared(baseline, self._results.values())
        return list(comparison_lines(found)) if found else []

    def exit_status(self, status: int) -> int:
        """Give the exit status of the run: another one, if asked, for a divergence."""
        diverged = any(result.verdict.is_failure for result in self._results.values())
        failed = status == pytest.ExitCode.TESTS_FAILED
        if self._settings.shard and status == pytest.ExitCode.NO_TESTS_COLLECTED:
            return pytest.ExitCode.OK
        if self._unwritten and status == pytest.ExitCode.OK:
            return pytest.ExitCode.USAGE_ERROR
        return self._settings.diverged_exit if diverged and failed else status

    def _write_reports(self) -> None:
        if not self._settings.report:
            return
        report = self._report()
        for file in self._settings.report:
            # A run of hours is not lost for a report that cannot be written.
            try:
                if self._recorder and self._settings.baseline:
                    report = self._recorder.since(report, self._settings.baseline)
                write_report(file, report)
                self._written.append(file)
            except ReproError as error:
                self._unwritten.append(str(error))

    def _report(self) -> Report:
        report = report_of_results(self._results.values(), self._claims.values())
        if self._recorder:
            report = msgspec.structs.replace(report, run=self._recorder.run)
        return report

    def _add(self, result: CaseResult, report: pytest.TestReport) -> CaseResult:
        self._results[result.place] = result
        if self._recorder and not self._trouble:
            with self._forgiven():
                taken_from = getattr(report, "repro_taken_from", None)
                self._recorder.record(result, taken_from)
        return result

    def _has(self, case: str, wanted: Asked) -> bool:
        """Whether there is a result; of a dead worker nobody knows what was asked."""
        digests = {r.asked.digest for r in self._results.values() if r.id == case}
        return wanted.digest in digests if wanted.digest else bool(digests)

    @contextlib.contextmanager
    def _forgiven(self) -> Iterator[None]:
        """Let a run that is measuring go on when it can no longer be recorded."""
        try:
            yield
        except ReproError as error:
            self._trouble = f"not everything was recorded: {error}"

    def _print_record(self, reporter: TerminalReporter) -> None:
        if self._trouble:
            reporter.write_line(self._trouble, red=True)
        if self._recorder:
            for run, cases in self._recorder.taken_over().items():
                reporter.write_line(
                    f"taken over from run {run}: {', '.join(sorted(cases))}"
                )
            reporter.write_line(f"run {self._recorder.run} of the ledger")
        for line in self._changes:
            reporter.write_line(line)

    def _ordered(self) -> list[CaseResult]:
        return in_order(self._results.values())

    def _case_of(self, nodeid: str) -> Case | None:
        """Find the case that a test was about, when it left no result behind."""
        found = cases_named(self._config, self._settings, [nodeid])
        return found[0] if found else None


def attach_result(item: pytest.Item, report: pytest.TestReport) -> None:
    """Let the result of a test travel with its next report, as plain data.

    A test has a report of its setup, its call and its teardown, and a result may come
    of any of them: a fixture that finds no weights ends the setup. Only the first
    report after it takes it along, so that nothing is recorded twice.
    """
    result = item.stash.get(RESULT, None)
    if result is None:
        case = case_of(item)
        if case and report.failed:
            wanted = asked_of(item, case)
            report.repro_asked = msgspec.to_builtins(wanted)  # type: ignore[attr-defined]
        return
    del item.stash[RESULT]
    content: dict[str, Any] = msgspec.to_builtins(result)
    report.repro = content  # type: ignore[attr-defined]
    taken_from = item.stash.get(TAKEN_FROM, None)
    if taken_from is not None:
        del item.stash[TAKEN_FROM]
        report.repro_taken_from = taken_from  # type: ignore[attr-defined]


def keep_headline(call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Keep the first line only for the short summary, and for JUnit's message.

    pytest would repeat the whole text there where the variable CI is set.
    """
    error = call.excinfo.value if call.excinfo else None
    crash = getattr(report.longrepr, "reprcrash", None)
    if isinstance(error, pytest.fail.Exception) and not error.pytrace and crash:
        crash.message = crash.message.partition("\n")[0]


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""
