"""Check claims with what earlier runs measured."""

from __future__ import annotations

from typing import NamedTuple

from repro.cases import list_cases
from repro.claims.evidence import (
    MeasuredCheckpoint,
    MeasuredEvidence,
    MissingError,
    Stated,
)
from repro.claims.judge import judge_claim
from repro.claims.result import ClaimResult, ClaimVerdict
from repro.evaluation.predictions import Predictions
from repro.records.ledger import Ledger
from repro.records.result import CaseResult, Measurement

_Conditions = tuple[str, ...]


class _Entry(NamedTuple):
    """A whole measurement of a case, and its run."""

    run: int
    result: CaseResult


def judge_from_ledger(stated: Stated, ledger: Ledger) -> ClaimResult:
    """Check a claim with the newest whole measurements in the ledger that go together.

    Those of one claim are of the same images, by the same protocol and settings. The
    newest such set that has all the claim needs counts, or else the newest.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    known = _Known(stated, ledger)
    found: list[ClaimResult] = []
    for conditions in known.conditions() or [()]:
        evidence = known.evidence(conditions)
        found.append(judge_claim(stated.release, stated.claim, evidence))
        if found[-1].verdict is not ClaimVerdict.MISSING:
            return found[-1]
    return found[0]


def checkpoint_of(
    stated: Stated, found: Measurement, predictions: Predictions | None
) -> MeasuredCheckpoint:
    """Give what a measurement is for a claim, and why it may settle nothing."""
    claim = stated.claim
    published = stated.release.protocols[claim.protocol].precision
    return MeasuredCheckpoint(
        metrics=found.metrics,
        total=found.total,
        unsettled=found.in_other_precision(published) or found.estimated(claim.metric),
        predictions=predictions,
    )


class _Known:
    """The measurements of a claim's checkpoints in a ledger.

    Args:
        stated: the claim.
        ledger: that has them.
    """

    def __init__(self, stated: Stated, ledger: Ledger) -> None:
        self._stated = stated
        self._ledger = ledger
        self._cases = ledger.cases()
        self._measured: dict[str, list[_Entry]] = {}

    def conditions(self) -> list[_Conditions]:
        """List the conditions of measurements, those of the newest first."""
        families = {f for place in self._stated.claim.places() for f in place}
        entries = [
            entry
            for family in sorted(families)
            for checkpoint in self._checkpoints(family)
            for entry in self._entries(self._stated.case(family, checkpoint).id)
        ]
        entries.sort(key=lambda entry: entry.run, reverse=True)
        return list(dict.fromkeys(_conditions(entry.result) for entry in entries))

    def evidence(self, conditions: _Conditions) -> MeasuredEvidence:
        """Give what was measured in some conditions."""

        def measure(family: str, checkpoint: str) -> MeasuredCheckpoint:
            return self._newest(self._stated.case(family, checkpoint).id, conditions)

        return MeasuredEvidence(self._stated.claim, self._checkpoints, measure)

    def _newest(self, case: str, conditions: _Conditions) -> MeasuredCheckpoint:
        everything = self._entries(case)
        fitting = [e for e in everything if _conditions(e.result) == conditions]
        if not everything:
            raise MissingError("no run in the ledger measured all its images")
        if not fitting:
            raise MissingError(
                f"{case} was measured in run {everything[-1].run}, but on other images "
                "or with another protocol or settings than other checkpoints"
            )
        run = fitting[-1].run
        latest = {
            measurement.key: measurement
            for entry in fitting
            if entry.run == run and (measurement := entry.result.measurement)
        }
        if len(latest) > 1:
            raise MissingError(f"run {run} measured {case} with several weights files")
        ((key, found),) = latest.items()
        predictions = self._ledger.predictions(run, case, key)
        return checkpoint_of(self._stated, found, predictions)

    def _entries(self, case: str) -> list[_Entry]:
        """List the whole measurements of a case, oldest first."""
        if case not in self._measured:
            self._measured[case] = [
                _Entry(run.id, result)
                for run, result in self._ledger.history(case)
                if result.release == self._stated.release.id
                and result.measurement
                and result.measurement.is_complete
            ]
        return self._measured[case]

    def _checkpoints(self, family: str) -> list[str]:
        referenced = list_cases([self._stated.release])
        names = [found.checkpoint for found in referenced if found.family.id == family]
        before, after = self._stated.case(family, "*").id.split("*")
        names += (
            name.removeprefix(before).removesuffix(after)
            for name in self._cases
            if name.startswith(before) and name.endswith(after)
        )
        return [name for name in dict.fromkeys(names) if "/" not in name]


def _conditions(result: CaseResult) -> _Conditions:
    """Give what measurements of one claim must have in common.

    Records of old know less of it.
    """
    measured = result.measurement
    assert measured is not None
    return (
        *(measured.conditions, measured.dataset_fingerprint, measured.precision),
        *(result.geometry, result.conditions),
    )
