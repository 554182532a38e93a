"""Hooks of the process that the user started: xdist's controller, or the only one."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from repro.errors import ReproError
from repro.plugin import without_effect, workers
from repro.plugin.engines import TIMINGS, timings_for_worker
from repro.plugin.settings import measures_nothing, names_expected, read_settings
from repro.plugin.surroundings import as_they_were
from repro.plugin.workers import (
    FOLDER,
    RUN,
    SEAT,
    STARTED,
    assign_gpus,
    run_name,
    run_path,
)
from repro.words import visible

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter
    from xdist.scheduler import Scheduling
    from xdist.workermanage import WorkerController

    from repro.plugin.planned import Planned
    from repro.plugin.progress import Progress
    from repro.plugin.session import RunSession


#: How a report is called that says that its test is run again.
RERUN = "rerun"

#: What is planned in this run, once it has begun.
PLANNED: pytest.StashKey[Planned] = pytest.StashKey()


class Recovery:
    """Gives workers their seats, and runs the case of a dead worker once more.

    xdist replaces a dead worker, deals what it had waiting to others and reports its
    case as failed. A case that takes minutes deserves another attempt, since memory
    that was short for a moment is the usual cause, and the replacement needs the GPU of
    the dead.

    Args:
        config: of the run.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._seats: dict[str, int] = {}
        self._run_again: set[str] = set()

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_setupnodes(self, specs: Sequence[object]) -> None:
        """Count the workers that are going to be started, and deal them the GPUs."""
        self._config.stash[STARTED] = len(specs)
        assign_gpus(self._config, specs)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: WorkerController) -> None:
        """Give a worker the first free seat; that of a dead one is free."""
        taken = self._seats.values()
        # Not the worker's own number: that of a replacement is new, and would be a GPU
        # that another worker has while that of the dead one is idle.
        seat = next(n for n in range(len(taken) + 1) if n not in taken)
        self._seats[node.gateway.id] = seat
        node.workerinput[SEAT] = seat
        node.workerinput[RUN] = run_name(self._config)
        if node.gateway.spec.popen:
            node.workerinput[FOLDER] = str(run_path(self._config))
        node.workerinput[TIMINGS] = timings_for_worker(self._config)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: WorkerController) -> None:
        """Free the seat of a worker that has ended or died."""
        self._seats.pop(node.gateway.id, None)

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(
        self, crashitem: str, report: pytest.TestReport, sched: Scheduling
    ) -> None:
        """Deal a case again, once; other tests fail as they would without repro."""
        planned = self._config.stash.get(PLANNED, None)
        if planned is None or crashitem not in planned.tests:
            return
        # Once: a case that brings down its worker each time would go round for ever.
        if crashitem in self._run_again:
            report.longrepr = (
                f"{report.longrepr}, for the second time; if it was short of memory, "
                "start fewer workers with -n or set a smaller --repro-batch-size"
            )
            return
        try:
            sched.mark_test_pending(crashitem)
        except NotImplementedError:  # by --dist loadscope and its like
            return
        self._run_again.add(crashitem)
        # Neither passed nor failed: this report goes on to every reporter, and one that
        # failed would make the run red though the case may yet be reproduced.
        report.outcome = RERUN  # type: ignore[assignment]

    def pytest_report_teststatus(
        self, report: pytest.TestReport
    ) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
        """Show a case that is run again as neither passed nor failed."""
        outcome: Any = report.outcome
        if outcome != RERUN:
            return None
        return RERUN, "R", ("RERUN", {"yellow": True})


class Reporting:
    """Collects the results of cases, and reports them when there were any.

    Args:
        config: of the run.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._session: RunSession | None = None
        self._progress: Progress | None = None
        self._header: list[str] = []
        self._has_lines = False
        self._failures = 0
        self._stopped = False
        self._is_said = False

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self) -> None:
        """Begin, once, since a controller collects nothing itself."""
        if self._session or measures_nothing(self._config):
            return
        from repro.plugin.planned import Planned, header, left_by_workers

        planned = left_by_workers(self._config)
        if not planned.tests:
            if not self._is_named_shard:
                self._say_once(without_effect(self._config))
                return
            own = read_settings(self._config, {}, self._config.rootpath)
            planned = Planned(settings=[own])
        workers.deal_one_by_one(self._config)
        self._say(header(self._config, planned))
        self._begin(planned)
        self._has_lines = True

    # Before the terminal asks for what is to be said of the tests.
    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Begin, where tests of cases are going to run in this process."""
        from repro.plugin.planned import Planned, header, in_force, planned_of

        if measures_nothing(self._config):
            planned = Planned(settings=in_force(session.items))
        else:
            planned = planned_of(session.items)
            self._begin(planned)
            self._start_engines(planned, session.items)
        self._header = [*map(visible, header(self._config, planned))]

    def pytest_report_collectionfinish(self) -> list[str]:
        """Say what is in force, and what it takes."""
        return self._header

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_logreport(
        self, report: pytest.TestReport
    ) -> Generator[None, object, None]:
        """Receive the result of a case; a failed test may have left none behind."""
        self._failures += report.failed
        with as_they_were():
            # Results of workers elsewhere may come without a plan.
            if hasattr(report, "repro") or hasattr(report, "repro_claim"):
                self._begin()
            result = self._session.receive(report) if self._session else None
        yield
        outcome: str = report.outcome
        if outcome == RERUN and self._session:
            from repro.plugin.session import forget

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
    ) -> Generator[None, object, None]:
        """Write the reports."""
        if self._session:
            with as_they_were():
                self._session.count_unrun()
                self._session.add_properties()
        if self._progress:
            self._progress.close()
        try:
            yield
        except BaseException as error:
            # pytest ends with what `pytest.exit` names, or with a traceback.
            named = getattr(error, "returncode", None) or session.exitstatus
            session.exitstatus = named or pytest.ExitCode.TESTS_FAILED
            raise
        finally:
            # What was measured for hours is not lost for another plugin's fault.
            if self._session:
                self._finish(self._session, session)

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        """Print the table, after the failures."""
        if self._session:
            self._session.print_table(terminalreporter)
            self._is_said = True

    def pytest_unconfigure(self) -> None:
        """Print the table where pytest, ending otherwise, printed no summary."""
        reporter = self._reporter
        if self._session and reporter and not self._is_said:
            self._session.print_table(reporter)

    def _finish(self, run: RunSession, session: pytest.Session) -> None:
        status = int(session.exitstatus)
        stopped = self._stopped or bool(session.shouldfail)
        # Asked twice: the ledger keeps what is known before reports are written;
        # one that cannot be, or a baseline that is not there, counts after.
        run.finish(run.exit_status(status, stopped=stopped))
        session.exitstatus = run.exit_status(status, stopped=stopped)

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

    def _show_bars(self, planned: Planned) -> None:
        from repro.plugin.progress import BARS, Bars, is_shown

        reporter = self._reporter
        if not is_shown(reporter) or os.environ.get("TERM") == "dumb":
            return
        images = {
            place: min(test.case.dataset.images, test.settings.limit or sys.maxsize)
            for place, test in planned.measured.items()
        }
        self._progress = self._config.stash[BARS] = Bars(reporter, images)

    def _start_engines(self, planned: Planned, items: Sequence[pytest.Item]) -> None:
        from repro.plugin.engines import engine_of, started_engine

        try:
            engines = [engine_of(self._config, s) for s in planned.by_settings()]
            # Bars show one case at a time; elsewhere many are under way at once.
            self._has_lines = not all(engine.computes_here for engine in engines)
            if not self._has_lines:
                self._show_bars(planned)
            for settings in planned.by_settings():
                started_engine(self._config, settings, items)
        except ReproError as error:
            raise pytest.UsageError(str(error)) from error

    def _say_once(self, lines: Sequence[str]) -> None:
        """Write lines that each worker would give occasion for."""
        if not self._header:
            self._header = list(lines)
            self._say(lines)

    def _say(self, lines: Sequence[str]) -> None:
        """Write lines of a controller: nobody asks it what there is to be said."""
        reporter = self._reporter
        if reporter is None:
            return
        if reporter._tw.width_of_current_line:
            reporter.write_line("")
        for line in lines:
            reporter.write_line(visible(line))

    @property
    def _is_named_shard(self) -> bool:
        """Whether this is a part of a run; it may be one without any case."""
        if not names_expected(self._config):
            return False
        settings = read_settings(self._config, {}, self._config.rootpath)
        return settings.shard is not None

    def _begin(self, planned: Planned | None = None) -> None:
        """Begin, once."""
        if self._session is None:
            from repro.plugin.planned import Planned
            from repro.plugin.session import RunSession

            found = planned or Planned()
            self._config.stash[PLANNED] = found
            self._session = RunSession(self._config, found)
