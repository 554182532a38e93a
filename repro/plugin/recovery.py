"""Workers of xdist that die: the next one takes their place, and their case.

xdist replaces a dead worker, deals what it had waiting to others and reports its case
as failed. A case that takes minutes deserves another attempt, since memory that was
short for a moment is the usual cause, and the replacement needs the GPU of the dead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from repro.plugin.planning import TIMINGS, timings_for_worker
from repro.plugin.selection import cases_named
from repro.plugin.settings import read_settings
from repro.plugin.workers import RUN, SEAT, run_name

if TYPE_CHECKING:
    from xdist.scheduler import Scheduling
    from xdist.workermanage import WorkerController

#: How a report is called that says that its test is run again.
RERUN = "rerun"


class Recovery:
    """Gives workers their seats, and runs the case of a dead worker once more.

    Args:
        config: of the run.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._seats: dict[str, int] = {}
        self._run_again: set[str] = set()

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: WorkerController) -> None:
        """Give a worker the first free seat; that of a dead one is free."""
        taken = self._seats.values()
        seat = next(n for n in range(len(taken) + 1) if n not in taken)
        self._seats[node.gateway.id] = seat
        node.workerinput[SEAT] = seat
        node.workerinput[RUN] = run_name(self._config)
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
        if not self._is_case(crashitem):
            return
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
        report.outcome = RERUN  # type: ignore[assignment]

    def pytest_report_teststatus(
        self, report: pytest.TestReport
    ) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
        """Show a case that is run again as neither passed nor failed."""
        outcome: Any = report.outcome
        if outcome != RERUN:
            return None
        return RERUN, "R", ("RERUN", {"yellow": True})

    def _is_case(self, nodeid: str) -> bool:
        settings = read_settings(self._config, {}, self._config.rootpath)
        return "@" in nodeid and bool(cases_named(self._config, settings, [nodeid]))
