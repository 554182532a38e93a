"""Hooks of the process that reports: xdist's controller, or the only one."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

import pytest

from repro.machine import visible_gpus
from repro.plugin import workers
from repro.plugin.cluster import start
from repro.plugin.planning import SHARDED, download_lines, plan_line
from repro.plugin.selection import SETTINGS, case_of, cases_named, planned_cases
from repro.plugin.settings import names_expected, read_settings, summary

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

    from repro.cases import Case
    from repro.plugin.progress import Progress
    from repro.plugin.session import RunSession


class Reporting:
    """Collects the results of cases, and reports them when there were any.

    Args:
        config: of the run.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._session: RunSession | None = None
        self._progress: Progress | None = None
        self._named: set[str] = set()

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Begin, once, since a controller collects nothing itself."""
        self._named |= {_parameters(nodeid) for nodeid in ids if "@" in nodeid}
        if self._session or not (self._named or names_expected(self._config)):
            return
        settings = read_settings(self._config, {}, self._config.rootpath)
        planned = cases_named(self._config, settings, ids) if self._named else []
        if not planned and not settings.shard:
            return
        reporter = self._reporter
        if reporter:
            if reporter._tw.width_of_current_line:
                reporter.write_line("")
            reporter.write_line(summary(settings))
            number = len(self._config.option.tx)
            gpus = visible_gpus(os.environ)
            reporter.write_line(f"repro: {workers.describe(number, gpus)}")
            if planned:
                reporter.write_line(plan_line(self._config, settings, planned))
                for line in download_lines(settings, planned):
                    reporter.write_line(line)
        self._begin(len(planned))
        self._named = {case.id for case in planned}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Begin, when cases were selected and are going to run."""
        # They have none where pytest has just refused an option such as -k.
        chosen = [item for item in session.items if SETTINGS in item.stash]
        is_mine = chosen or SHARDED in self._config.stash
        if is_mine and not self._config.option.collectonly:
            planned = planned_cases(chosen)
            self._begin(len(planned))
            if self._start_cluster(chosen):
                self._named = {case.id for case in planned}
            else:
                self._show_bars(planned)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_logreport(
        self, report: pytest.TestReport
    ) -> Generator[None, None, None]:
        """Receive the result of a case; a failed test may have left none behind."""
        result = None
        if hasattr(report, "repro_claim"):
            self._begin(planned=0).receive_claim(report.repro_claim)
        elif hasattr(report, "repro") or (report.failed and "@" in report.nodeid):
            result = self._begin(planned=1).receive(report)
        yield
        if result and self._named and self._progress is None:
            self._progress = self._lines()
        if result and self._progress:
            self._progress.ended(result)

    # The innermost wrapper: before pytest writes its JUnit report, and after the others
    # but before the terminal prints its summary.
    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(
        self, session: pytest.Session
    ) -> Generator[None, None, None]:
        """Write the reports."""
        if self._session:
            self._session.add_properties()
        if self._progress:
            self._progress.close()
        yield
        if self._session:
            status = int(session.exitstatus)
            self._session.finish(self._session.exit_status(status))
            session.exitstatus = self._session.exit_status(status)

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        """Print the table, after the failures."""
        if self._session:
            self._session.print_table(terminalreporter)

    @property
    def _reporter(self) -> TerminalReporter | None:
        found: TerminalReporter | None = self._config.pluginmanager.get_plugin(
            "terminalreporter"
        )
        return found

    def _lines(self) -> Progress | None:
        """Show a line as each case ends: workers run them, who have no terminal."""
        from repro.plugin.progress import Lines, is_shown

        reporter = self._reporter
        return Lines(reporter, len(self._named)) if is_shown(reporter) else None

    def _show_bars(self, planned: Sequence[Case]) -> None:
        from repro.plugin.progress import BARS, Bars, is_shown

        reporter = self._reporter
        if not is_shown(reporter) or os.environ.get("TERM") == "dumb":
            return
        limit = read_settings(self._config, {}, self._config.rootpath).limit
        images = {
            case.id: min(case.dataset.images, limit or case.dataset.images)
            for case in planned
        }
        self._progress = self._config.stash[BARS] = Bars(reporter, images)

    def _start_cluster(self, chosen: Sequence[pytest.Item]) -> bool:
        """Submit what is to be measured on a cluster; tell whether anything is."""
        pairs = [(item.stash[SETTINGS], case_of(item)) for item in chosen]
        found = [(settings, case) for settings, case in pairs if case is not None]
        lines = start(self._config, found)
        if reporter := self._reporter:
            for line in lines:
                reporter.write_line(line)
        return bool(lines)

    def _begin(self, planned: int) -> RunSession:
        from repro.plugin.session import RunSession

        self._session = self._session or RunSession(self._config, planned)
        return self._session


def _parameters(nodeid: str) -> str:
    """Give what is in the brackets of a test's name: the id of its case."""
    return nodeid.partition("[")[2].removesuffix("]")
