"""Hooks of the process that reports: xdist's controller, or the only one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

from repro.plugin import workers
from repro.plugin.options import read_settings, summary

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
        self._announced = False

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Say what is in force once, since a controller collects nothing itself."""
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter and not self._announced and any("@" in nodeid for nodeid in ids):
            self._announced = True
            settings = read_settings(self._config, {}, self._config.rootpath)
            if settings.expected:
                reporter.ensure_newline()
                reporter.write_line(summary(settings))
                number = len(self._config.option.tx)
                gpus = workers.visible_gpus(os.environ)
                reporter.write_line(f"repro: {workers.describe(number, gpus)}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Receive the result of a case; a failed test may have left none behind."""
        if hasattr(report, "repro") or (report.failed and "@" in report.nodeid):
            from repro.plugin.session import RunSession

            self._session = self._session or RunSession(self._config)
            self._session.receive(report)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Write the reports."""
        if self._session:
            self._session.write_reports()

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        """Print the table, after the failures."""
        if self._session:
            self._session.print_table(terminalreporter)
