"""Hooks of the process that reports: xdist's controller, or the only one."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

import pytest

from repro.plugin import workers
from repro.plugin.options import read_settings, summary
from repro.plugin.selection import SETTINGS, cases_named, planned_cases

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

    from repro.plugin.session import RunSession


class Reporting:
    """Collects the results of cases, and reports them when there were any.

    Args:
        config: of the run.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._session: RunSession | None = None

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Begin, once, since a controller collects nothing itself."""
        if self._session or not any("@" in nodeid for nodeid in ids):
            return
        settings = read_settings(self._config, {}, self._config.rootpath)
        planned = len(cases_named(self._config, settings, ids))
        if not planned:
            return
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter:
            reporter.ensure_newline()
            reporter.write_line(summary(settings))
            number = len(self._config.option.tx)
            gpus = workers.visible_gpus(os.environ)
            reporter.write_line(f"repro: {workers.describe(number, gpus)}")
        self._begin(planned)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Begin, when cases were selected and are going to run."""
        # They have none where pytest has just refused an option such as -k.
        chosen = [item for item in session.items if SETTINGS in item.stash]
        if chosen and not self._config.option.collectonly:
            self._begin(planned=len(planned_cases(chosen)))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Receive the result of a case; a failed test may have left none behind."""
        if hasattr(report, "repro_claim"):
            self._begin(planned=0).receive_claim(report.repro_claim)
            return
        if hasattr(report, "repro") or (report.failed and "@" in report.nodeid):
            self._begin(planned=1).receive(report)

    # The innermost wrapper: before pytest writes its JUnit report, and after the others
    # but before the terminal prints its summary.
    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(
        self, session: pytest.Session
    ) -> Generator[None, None, None]:
        """Write the reports."""
        if self._session:
            self._session.add_properties()
        yield
        if self._session:
            status = int(session.exitstatus)
            self._session.finish(self._session.exit_status(status))
            session.exitstatus = self._session.exit_status(status)

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        """Print the table, after the failures."""
        if self._session:
            self._session.print_table(terminalreporter)

    def _begin(self, planned: int) -> RunSession:
        from repro.plugin.session import RunSession

        self._session = self._session or RunSession(self._config, planned)
        return self._session
