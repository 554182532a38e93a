"""What differs between two measurements of a case, and between two runs.

Which results belong together is said here too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, partial
from typing import NamedTuple

import msgspec

from repro.evaluation.predictions import Predictions
from repro.judgement.compare import (
    CaseDifference,
    Change,
    Flip,
    Flips,
    ImageChanges,
    Since,
    compare_images,
    compare_predictions,
    find_flips,
    most_telling_first,
)
from repro.judgement.images import Alignment, ImageSet, align
from repro.judgement.verdict import ReferenceCheck
from repro.records.identity import Environment
from repro.records.ledger import Ledger
from repro.records.predictions import ImageNames
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
    "dirty": "local changes",
}

#: What the fingerprint of a dataset begins with where it is of the images' bytes.
_BY_CONTENT = "xxh3:"


class RunComparison(msgspec.Struct, frozen=True, kw_only=True):
    """What has changed between two runs.

    `differences` are of the cases that both measured, the most telling first; the last
    two are cases that one run has and the other not.
    """

    before: int
    after: int
    differences: tuple[CaseDifference, ...]
    only_before: tuple[str, ...] = ()
    only_after: tuple[str, ...] = ()

    @property
    def environment(self) -> list[Change]:
        """List what differs between the environments of any case, each once."""
        found = (change for case in self.differences for change in case.environment)
        return list(dict.fromkeys(found))


class Pairs(NamedTuple):
    """Results of the same cases, earlier and later, and those that stand alone."""

    both: Sequence[tuple[CaseResult, CaseResult]]
    only_before: Sequence[CaseResult]
    only_after: Sequence[CaseResult]


class Side(NamedTuple):
    """One of two measurements of a case, with what is only looked for when needed."""

    run: str
    result: CaseResult
    measurement: Measurement
    predictions: Callable[[], Predictions | None]
    names: Callable[[], ImageNames | None]


def recorded_side(ledger: Ledger, run: int, result: CaseResult) -> Side | None:
    """Give the measurement of a run in the ledger; None where there is none."""
    if (measurement := result.measurement) is None:
        return None
    return Side(
        f"run {run}",
        result,
        measurement,
        cache(partial(ledger.predictions, run, result.id, measurement.key)),
        cache(partial(ledger.names, measurement.dataset_fingerprint)),
    )


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
    sides = [
        (recorded_side(ledger, before, old), recorded_side(ledger, after, new))
        for old, new in pairs.both
    ]
    differences = [compare_sides(old, new) for old, new in sides if old and new]
    return RunComparison(
        before=before,
        after=after,
        differences=tuple(most_telling_first(differences)),
        only_before=tuple(sorted(result.id for result in pairs.only_before)),
        only_after=tuple(sorted(result.id for result in pairs.only_after)),
    )


def pair_results(before: Iterable[CaseResult], after: Iterable[CaseResult]) -> Pairs:
    """Pair the results of two runs, in the order of the later one.

    Those that were asked for alike belong together. What is left of a case belongs
    together where it is one result of each run: folders and options may have changed.
    """
    later = list(after)
    old = {result.place: result for result in before}
    places = {result.place for result in later}
    # One and one can only be each other. Of two and two nothing tells which is which,
    # and a wrong pair would be reported as a change.
    left = _alone(r for r in old.values() if r.place not in places)
    alone = _alone(r for r in later if r.place not in old)
    paired = {r.place: old[r.place] for r in later if r.place in old}
    paired |= {alone[id_].place: left[id_] for id_ in alone.keys() & left.keys()}
    both = [(paired[r.place], r) for r in later if r.place in paired]
    known = {result.place for result in paired.values()}
    return Pairs(
        both,
        [r for r in old.values() if r.place not in known],
        [r for r in later if r.place not in paired],
    )


def _alone(results: Iterable[CaseResult]) -> dict[str, CaseResult]:
    """Find those that are the only ones of their case, by its id."""
    found: dict[str, list[CaseResult]] = {}
    for result in results:
        found.setdefault(result.id, []).append(result)
    return {id_: of_case[0] for id_, of_case in found.items() if len(of_case) == 1}


def since_earlier(
    ledger: Ledger,
    result: CaseResult,
    predictions: Predictions,
    names: Callable[[], ImageNames | None],
    uid: str = "",
) -> Since | None:
    """Compare a result with an earlier run of its case.

    One that fails is compared with the newest run in which it was as expected; else a
    part of the images with the newest run that evaluated all of them in the same
    precision, and kept what it predicted, if there is one in which it was as expected.

    Args:
        ledger: that has the earlier runs.
        result: of now.
        predictions: of now.
        names: names the images of now; called only where they differ.
        uid: of the run of now, which is no earlier one.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    measurement = result.measurement
    if measurement is None:
        return None
    now = Side("this run", result, measurement, lambda: predictions, names)
    earlier = [
        (run.id, found, side)
        for run, found in reversed(ledger.history(result.id))
        if run.uid != uid and (side := recorded_side(ledger, run.id, found))
    ]
    for run, found, side in earlier:
        if result.verdict.is_failure and found.verdict.is_as_expected:
            return Since(run, found.verdict, compare_sides(side, now))
    if measurement.is_complete:
        return None
    # What was not as expected was often measured on other images or weights.
    for run, found, side in sorted(
        earlier, key=lambda one: not one[1].verdict.is_as_expected
    ):
        if _is_whole(side, measurement.precision):
            return Since(run, found.verdict, compare_sides(side, now))
    return None


def compare_sides(old: Side, new: Side) -> CaseDifference:
    """Say what differs between two measurements of a case, and what is unknown."""
    first, second = old.measurement, new.measurement
    images, flips, unknown = _image_changes(old, new)
    sums = first.weights_sha256, second.weights_sha256
    return CaseDifference(
        case=new.result.id,
        before=first.metrics,
        after=second.metrics,
        flips=flips,
        published=tuple(
            _published_changes(old.result.comparisons, new.result.comparisons)
        ),
        weights=None if sums[0] == sums[1] else Change("weights", *sums),
        images=images,
        others=tuple(_other_changes(old, new)),
        environment=tuple(environment_changes(first.environment, second.environment)),
        unknown=tuple(unknown),
    )


def flipped_images(old: Side, new: Side) -> list[Flip]:
    """List the images that are the same in both and flipped, as far as it is known."""
    predictions = _both_predictions(old, new)
    if predictions is None:
        return []
    # Images stand in the order of their content, so equal sets have equal places.
    if _fingerprint(old) == _fingerprint(new):
        return find_flips(*predictions)
    aligned = _aligned(old, new)
    return find_flips(*predictions, aligned[2].same) if aligned else []


def environment_changes(before: Environment, after: Environment) -> list[Change]:
    """List what differs between two environments."""
    names = dict.fromkeys([*before.packages, *after.packages])
    pairs = [(n, before.packages.get(n), after.packages.get(n)) for n in names]
    pairs += [
        (shown, _shown(getattr(before, name)), _shown(getattr(after, name)))
        for name, shown in _CONDITIONS.items()
    ]
    return [Change(name, old, new) for name, old, new in pairs if old != new]


def _is_whole(side: Side, precision: str) -> bool:
    """Whether all images were evaluated in this precision, and predictions kept."""
    earlier = side.measurement
    if not earlier.is_complete or earlier.precision != precision:
        return False
    return side.predictions() is not None


def _shown(value: object) -> str | None:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return None if value is None else str(value)


def _measured(results: Iterable[CaseResult]) -> list[CaseResult]:
    return [result for result in results if result.measurement is not None]


def _published_changes(
    before: Sequence[ReferenceCheck], after: Sequence[ReferenceCheck]
) -> Iterator[Change]:
    """Yield what was edited in the published numbers of a case."""
    old, new = _numbers(before), _numbers(after)
    for key in dict.fromkeys([*old, *new]):
        name, was, now = key[0], old.get(key), new.get(key)
        if len({source for metric, source, _ in (*old, *new) if metric == name}) > 1:
            name = f"{name} of {key[1]}"
        if was is None or now is None or was.published != now.published:
            numbers = (number.published if number else None for number in (was, now))
            yield Change(name, *numbers)
        elif was.tolerance != now.tolerance:
            tolerances = f"{was.tolerance:g}", f"{now.tolerance:g}"
            yield Change(f"tolerance of {name}", *tolerances)
        if was and now and was.xfail != now.xfail:
            yield Change(f"xfail of {name}", was.xfail or None, now.xfail or None)


def _numbers(
    comparisons: Sequence[ReferenceCheck],
) -> dict[tuple[str, str, int], ReferenceCheck]:
    """Find published numbers by metric, source, and which one of those it is."""
    found: dict[tuple[str, str, int], ReferenceCheck] = {}
    for number in comparisons:
        earlier = sum(key[:2] == (number.metric, number.source) for key in found)
        found[number.metric, number.source, earlier] = number
    return found


def _other_changes(old: Side, new: Side) -> Iterator[Change]:
    """Yield what differs besides weights, images, numbers and environment."""
    first, second = old.measurement, new.measurement
    for name, before, after in (
        ("geometry", old.result.geometry, new.result.geometry),
        ("protocol", old.result.conditions, new.result.conditions),
        ("precision", first.asked_precision, second.asked_precision),
        ("accelerated by", _used(first), _used(second)),
    ):
        if before != after:
            yield Change(name, before or None, after or None)


def _used(measurement: Measurement) -> str:
    return ", ".join(a.name for a in measurement.accelerations if a.used)


def _image_changes(
    old: Side, new: Side
) -> tuple[ImageChanges | None, Flips | None, list[str]]:
    """Say how images and their verdicts differ, and what of it is unknown."""
    predictions = _both_predictions(old, new)
    unkept = _unkept(old, new) if predictions is None else []
    if _fingerprint(old) == _fingerprint(new):
        unknown = [] if _is_by_content(old) else [_by_name(old, new)]
        flips = compare_predictions(*predictions) if predictions else None
        return None, flips, [*unknown, *unkept]
    if not (_is_by_content(old) and _is_by_content(new)):
        return None, None, [_by_name(old, new)]
    aligned = _aligned(old, new)
    if aligned is None:
        return None, None, [_unnamed(old, new)]
    before, after, found = aligned
    changes = compare_images((before, after), found, predictions)
    flips = compare_predictions(*predictions, found.same) if predictions else None
    return changes, flips, unkept


def _aligned(old: Side, new: Side) -> tuple[ImageSet, ImageSet, Alignment] | None:
    """Find the images of one measurement in the other; None where that is unknown."""
    before, after = _image_set(old), _image_set(new)
    if before is None or after is None:
        return None
    return before, after, align(before, after)


def _image_set(side: Side) -> ImageSet | None:
    names = side.names()
    return None if names is None else names.images()


def _fingerprint(side: Side) -> str:
    return side.measurement.dataset_fingerprint


def _is_by_content(side: Side) -> bool:
    return _fingerprint(side).startswith(_BY_CONTENT)


def _both_predictions(old: Side, new: Side) -> tuple[Predictions, Predictions] | None:
    before, after = old.predictions(), new.predictions()
    return None if before is None or after is None else (before, after)


def _unkept(old: Side, new: Side) -> list[str]:
    runs = [side.run for side in (old, new) if side.predictions() is None]
    return [
        "which images became right or wrong: the predictions of "
        f"{' and '.join(runs)} were not kept"
    ]


def _by_name(old: Side, new: Side) -> str:
    runs = [side.run for side in (old, new) if not _is_by_content(side)]
    return (
        f"whether the images are the same: {' and '.join(runs)} knew them by names and "
        "sizes only"
    )


def _unnamed(old: Side, new: Side) -> str:
    runs = [side.run for side in (old, new) if _image_set(side) is None]
    return (
        "which images differ, though some do: the digests of those of "
        f"{' and '.join(runs)} were not kept"
    )
