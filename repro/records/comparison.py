"""Two runs of the ledger, compared case by case."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from repro.judgement.compare import (
    CaseDifference,
    compare_predictions,
    most_telling_first,
)
from repro.records.environment import Environment
from repro.records.ledger import Ledger
from repro.records.pairing import pair_results
from repro.records.result import CaseResult, Measurement

#: What describes an environment besides its packages, and how it is called.
_CONDITIONS = {
    "python": "Python",
    "system": "system",
    "cpu": "processor",
    "cores": "cores",
    "decoder": "decoder",
    "device": "device",
    "cuda": "CUDA",
    "driver": "driver",
    "commit": "commit",
}


class RunComparison(msgspec.Struct, frozen=True, kw_only=True):
    """What has changed between two runs.

    `differences` are of the cases that both measured, the most telling first;
    `environment` lists what differs between the environments, such as
    `torch 2.14.0 -> 2.15.0`; the last two are cases that one run has and the other not.
    """

    before: int
    after: int
    differences: tuple[CaseDifference, ...]
    environment: tuple[str, ...]
    only_before: tuple[str, ...] = ()
    only_after: tuple[str, ...] = ()


def compare_runs(
    ledger: Ledger, before: int, after: int, results: Iterable[CaseResult] | None = None
) -> RunComparison:
    """Compare the cases that two runs measured.

    Args:
        ledger: that has both.
        before: number of the one run.
        after: number of the other.
        results: of the other one, where they are at hand.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    later = ledger.results(after) if results is None else results
    pairs = pair_results(_measured(ledger.results(before)), _measured(later))
    both = [(_with_measurement(old), _with_measurement(new)) for old, new in pairs.both]
    differences = [
        _difference(ledger, (before, old), (after, new)) for old, new in both
    ]
    environments = dict.fromkeys(
        change
        for (_, old), (_, new) in both
        for change in environment_changes(old.environment, new.environment)
    )
    return RunComparison(
        before=before,
        after=after,
        differences=tuple(most_telling_first(differences)),
        environment=tuple(environments),
        only_before=tuple(sorted(result.id for result in pairs.only_before)),
        only_after=tuple(sorted(result.id for result in pairs.only_after)),
    )


def environment_changes(before: Environment, after: Environment) -> list[str]:
    """List what differs between two environments, each as `name old -> new`."""
    names = dict.fromkeys([*before.packages, *after.packages])
    pairs = [(n, before.packages.get(n), after.packages.get(n)) for n in names]
    pairs += [
        (shown, getattr(before, name), getattr(after, name))
        for name, shown in _CONDITIONS.items()
    ]
    return [
        f"{name} {_short(name, old)} -> {_short(name, new)}"
        for name, old, new in pairs
        if old != new
    ]


_Measured = tuple[CaseResult, Measurement]


def _measured(results: Iterable[CaseResult]) -> list[CaseResult]:
    return [result for result in results if result.measurement is not None]


def _with_measurement(result: CaseResult) -> _Measured:
    assert result.measurement is not None
    return result, result.measurement


def _difference(
    ledger: Ledger, before: tuple[int, _Measured], after: tuple[int, _Measured]
) -> CaseDifference:
    (run, (old, old_measured)), (other, (new, new_measured)) = before, after
    same_images = old_measured.dataset_fingerprint == new_measured.dataset_fingerprint
    first = second = None
    if same_images:
        first = ledger.predictions(run, old.id, old_measured.key)
        second = ledger.predictions(other, new.id, new_measured.key)
    return CaseDifference(
        case=new.id,
        before=old_measured.metrics,
        after=new_measured.metrics,
        flips=(
            None
            if first is None or second is None
            else compare_predictions(first, second)
        ),
        others=tuple(_others((old, old_measured), (new, new_measured))),
    )


def _others(before: _Measured, after: _Measured) -> Iterable[str]:
    """Name what two measurements of a case differ in besides their environment."""
    (old, first), (new, second) = before, after
    if first.weights_sha256 != second.weights_sha256:
        yield "weights"
    if first.dataset_fingerprint != second.dataset_fingerprint:
        yield "images"
    if (old.geometry, old.conditions) != (new.geometry, new.conditions):
        yield "protocol"
    if first.precision != second.precision:
        yield f"precision {first.precision} -> {second.precision}"
    if (old_used := _used(first)) != (new_used := _used(second)):
        yield f"accelerated by {old_used} -> {new_used}"
    if first.metrics.images != second.metrics.images:
        yield f"images evaluated {first.metrics.images:,} -> {second.metrics.images:,}"


def _used(measurement: Measurement) -> str:
    return ", ".join(a.name for a in measurement.accelerations if a.used) or "nothing"


def _short(name: str, value: object) -> str:
    if value is None:
        return "none"
    return str(value)[:10] if name == "commit" else str(value)
