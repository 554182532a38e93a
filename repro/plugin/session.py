"""What a run knows: results as they arrive, and what is recorded and written of them.

Only the process that the user started (xdist's controller) collects and writes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from repro.claims.result import ClaimResult
from repro.errors import ReproError
from repro.plugin.exit_status import Ending, exit_status
from repro.plugin.junit import add_properties
from repro.plugin.outcomes import reason_of, result_on, taken_from
from repro.plugin.recording import Recorder
from repro.plugin.settings import read_settings
from repro.plugin.summary import BAD, PLAIN, Line, print_summary
from repro.plugin.workers import run_folder
from repro.records.merging import lasting_arguments
from repro.records.result import CaseResult, not_run
from repro.report.comparison import comparison_lines
from repro.report.faces import write_report
from repro.report.report import Report, recorded, report_of_results, since_run
from repro.report.rows import in_order
from repro.words import listed

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

    from repro.plugin.planned import Planned


class RunSession:
    """The results of a run, in the process that reports them.

    Args:
        config: of the run.
        planned: the tests that have cases.
        recorded: whether it is written into the ledger though no case is planned. A run
            of no case is not, unless it is a shard, of which there may be more than
            cases.

    Raises:
        UsageError: the ledger cannot be written, or has no such baseline.
    """

    def __init__(
        self, config: pytest.Config, planned: Planned, *, recorded: bool
    ) -> None:
        self._config = config
        self._planned = planned
        self._ended: set[str] = set()
        self._unrun: list[str] = []
        self._lacking = ""
        self._lacks_baseline = False
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
        recorded = recorded or bool(planned.judged or self._settings.shard)
        if self._settings.ledger and recorded:
            try:
                self._recorder = Recorder(
                    config,
                    self._settings.ledger,
                    len(planned.judged),
                    self._settings.baseline,
                    lasting_arguments(
                        self._settings.shard, self._settings.diverged_exit
                    ),
                )
            except ReproError as error:
                self._shared.remove()
                raise pytest.UsageError(str(error)) from error

    def receive(self, report: pytest.TestReport) -> CaseResult | None:
        """Take the result that travels with a report, or note that a case has none.

        It is given back where it is that of a case and adds something to what is known.
        """
        if report.failed or report.when == "teardown":
            self._ended.add(report.nodeid)
        found = result_on(report)
        if isinstance(found, ClaimResult):
            self._add_claim(found)
            return None
        if found is None:
            found = self._without_result(report)
        if found is None:
            return None
        found = msgspec.structs.replace(found, test=report.nodeid)
        return self._add(found, taken_from(report))

    def _without_result(self, report: pytest.TestReport) -> CaseResult | None:
        """Say that a case has no result, where its test can give none any more."""
        test = self._planned.tests.get(report.nodeid)
        if test is None or test.place in self._results:
            return None
        if report.failed or (report.skipped and test.is_judged):
            why = reason_of(report)
            return not_run(test.case, why, test.asked, is_broken=report.failed)
        return None

    def count_unrun(self) -> None:
        """Add the planned cases that have no result, now that no test is left."""
        tests = self._planned.tests
        ended = {tests[name].place for name in self._ended if name in tests}
        for place, test in self._planned.judged.items():
            if place in self._results:
                continue
            reason = "its test did not measure it"
            if place not in ended:
                reason = "the run ended before its turn"
                self._unrun.append(test.case.id)
            self._results[place] = not_run(test.case, reason, test.asked)

    def print_table(self, reporter: TerminalReporter) -> None:
        """Print the table, the claims, and where the reports went."""
        results, claims = in_order(self._results.values()), list(self._claims.values())
        files = [(f"report: {file}", PLAIN) for file in self._written]
        files += [(trouble, BAD) for trouble in self._unwritten]
        print_summary(reporter, results, claims, self._record_lines(), files)

    def add_properties(self) -> None:
        """Put the numbers into the JUnit report, where pytest is to write one."""
        if self._results and self._config.getoption("xmlpath", None):
            add_properties(self._config, self._report())

    def finish(self, status: int) -> None:
        """Close the record, write reports and delete what workers shared."""
        report = self._report()
        try:
            if self._recorder:
                with self._forgiven():
                    self._recorder.finish(status)
                    ledger = self._recorder.ledger
                    run = ledger.find_run(str(self._recorder.run))
                    if self._settings.report:
                        # It reads what earlier runs said of all cases.
                        report = recorded(report, ledger, run)
                    report = self._since_baseline(self._recorder, report)
            if self._results or self._claims:
                self._write_reports(report)
        finally:
            self._shared.remove()
            if self._recorder:
                self._recorder.ledger.close()

    def _since_baseline(self, recorder: Recorder, report: Report) -> Report:
        """Add to the report what has changed since the baseline, where there is one.

        Where there is none a strict run fails, unless it is the first of all. In the
        ledger its exit status is what it would be with one: else no run could become
        the baseline of the next.
        """
        wanted = self._settings.baseline
        if not wanted:
            return report
        baseline = recorder.baseline(wanted, report.results)
        if baseline is None:
            self._lacking = recorder.lacks(wanted)
            self._lacks_baseline = self._settings.strict and not recorder.is_first
        if baseline is None or not report.results:
            return report
        report = since_run(report, recorder.ledger, recorder.run, baseline)
        assert report.compared is not None
        self._changes = list(comparison_lines(report.compared))
        return report

    def exit_status(self, status: int, *, stopped: bool = False) -> int:
        """Give the exit status of the run as far as it has come: see `exit_status`.

        Args:
            status: that pytest gives it.
            stopped: whether it ended where it was to, with a failure.
        """
        results, claims = self._results.values(), self._claims.values()
        return exit_status(
            status,
            Ending(
                diverged_exit=self._settings.diverged_exit,
                is_shard=self._settings.shard is not None,
                has_diverged=any(result.verdict.is_failure for result in results)
                or any(claim.is_surprise for claim in claims),
                is_whole=not self._unrun,
                is_written=not self._unwritten,
                has_baseline=not self._lacks_baseline,
                stopped=stopped,
            ),
        )

    def _write_reports(self, report: Report) -> None:
        for file in self._settings.report or ():
            # A run of hours is not lost for a report that cannot be written.
            try:
                write_report(file, report)
                self._written.append(file)
            except ReproError as error:
                self._unwritten.append(str(error))

    def _report(self) -> Report:
        report = report_of_results(self._results.values(), self._claims.values())
        if self._recorder:
            report = msgspec.structs.replace(report, run=self._recorder.run)
        return report

    def _add(self, result: CaseResult, earlier: int | None) -> CaseResult:
        self._results[result.place] = result
        if self._recorder and not self._trouble:
            with self._forgiven():
                self._recorder.record(result, earlier)
        return result

    def _add_claim(self, result: ClaimResult) -> None:
        self._claims[result.release, result.id] = result
        if self._recorder and not self._trouble:
            with self._forgiven():
                self._recorder.ledger.record_claim(self._recorder.run, result)

    @contextlib.contextmanager
    def _forgiven(self) -> Iterator[None]:
        """Let a run that is measuring go on when it can no longer be recorded."""
        try:
            yield
        except ReproError as error:
            self._trouble = f"not everything was recorded: {error}"

    def _record_lines(self) -> Iterator[Line]:
        """Say what the ledger has of the run, what it lacks, and what has changed."""
        if self._trouble:
            yield self._trouble, BAD
        if self._recorder:
            for run, cases in self._recorder.taken_over().items():
                yield f"taken over from run {run}: {', '.join(sorted(cases))}", PLAIN
            yield f"run {self._recorder.run} of the ledger", PLAIN
        if self._unrun:
            number, all_cases = len(self._unrun), len(self._planned.judged)
            yield (
                f"{number:,} of {all_cases:,} cases did not get their turn: "
                f"{listed(self._unrun)}",
                BAD,
            )
        if self._lacking:
            yield self._lacking, BAD if self._lacks_baseline else PLAIN
        yield from ((line, PLAIN) for line in self._changes)
