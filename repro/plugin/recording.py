"""What comes of a run: as it arrives, in the ledger, and in tables at its end."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import msgspec
import pytest

from repro.claims.result import ClaimResult
from repro.errors import LedgerError, ReproError
from repro.judgement.verdict import Verdict
from repro.options.table import Settings
from repro.plugin.items import reason_of, result_on
from repro.plugin.settings import invoked_in
from repro.plugin.workers import run_folder, run_name
from repro.records.identity import git_state
from repro.records.ledger import Ledger
from repro.records.result import CaseResult, not_run
from repro.records.upkeep import lasting_arguments, prune
from repro.report.claims_report import claim_lines
from repro.report.comparison import comparison_lines
from repro.report.report import Report, recorded, since_run
from repro.report.terminal import Style, Verbosity, table_lines
from repro.words import visible

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

    from repro.plugin.planned import Planned


NO_TURN = "the run ended before its turn (--repro-resume goes on)"
VANISHED = "they were there before the first test"
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
        # The last that comes of a test: a case without a result by then has none.
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
        if found.lacking == "weights" and found.place in self._planned.seen:
            # Another's mock hides them, or a disk has gone: no reason to be green.
            reason = f"{found.reason}; {VANISHED}"
            found = msgspec.structs.replace(
                found, verdict=Verdict.FAILED, reason=reason, lacking="", remedy=""
            )
            self._is_whole = False
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
        """Whether every case had its turn, and was measured where it could be."""
        return self._is_whole

    @property
    def has_diverged(self) -> bool:
        """Whether a number was not met, or a claim came out otherwise."""
        return any(result.verdict.is_contradiction for result in self.cases) or any(
            claim.is_surprise for claim in self.claims
        )


Line = tuple[str, Style]
PLAIN: Style = "plain"
BAD: Style = "bad"

_MARKUP: dict[Style, dict[str, bool]] = {
    "plain": {},
    "good": {"green": True},
    "bad": {"red": True},
    "dim": {"light": True},
    "bold": {"bold": True},
}


def print_summary(
    reporter: TerminalReporter,
    results: Sequence[CaseResult],
    claims: Sequence[ClaimResult],
    record: Iterable[Line],
    files: Iterable[Line],
    baseline: int | None = None,
) -> None:
    """Print the table of results, and of claims, where there are some.

    Args:
        reporter: of pytest.
        results: in the order of the table.
        claims: that were checked.
        record: what is said of the run below its table.
        files: what is said of its reports.
        baseline: run with which the record says that it was compared.
    """
    width, verbosity = reporter._tw.fullwidth, _verbosity(reporter)
    if results:
        _section(reporter, "published and measured")
        _print(reporter, table_lines(results, width, verbosity, baseline))
        _print(reporter, record)
    if claims:
        _section(reporter, "claims")
        _print(reporter, claim_lines(claims, width, verbosity))
    if results or claims:
        _print(reporter, files)


def _section(reporter: TerminalReporter, title: str) -> None:
    reporter.ensure_newline()
    reporter.section(title, sep="=")


def _print(reporter: TerminalReporter, lines: Iterable[Line]) -> None:
    for line, style in lines:
        reporter.write_line(visible(line), **_MARKUP[style])


def _verbosity(reporter: TerminalReporter) -> Verbosity:
    if reporter.verbosity:
        return "verbose" if reporter.verbosity > 0 else "quiet"
    return "normal"


class Recorder:
    """The ledger's side of a run, in the process that the user started.

    Once the run is measuring, nothing that goes wrong here ends it: it is said below
    the results.

    Args:
        config: of the run.
        settings: of the run, with a ledger.
        planned: how many cases were selected.

    Raises:
        LedgerError: the ledger cannot be written, or has no such baseline.
    """

    def __init__(self, config: pytest.Config, settings: Settings, planned: int) -> None:
        assert settings.ledger
        self._settings = settings
        self._shared = run_folder(config)
        self._names: set[str] = set()
        self._taken_over: dict[str, int] = {}
        self._trouble = ""
        self._lacking = ""
        self._changes: list[str] = []
        #: The run that this one was compared with.
        self.baseline: int | None = None
        #: Whether the run fails for what its baseline is not there.
        self.fails_for_baseline = False
        with ExitStack() as opened:
            self._ledger = opened.enter_context(Ledger(settings.ledger, create=True))
            if settings.baseline and settings.baseline not in ("last", "green"):
                self._ledger.find_run(settings.baseline)
            # As arguments, also where they were given by the environment: who merges
            # shards reads nothing but the ledger.
            lasting = lasting_arguments(settings.shard, settings.diverged_exit)
            self.run = self._ledger.begin(
                run_name(config),
                planned,
                [*config.invocation_params.args, *lasting],
                git_state(invoked_in(config)),
            )
            # From here on it stays open; an error before has closed it.
            opened.pop_all()

    def record(self, result: CaseResult | ClaimResult, taken_from: int | None) -> None:
        """Write down a result.

        Args:
            result: of a case or a claim.
            taken_from: the run that it was taken over from, if it was.
        """
        if self._trouble:
            return
        with self._forgiven():
            if isinstance(result, ClaimResult):
                self._ledger.record_claim(self.run, result)
            else:
                self._record_case(result, taken_from)

    def record_unrun(self, results: Iterable[CaseResult]) -> None:
        """Write down what is said of cases that were planned and have no result."""
        if not self._trouble:
            with self._forgiven():
                self._ledger.record_unrun(self.run, results)

    def _record_case(self, result: CaseResult, taken_from: int | None) -> None:
        if result.measurement is None:
            self._ledger.record(self.run, result)
            return
        if taken_from is not None:
            self._taken_over[result.place] = taken_from
        self._record_names(result.measurement.dataset_fingerprint)
        # By the folder: what travels with a report is plain data, kilobytes and not
        # more.
        predictions = self._shared.predictions(result.measurement.key)
        self._ledger.record(self.run, result, predictions)

    def _record_names(self, fingerprint: str) -> None:
        if fingerprint in self._names:
            return
        self._names.add(fingerprint)
        names = self._shared.names(fingerprint)
        if names is not None:
            self._ledger.record_names(fingerprint, names)

    def finish(self, report: Report, exit_status: int) -> Report:
        """Write down that the run has ended, and keep the ledger small.

        Returns:
            The report, with what earlier runs tell where it is going to be written.
        """
        with self._forgiven():
            # First of all: whatever goes wrong below, the run has ended, and how.
            self._ledger.finish(self.run, exit_status)
            prune(self._ledger)
            if self._settings.report:
                run = self._ledger.find_run(str(self.run))
                report = recorded(report, self._ledger, run)
            report = self._since_baseline(report)
        return report  # noqa: RET504 - what was added before something went wrong

    def _since_baseline(self, report: Report) -> Report:
        """Add to the report what has changed since the baseline, where there is one.

        Where there is none a strict run fails, unless it is the first of all. In the
        ledger its exit status is what it would be with one: else no run could become
        the baseline of the next.
        """
        wanted = self._settings.baseline
        if not wanted:
            return report
        measured = {result.id for result in report.results if result.measurement}
        try:
            baseline = self._ledger.find_run(wanted, before=self.run, cases=measured)
        except LedgerError:
            self._miss(wanted)
            return report
        if not report.results:
            return report
        report = since_run(report, self._ledger, self.run, baseline)
        assert report.compared is not None
        self.baseline = report.baseline
        width = shutil.get_terminal_size((120, 24)).columns
        self._changes = list(comparison_lines(report.compared, width=width))
        return report

    def _miss(self, baseline: str) -> None:
        """Note that there is no such baseline yet."""
        is_first = all(run.id >= self.run for run in self._ledger.runs())
        none = "no earlier run" if is_first else f"no {baseline} run"
        self._lacking = (
            f"--repro-baseline is {baseline!r}, and {self._ledger.file} has {none}: "
            "nothing to compare with"
        )
        self.fails_for_baseline = self._settings.strict and not is_first

    def close(self) -> None:
        """Let go of the ledger."""
        self._ledger.close()

    def lines(self) -> Iterator[Line]:
        """Say what the ledger has of the run, what it lacks, and what has changed."""
        if self._trouble:
            yield self._trouble, BAD
        taken: dict[int, list[str]] = {}
        for place, run in self._taken_over.items():
            taken.setdefault(run, []).append(place.partition(" ")[0])
        for run, cases in taken.items():
            yield f"taken over from run {run}: {', '.join(sorted(cases))}", PLAIN
        yield f"run {self.run} of the ledger", PLAIN
        if self._lacking:
            yield self._lacking, BAD if self.fails_for_baseline else PLAIN
        yield from ((line, PLAIN) for line in self._changes)

    @contextmanager
    def _forgiven(self) -> Iterator[None]:
        """Let a run that is measuring go on when it can no longer be recorded."""
        try:
            yield
        except ReproError as error:
            self._trouble = f"not everything was recorded: {error}"
