"""Run cases inside tests: engines, shared measurements, and outcomes for pytest."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, NoReturn, TypeVar

import msgspec
import pytest

from repro.cases import Case
from repro.diagnosis.what_if import likely_causes
from repro.errors import NotAvailableError, ReproError
from repro.judgement.verdict import ReferenceCheck, Verdict, verdict_of
from repro.options.table import Settings
from repro.plugin import workers
from repro.plugin.engines import started_engine
from repro.plugin.items import RESULT, SETTINGS, TAKEN_FROM, case_of
from repro.plugin.progress import BARS
from repro.plugin.selection import all_cases
from repro.plugin.surroundings import as_they_were
from repro.plugin.workers import run_folder
from repro.published import Reference
from repro.records.comparison import since_earlier
from repro.records.identity import Asked, MeasurementKey, asked
from repro.records.ledger import Ledger, existing_ledger
from repro.records.past import known_of, last_met
from repro.records.predictions import MeasuredCase
from repro.records.result import (
    CaseResult,
    Measurement,
    judge,
    not_run,
    place_of,
    result_of,
)
from repro.report.changes import since_sentence
from repro.report.failure import failure_text
from repro.words import visible

if TYPE_CHECKING:
    from repro.claims.evidence import MeasuredCheckpoint, Stated
    from repro.claims.result import ClaimResult
    from repro.engine.protocol import Engine
    from repro.evaluation.predictions import Predictions


T = TypeVar("T")


def runner_of(item: pytest.Item) -> CaseRunner:
    """Make the runner of a test, with the options that are in force for it."""
    return CaseRunner(item, item.stash[SETTINGS])


def asked_of(item: pytest.Item, case: Case) -> Asked:
    """Write down what a test asks for a case."""
    settings = item.stash[SETTINGS].for_engine()
    return asked(case, settings.asked(), settings.chosen())


class CaseRunner:
    """Measures and judges cases for one test.

    Args:
        item: the test.
        settings: options in force for it.
    """

    def __init__(self, item: pytest.Item, settings: Settings) -> None:
        self._item = item
        self._settings = settings

    @property
    def engine(self) -> Engine:
        """What measures; tests with the same settings share it."""
        item = self._item
        return started_engine(item.config, self._settings, item.session.items)

    @as_they_were()
    def settle(self, step: Callable[[], T], case: Case | None = None) -> T:
        """Take a step; what is missing or wrong becomes an outcome of the test."""
        try:
            return step()
        except ReproError as error:
            concerned = case or case_of(self._item)
            # What is not here is skipped, as tests are for what a machine lacks; what
            # is here and wrong fails, strict or not.
            failed = self._settings.strict or not isinstance(error, NotAvailableError)
            reason = str(error)
            if concerned:
                wanted = asked_of(self._item, concerned)
                result = not_run(concerned, error, wanted, is_failure=failed)
                if failed:
                    reason += self._last_met(concerned)
                    result = msgspec.structs.replace(result, reason=reason)
                self._item.stash[RESULT] = result
            _end(reason, failed=failed)

    def _last_met(self, case: Case) -> str:
        """Say what the ledger knows of a case that can no longer be measured."""
        folder = self._settings.ledger
        # Only an addition to a failure that has its reason already.
        with contextlib.suppress(ReproError), existing_ledger(folder) as ledger:
            if ledger and (met := last_met(ledger, case.id)):
                weights = met.weights[:8]
                return f"; it was last met in run {met.run}, with weights {weights}"
        return ""

    @as_they_were()
    def reproduce(self, case: Case) -> CaseResult:
        """Measure a case and compare it with every published number it must meet."""
        measurement, predictions = self.settle(lambda: self.measure(case), case)
        comparisons = tuple(
            self._compare(case, reference, measurement) for reference in case.references
        )
        result = result_of(
            case,
            verdict_of(comparisons),
            measurement,
            comparisons,
            asked=asked_of(self._item, case),
        )
        if result.verdict.is_divergence:
            causes = likely_causes(predictions, len(case.dataset.classes))
            result = msgspec.structs.replace(result, reason=" ".join(causes))
        elif result.verdict is not Verdict.REPRODUCED:
            result = msgspec.structs.replace(result, reason=_why_unsettled(result))
        result = self._compared_with_earlier(case, result, predictions)
        result = self._diagnosed(case, result, predictions)
        # Before the test ends, which it does by an exception: the hook that makes its
        # report looks for it there.
        self._item.stash[RESULT] = result
        if result.verdict.is_failure:
            _end(failure_text(case, result), failed=True)
        if result.verdict is Verdict.EXPECTED_DIVERGENCE:
            pytest.xfail(result.reason)
        if result.verdict is not Verdict.REPRODUCED:
            failed = self._settings.strict and result.verdict is Verdict.INCONCLUSIVE
            _end(f"{result.verdict}: {result.reason}", failed=failed)
        return result

    def _compared_with_earlier(
        self, case: Case, result: CaseResult, predictions: Predictions
    ) -> CaseResult:
        """Add what has changed since the case was as expected, or since all images."""
        measurement, is_failure = result.measurement, result.verdict.is_failure
        if measurement is None or (measurement.is_complete and not is_failure):
            return result
        names = partial(self.engine.image_names, case)
        uid = workers.run_name(self._item.config)
        try:
            with existing_ledger(self._settings.ledger) as ledger:
                if ledger is None:
                    return result
                since = since_earlier(ledger, result, predictions, names, uid)
        except ReproError as error:
            # What was measured stays measured.
            why = f"{result.reason} What has changed was not found out: {error}"
            return msgspec.structs.replace(result, reason=why.strip())
        if since is None:
            return result
        reason = result.reason
        if not is_failure:
            reason = "; ".join(filter(None, (reason, since_sentence(since))))
        return msgspec.structs.replace(result, reason=reason, since=since)

    def _diagnosed(
        self, case: Case, result: CaseResult, predictions: Predictions
    ) -> CaseResult:
        """Add what would explain the result, where that is wanted."""
        settings = self._settings
        wanted = result.verdict.is_divergence or settings.diagnose
        if settings.no_diagnose or not wanted or not case.references:
            return result
        try:
            with existing_ledger(settings.ledger) as ledger:
                known = known_of(case, result, ledger)
            bars = self._item.config.stash.get(BARS, None)
            if bars is None:
                diagnosis = self.engine.diagnose(case, predictions, known)
            else:
                with bars.explaining(result.place) as advance:
                    diagnosis = self.engine.diagnose(case, predictions, known, advance)
        except ReproError as error:
            # What was measured stays measured.
            why = f"{result.reason} What would explain it was not found out: {error}"
            return msgspec.structs.replace(result, reason=why.strip())
        if diagnosis.cause and result.verdict.is_divergence:
            # What chance alone suggests would contradict what was found.
            result = msgspec.structs.replace(result, reason="")
        return msgspec.structs.replace(result, diagnosis=diagnosis)

    def measure(self, case: Case) -> MeasuredCase:
        """Measure a case, unless this run has it already.

        Raises:
            NotAvailableError: its weights or images are not here.
            ReproError: something about them is wrong.
        """
        folder = run_folder(self._item.config)
        key = self.engine.key(case)
        # The ledger is asked inside of the lock too: else two workers that want the
        # same would both find nothing there, and both measure.
        measured = folder.measure_once(
            key, lambda: self._take_over(case, key) or self._measure_now(case)
        )
        # Not of the case of another family that a number may belong to: only the test's
        # own case gets a result, and only for results the ledger keeps names.
        if self._settings.ledger and case is case_of(self._item):
            folder.share_names(
                measured[0].dataset_fingerprint,
                lambda: self.engine.image_names(case),
            )
        return measured

    def _measure_now(self, case: Case) -> MeasuredCase:
        """Measure a case, watched where somebody sits in front of a terminal."""
        bars = self._item.config.stash.get(BARS, None)
        if bars is None:
            return self.engine.measure(case)
        count = partial(self.engine.here().images, case)
        place = place_of(case, asked_of(self._item, case))
        with bars.measuring(place, case.dataset.images, count) as advance:
            return self.engine.measure(case, advance)

    def _take_over(self, case: Case, key: MeasurementKey) -> MeasuredCase | None:
        """Look for the measurement in the ledger, where that was asked for."""
        folder = self._settings.ledger
        if not self._settings.resume or folder is None:
            return None
        with Ledger(folder) as ledger:
            # What was ended early was hopeless for the numbers of then.
            every = (ledger.measured(digest) for digest in key.as_good)
            found = next((one for one in every if one), None)
        if found is None:
            return None
        if case is case_of(self._item):
            self._item.stash[TAKEN_FROM] = found.run
        return found.measurement, found.predictions

    def _compare(
        self, case: Case, reference: Reference, measurement: Measurement
    ) -> ReferenceCheck:
        found = judge(reference, case.release, measurement)
        others = [name for name in reference.families if name != case.family.id]
        if not found.verdict.is_divergence or not others:
            return found
        return self._elsewhere(case, reference, found, others)

    def _elsewhere(
        self, case: Case, reference: Reference, found: ReferenceCheck, others: list[str]
    ) -> ReferenceCheck:
        """Look whether the number belongs to another family's checkpoint."""
        unknown: list[str] = []
        for name in others:
            other = case.with_family(name)
            label = f"{name}/{case.checkpoint}"
            try:
                measurement, _ = self.measure(other)
            except ReproError as error:
                unknown.append(f"{label} was not measured: {error}")
                continue
            theirs = judge(reference, case.release, measurement)
            # Nothing speaks against this checkpoint while the other may be meant.
            if theirs.verdict is Verdict.INCONCLUSIVE:
                unknown.append(f"{label} is inconclusive: {theirs.reason}")
            if theirs.verdict is Verdict.REPRODUCED:
                return msgspec.structs.replace(
                    found,
                    verdict=Verdict.UNREFERENCED,
                    reason=f"the source measured {label}, which meets the number",
                )
        if unknown:
            return msgspec.structs.replace(
                found,
                verdict=Verdict.INCONCLUSIVE,
                reason="the number belongs to this checkpoint or another, and "
                + "; ".join(unknown),
            )
        return found


def _end(reason: str, *, failed: bool) -> NoReturn:
    """End the test, failed or skipped, without a traceback."""
    if failed:
        pytest.fail(visible(reason), pytrace=False)
    pytest.skip(visible(reason))


def _why_unsettled(result: CaseResult) -> str:
    assert result.measurement is not None
    metrics = result.measurement.metrics
    reasons = dict.fromkeys(c.reason for c in result.comparisons if c.reason)
    why = "; ".join(reasons) or "no published number to compare with"
    if result.verdict is Verdict.EXPECTED_DIVERGENCE:
        return why
    bound = result.measurement.intervals.get("top1")
    within = f" ({bound.low:.2f} to {bound.high:.2f} on all images)" if bound else ""
    return (
        f"{why}; measured top-1 {metrics.percent('top1'):.3f} %{within}, "
        f"loss {metrics.loss:.6f}"
    )


@as_they_were()
def uphold(item: pytest.Item, stated: Stated, runner: CaseRunner) -> ClaimResult:
    """Check a claim with what this run measures, and end its test accordingly."""
    from repro.claims.evidence import MeasuredEvidence
    from repro.claims.judge import judge_claim
    from repro.claims.result import ClaimVerdict
    from repro.report.claims_report import claim_text, short_text

    claim, release = stated.claim, stated.release
    evidence = MeasuredEvidence(
        claim,
        lambda family: _known_checkpoints(item, stated, family),
        lambda family, checkpoint: _measure(stated, family, checkpoint, runner),
    )
    result = judge_claim(release, claim, evidence)
    item.stash[RESULT] = result
    strict = item.stash[SETTINGS].strict
    if result.is_surprise:
        pytest.fail(visible(claim_text(result)), pytrace=False)
    if result.verdict is ClaimVerdict.MISSING or result.reason:
        if strict:
            pytest.fail(visible(claim_text(result)), pytrace=False)
        pytest.skip(visible(short_text(result)))
    if not result.is_as_expected:
        pytest.skip(visible(short_text(result)))
    return result


def _known_checkpoints(item: pytest.Item, stated: Stated, family: str) -> Sequence[str]:
    """List the checkpoints of a family that have references or weights."""
    cases = all_cases(item.config, item.stash[SETTINGS])
    return list(
        dict.fromkeys(
            case.checkpoint
            for case in cases
            if (case.release.id, case.family.id) == (stated.release.id, family)
        )
    )


def _measure(
    stated: Stated, family: str, checkpoint: str, runner: CaseRunner
) -> MeasuredCheckpoint:
    """Take the measurement of this run, or make it.

    Raises:
        MissingError: weights or images are not here, or not what they should be.
    """
    from repro.claims.evidence import MissingError
    from repro.records.past import checkpoint_of

    try:
        measured = runner.measure(stated.case(family, checkpoint))
    except ReproError as error:
        raise MissingError(str(error)) from error
    return checkpoint_of(stated, *measured)
