"""A run in the process that reports it: results, their record and what is written.

Only the process that the user started (xdist's controller) collects and writes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from repro.claims.result import ClaimResult
from repro.errors import ReproError
from repro.plugin.items import taken_from
from repro.plugin.recording import BAD, PLAIN, Recorder, Results, print_summary
from repro.plugin.settings import read_settings
from repro.plugin.workers import run_folder
from repro.records.result import CaseResult
from repro.report.faces import write_report
from repro.report.report import Report, report_of_results
from repro.report.rows import in_order, rows_of, totals_text

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

    from repro.plugin.planned import Planned


def forget(config: pytest.Config, report: pytest.TestReport) -> None:
    """Leave a test that is run again out of the file until it has ended.

    pytest makes an element for each report, also for one of an outcome that it does
    not know, and such an element never gets a name.
    """
    from _pytest.junitxml import xml_key

    xml = config.stash.get(xml_key, None)
    if xml is not None:
        reporter = xml.node_reporter(report)
        xml.finalize(report)
        xml.node_reporters_ordered.remove(reporter)


def add_properties(config: pytest.Config, report: Report) -> None:
    """Write the numbers of a run as properties of the test suite.

    Not of each test case: there the schema of JUnit's XML has no place for properties.
    Their names are `case metric field`, such as
    `supervised/real/1M@plain top1 measured`. What tells apart two results of one case,
    or two sources of one metric, stands in brackets behind it. `claim ID` has what came
    of a claim.

    Args:
        config: of the run.
        report: of the run.
    """
    from _pytest.junitxml import xml_key

    xml = config.stash.get(xml_key, None)
    if xml is None:
        return
    xml.add_global_property("repro", totals_text(report.results))
    for row in rows_of(report.results):
        if not row.metric:
            xml.add_global_property(f"{row.name} verdict", row.verdict)
            continue
        for field in ("published", "measured", "difference", "tolerance", "verdict"):
            if text := getattr(row, field):
                name = f"{row.name} {row.metric_name} {field}"
                xml.add_global_property(name, str(text))
    for claim in report.claims:
        xml.add_global_property(f"claim {claim.id}", claim.verdict)


def exit_status(
    status: int,
    diverged_exit: int,
    *,
    is_shard: bool = False,
    has_diverged: bool = False,
    is_whole: bool = True,
    is_written: bool = True,
    has_baseline: bool = True,
    stopped: bool = False,
) -> int:
    """Choose the exit status of a run.

    Args:
        status: that pytest gives it.
        diverged_exit: asked for a run with a divergence (`has_diverged`).
        is_shard: whether it is a part of one.
        has_diverged: whether a number is not met, or a claim came out otherwise.
        is_whole: whether every case that was planned has a result.
        is_written: whether every report was.
        has_baseline: whether there is one where a strict run should have it.
        stopped: whether it ended where it was to, with a failure.
    """
    failed = pytest.ExitCode.TESTS_FAILED
    # Of more shards than cases, some have none.
    if is_shard and status == pytest.ExitCode.NO_TESTS_COLLECTED:
        return pytest.ExitCode.OK
    if status == pytest.ExitCode.OK:
        if not is_written:
            return pytest.ExitCode.USAGE_ERROR
        return status if is_whole and has_baseline else failed
    # xdist ends a run at its first failures by an interruption, pytest alone does not.
    if status == pytest.ExitCode.INTERRUPTED and stopped and diverged_exit != failed:
        status = failed
    # A part of the cases says nothing of the others: one that was killed, or crashed,
    # keeps the status that says so.
    counts = has_diverged and status == failed and (stopped or is_whole)
    return diverged_exit if counts else status


class RunSession:
    """The results of a run, in the process that reports them.

    Args:
        config: of the run.
        planned: the tests that have cases.

    Raises:
        UsageError: the ledger cannot be written, or has no such baseline.
    """

    def __init__(self, config: pytest.Config, planned: Planned) -> None:
        self._config = config
        self._planned = planned
        self._results = Results(planned)
        self._settings = read_settings(config, {}, config.rootpath)
        self._shared = run_folder(config)
        # Before anything is written there: the next run that starts removes what nobody
        # holds.
        self._shared.claim()
        self._recorder: Recorder | None = None
        self._written: list[Path] = []
        self._unwritten: list[str] = []
        # A run of no case is not recorded, unless it is a shard, of which there may be
        # more than cases.
        if planned.judged or self._settings.shard:
            try:
                self._start_record()
            except ReproError as error:
                # pytest ends here, and nothing comes to `finish`.
                self._shared.remove()
                raise pytest.UsageError(str(error)) from error

    def receive(self, report: pytest.TestReport) -> CaseResult | None:
        """Take the result that travels with a report, or note that a case has none.

        It is given back where it is that of a case and adds something to what is known.
        """
        found = self._results.receive(report)
        if self._is_unforeseen(found):
            try:
                self._start_record()
            except ReproError as error:
                self._unwritten.append(str(error))
        if self._recorder and found is not None:
            self._recorder.record(found, taken_from(report))
        return found if isinstance(found, CaseResult) else None

    def count_unrun(self) -> None:
        """Add the planned cases that have no result, now that no test is left."""
        unrun = self._results.count_unrun()
        if self._recorder and unrun:
            self._recorder.record_unrun(unrun)

    def print_table(self, reporter: TerminalReporter) -> None:
        """Print the table, the claims, and where the reports went."""
        cases = in_order(self._results.cases)
        said = [*self._recorder.lines()] if self._recorder else []
        files = [(f"report: {file}", PLAIN) for file in self._written]
        files += [(trouble, BAD) for trouble in self._unwritten]
        claims = self._results.claims
        baseline = self._recorder.baseline if self._recorder else None
        print_summary(reporter, cases, claims, said, files, baseline)

    def add_properties(self) -> None:
        """Put the numbers into the JUnit report, where pytest is to write one."""
        if self._results.cases and self._config.getoption("xmlpath", None):
            add_properties(self._config, self._report())

    def finish(self, status: int) -> None:
        """Close the record, write reports and delete what workers shared."""
        report = self._report()
        try:
            if self._recorder:
                report = self._recorder.finish(report, status)
            if report.results or report.claims:
                self._write_reports(report)
        finally:
            # Whatever went wrong: else it would lie there until the next run.
            self._shared.remove()
            if self._recorder:
                self._recorder.close()

    def exit_status(self, status: int, *, stopped: bool = False) -> int:
        """Give the exit status of the run as far as it has come: see `exit_status`."""
        lacks = self._recorder is not None and self._recorder.fails_for_baseline
        return exit_status(
            status,
            self._settings.diverged_exit,
            is_shard=self._settings.shard is not None,
            has_diverged=self._results.has_diverged,
            is_whole=self._results.is_whole,
            is_written=not self._unwritten,
            has_baseline=not lacks,
            stopped=stopped,
        )

    def _start_record(self) -> None:
        if self._settings.ledger:
            number = len(self._planned.judged)
            self._recorder = Recorder(self._config, self._settings, number)

    def _is_unforeseen(self, found: CaseResult | ClaimResult | None) -> bool:
        """Whether a result was not planned: a test may ask for it while it runs.

        Workers elsewhere plan nothing that this process could read.
        """
        if self._recorder or self._unwritten or not isinstance(found, CaseResult):
            return False
        return found.measurement is not None or not self._planned.tests

    def _write_reports(self, report: Report) -> None:
        for file in self._settings.report or ():
            # A run of hours is not lost for a report that cannot be written.
            try:
                write_report(file, report)
                self._written.append(file)
            except ReproError as error:
                self._unwritten.append(str(error))

    def _report(self) -> Report:
        report = report_of_results(self._results.cases, self._results.claims)
        if self._recorder:
            report = msgspec.structs.replace(report, run=self._recorder.run)
        return report
