"""Workers of xdist that die: the next one takes their place, and their case.

xdist replaces a dead worker, deals what it had waiting to others and reports its case
as failed. A case that takes minutes deserves another attempt, since memory that was
short for a moment is the usual cause, and the replacement needs the GPU of the dead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest

from repro.plugin.costs import TIMINGS, timings_for_worker
from repro.plugin.workers import RUN, SEAT, STARTED, assign_gpus, run_name

if TYPE_CHECKING:
    from xdist.scheduler import Scheduling
    from xdist.workermanage import WorkerController

    from repro.plugin.planned import Planned

#: How a report is called that says that its test is run again.
RERUN = "rerun"

#: What is planned in this run, once it has begun.
PLANNED: pytest.StashKey[Planned] = pytest.StashKey()


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
