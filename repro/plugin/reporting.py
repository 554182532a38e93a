"""Hooks of the process that reports: xdist's controller, or the only one."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from repro.machine import visible_gpus
from repro.plugin import workers
from repro.plugin.recovery import PLANNED, RERUN
from repro.plugin.settings import (
    measures_nothing,
    names_expected,
    read_settings,
    summary,
)

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

    from repro.cases import Case
    from repro.plugin.planned import Planned
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
        self._has_lines = False
        self._failures = 0
        self._stopped = False

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self) -> None:
        """Begin, once, since a controller collects nothing itself."""
        if self._session or measures_nothing(self._config):
            return
        from repro.plugin.planned import left_by_workers

        planned = left_by_workers(self._config)
        if not planned.tests and not self._is_empty_shard:
            return
        workers.deal_one_by_one(self._config)
        self._say(self._header(planned))
        self._begin(planned)
        self._has_lines = True

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Begin, when cases were selected and are going to run."""
        is_mine = workers.SELECTED in self._config.stash
        if not is_mine or measures_nothing(self._config):
            return
        from repro.plugin.planned import planned_of
        from repro.plugin.selection import SETTINGS

        # They have none where pytest has just refused an option such as -k.
        chosen = [item for item in session.items if SETTINGS in item.stash]
        planned = planned_of(chosen)
        if not chosen and not self._is_empty_shard:
            return
        self._begin(planned)
        self._has_lines = self._start_cluster(chosen)
        if not self._has_lines:
            self._show_bars(planned.cases)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_logreport(
        self, report: pytest.TestReport
    ) -> Generator[None, None, None]:
        """Receive the result of a case; a failed test may have left none behind."""
        result = None
        self._failures += report.failed
        if hasattr(report, "repro_claim"):
            self._begin(None).receive_claim(report.repro_claim)
        elif hasattr(report, "repro"):
            result = self._begin(None, recorded=True).receive(report)
        elif self._session:
            result = self._session.receive(report)
        yield
        outcome: str = report.outcome
        if outcome == RERUN and self._session:
            from repro.plugin.junit import forget

            forget(self._config, report)
        if result and self._has_lines and self._progress is None:
            self._progress = self._lines()
        if result and self._progress:
            self._progress.ended(result)

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[Any]) -> None:
        """Tell a run that ends with its first failures from one that was killed."""
        option = self._config.option
        asked = getattr(option, "maxfail", 0) or getattr(option, "stepwise", False)
        # pytest's and xdist's own are made of it, for want of a better one.
        is_own = excinfo.type not in (KeyboardInterrupt, pytest.exit.Exception)
        self._stopped = bool(asked and is_own and self._failures)

    # The innermost wrapper: before pytest writes its JUnit report, and after the others
    # but before the terminal prints its summary.
    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(
        self, session: pytest.Session
    ) -> Generator[None, None, None]:
        """Write the reports."""
        if self._session:
            self._session.count_unrun()
            self._session.add_properties()
        if self._progress:
            self._progress.close()
        yield
        if self._session:
            status = int(session.exitstatus)
            stopped = self._stopped or bool(session.shouldfail)
            found = self._session.exit_status(status, stopped=stopped)
            self._session.finish(found)
            session.exitstatus = self._session.exit_status(status, stopped=stopped)

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
        number = len(self._config.stash[PLANNED].judged)
        return Lines(reporter, number) if is_shown(reporter) else None

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
        from repro.plugin.cluster import start
        from repro.plugin.selection import SETTINGS, case_of

        pairs = [(item.stash[SETTINGS], case_of(item)) for item in chosen]
        found = [(settings, case) for settings, case in pairs if case is not None]
        lines = start(self._config, found)
        self._say(lines)
        return bool(lines)

    def _header(self, planned: Planned) -> list[str]:
        """Say what is in force: workers have nobody to say it to."""
        from repro.plugin.planning import download_lines, plan_line

        own = read_settings(self._config, {}, self._config.rootpath)
        settings = planned.settings or [own]
        number = self._config.stash.get(workers.STARTED, 1)
        described = workers.describe(number, visible_gpus(os.environ))
        lines = [summary(found) for found in settings] + [f"repro: {described}"]
        if planned.cases:
            lines.append(plan_line(self._config, settings[0], planned.cases))
            lines += download_lines(settings[0], planned.cases)
        return lines

    def _say(self, lines: Sequence[str]) -> None:
        reporter = self._reporter
        if reporter and lines and reporter._tw.width_of_current_line:
            reporter.write_line("")
        if reporter:
            for line in lines:
                reporter.write_line(line)

    @property
    def _is_empty_shard(self) -> bool:
        """Whether this is a part of a run, also one without any case."""
        config = self._config
        if workers.SHARDED in config.stash:
            return True
        if not names_expected(config):
            return False
        return read_settings(config, {}, config.rootpath).shard is not None

    def _begin(self, planned: Planned | None, *, recorded: bool = False) -> RunSession:
        """Begin once; results of workers elsewhere may come without a plan."""
        if self._session is None:
            from repro.plugin.planned import Planned
            from repro.plugin.session import RunSession

            found = planned or Planned()
            recorded = recorded or bool(found.judged) or self._is_empty_shard
            self._config.stash[PLANNED] = found
            self._session = RunSession(self._config, found, recorded=recorded)
        return self._session
