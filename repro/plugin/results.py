"""The results of a run's tests as they arrive, and what is left without one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from repro.claims.result import ClaimResult
from repro.judgement.verdict import Verdict
from repro.plugin.outcomes import reason_of, result_on
from repro.records.result import CaseResult, not_run

if TYPE_CHECKING:
    from repro.plugin.planned import Planned


NO_TURN = "the run ended before its turn (--repro-resume goes on)"
UNMEASURED = "its test passed and did not measure it"


class Results:
    """One result for each planned case and claim.

    Args:
        planned: the tests that have cases.
    """

    def __init__(self, planned: Planned) -> None:
        self._planned = planned
        self._cases: dict[str, CaseResult] = {}
        self._claims: dict[tuple[str, str], ClaimResult] = {}
        self._ended: set[str] = set()
        self._is_whole = True

    def receive(self, report: pytest.TestReport) -> CaseResult | ClaimResult | None:
        """Take the result that travels with a report, or note that a case has none.

        It is given back where it adds something to what is known.
        """
        if report.failed or report.when == "teardown":
            self._ended.add(report.nodeid)
        found = result_on(report)
        if isinstance(found, ClaimResult):
            self._claims[found.release, found.id] = found
            return found
        if found is None:
            found = self._without_result(report)
        if found is None:
            return None
        if report.failed and not found.is_failure:
            # By something else than a number, which has its verdict all the same.
            found = msgspec.structs.replace(
                found, verdict=Verdict.FAILED, reason=found.reason or reason_of(report)
            )
        found = msgspec.structs.replace(found, test=report.nodeid)
        self._cases[found.place] = found
        return found

    def _without_result(self, report: pytest.TestReport) -> CaseResult | None:
        """Say that a case has no result, where its test can give none any more.

        A test that fails with its teardown has one, and fails all the same.
        """
        test = self._planned.tests.get(report.nodeid)
        if test is None:
            return None
        if known := self._cases.get(test.place):
            is_own = report.failed and known.test == report.nodeid
            fails = is_own and not known.is_failure
            return msgspec.structs.replace(known, reason="") if fails else None
        if report.failed or (report.skipped and test.is_judged):
            why = reason_of(report)
            return not_run(test.case, why, test.asked, is_failure=report.failed)
        return None

    def count_unrun(self) -> list[CaseResult]:
        """Add the planned cases that have no result, now that no test is left."""
        tests = self._planned.tests
        unrun: dict[str, CaseResult] = {}
        ended = {tests[name].place for name in self._ended if name in tests}
        for place, test in self._planned.judged.items():
            if place in self._cases:
                continue
            reason = UNMEASURED if place in ended else NO_TURN
            unrun[place] = not_run(test.case, reason, test.asked)
        self._is_whole = self._is_whole and not unrun
        self._cases |= unrun
        return list(unrun.values())

    @property
    def cases(self) -> list[CaseResult]:
        """The results of cases, as they came."""
        return list(self._cases.values())

    @property
    def claims(self) -> list[ClaimResult]:
        """The results of claims, as they came."""
        return list(self._claims.values())

    @property
    def is_whole(self) -> bool:
        """Whether every case had its turn, and was measured where its test passed."""
        return self._is_whole

    @property
    def has_diverged(self) -> bool:
        """Whether a number was not met, or a claim came out otherwise."""
        return any(result.verdict.is_contradiction for result in self.cases) or any(
            claim.is_surprise for claim in self.claims
        )
