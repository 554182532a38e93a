"""What would explain a divergence: candidates ranked by how they restore it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from repro.diagnosis.findings import Outcome, Restored, Target, Trial
from repro.diagnosis.what_if import (
    Estimate,
    Floats,
    change_of,
    estimate,
    in_cell,
    log_likelihood,
)
from repro.evaluation.predictions import Predictions
from repro.judgement.compare import compare_predictions
from repro.judgement.intervals import interval_of
from repro.judgement.tolerance import tolerance_of
from repro.published import METRICS, Reference


class _OfMetric(Protocol):
    @property
    def metric(self) -> str: ...


_T = TypeVar("_T", bound=_OfMetric)

#: Standard errors that an estimate may be off and still meet a number.
ERRORS = 3.3

#: Share of a gap that may stay open where a library's resize, say, is only much alike.
LEFT_OPEN = 0.1

#: Share of the likelihood of all suspects that one needs to be called the cause before
#: it was evaluated on all images.
SINGLED_OUT = 0.99

#: How probable it is, before anything is tried, that the cause is none of the suspects.
UNTRIED = 0.2

#: What is left for all suspects together where none of them is to be looked at longer.
HOPELESS = 0.01

#: So many of the suspects, were all of them beside the point, may be expected to come
#: as near to the published numbers as the one that is called the cause for sure, and
#: the probable cause. With four chances in five that a cause is among the suspects, the
#: first is right 99 times in 100, the second 94 times.
SURE, PROBABLE = 0.05, 0.25


def targets_of(
    references: Iterable[Reference],
    run: Predictions,
    class_sizes: npt.NDArray[np.int64],
    strata: int,
) -> tuple[Target, ...]:
    """Choose the numbers to restore: all of the sources that the run contradicts.

    Where it contradicts none, those of all sources.

    Args:
        references: the published numbers.
        run: what was predicted.
        class_sizes: images of each class in the whole dataset.
        strata: how many strata the dataset has.
    """
    by_source: dict[str, list[Target]] = {}
    for reference in references:
        value = float(reference.published.value)
        tolerance = float(tolerance_of(reference).value)
        found = estimate(run, run, reference.metric)
        # A part is judged by this interval, and is ended early by a safer one still.
        bound = None
        if not run.is_complete:
            bound = interval_of(run, reference.metric, class_sizes, strata)
        refuted = bound and bound.excludes(value - tolerance, value + tolerance)
        target = Target(
            metric=reference.metric,
            published=reference.published,
            tolerance=tolerance,
            is_missed=bool(refuted) or not _is_near(found, value, tolerance),
        )
        by_source.setdefault(reference.source, []).append(target)
    missed = [
        targets for targets in by_source.values() if not needs_no_explanation(targets)
    ]
    return tuple(t for targets in missed or by_source.values() for t in targets)


def fit_of(run: Predictions, trial: Predictions, targets: Sequence[Target]) -> float:
    """Say how well a trial restores the published numbers, as a log likelihood."""
    counted = independent(targets)
    return log_likelihood(
        run,
        trial,
        [target.metric for target in counted],
        [target.value for target in counted],
        [target.tolerance for target in counted],
    )


def judge_trial(
    run: Predictions,
    trial: Predictions,
    targets: Sequence[Target],
    *,
    suspect: str,
    topic: str,
    instead: str,
) -> Trial:
    """Write down what came of a suspect."""
    flips = compare_predictions(run, trial)
    return Trial(
        suspect=suspect,
        topic=topic,
        instead=instead,
        images=len(trial.labels),
        compared=flips.images,
        restored=tuple(_restored(run, trial, target) for target in targets),
        gained=flips.gained,
        lost=flips.lost,
        p=flips.p,
        fit=fit_of(run, trial, targets),
        outcome=outcome_of(run, trial, targets),
    )


def outcome_of(
    run: Predictions, trial: Predictions, targets: Sequence[Target]
) -> Outcome:
    """Tell whether a trial explains the published numbers.

    Restored means that every number is met on all images, whatever a part of them said.
    Likely means that a part meets them within its error, or that nine tenths of every
    gap are closed, by a change that stands out from its own error; where it does not,
    that is unsettled.
    """
    if needs_no_explanation(targets):
        return "not needed"
    found = {target: estimate(run, trial, target.metric) for target in targets}
    if trial.is_complete and all(
        _is_near(now, target.value, target.tolerance) for target, now in found.items()
    ):
        return "restored"
    if not all(_is_nearly_met(target, run, now) for target, now in found.items()):
        return "unexplained"
    changes = (change_of(run, trial, t.metric) for t in targets if t.is_missed)
    stands_out = any(abs(c.value) > ERRORS * c.error for c in changes)
    return "likely" if stands_out else "unsettled"


def rank(trial: Trial) -> tuple[bool, bool, float]:
    """Sort trials: what restores all, what is done otherwise alone, what is likely.

    Two things at once are spoken of only where they restore all numbers on all images.
    """
    return trial.outcome != "restored", trial.is_pair, -trial.fit


def settled(trials: Sequence[Trial]) -> Outcome:
    """Tell what is to be said of all trials together.

    One that restores the numbers on a part of the images is no cause while others could
    do as well on the rest, or something that was not tried: the likelihood of the
    published numbers has to single it out. One that restores them on all images is no
    cause where that is no wonder, among so many that were tried.

    Args:
        trials: the best explanation first.
    """
    if not trials:
        return "unexplained"
    best = trials[0]
    if best.outcome == "not needed":
        return best.outcome
    if best.outcome == "restored":
        chance = coincidences(trials)
        if chance > PROBABLE:
            return "unsettled"
        return "restored" if chance <= SURE else "likely"
    if best.outcome == "likely" and share_of_best(trials) >= SINGLED_OUT:
        return "likely"
    # What hardly one of them explains is not settled by more images of any.
    alone = [trial for trial in trials if not trial.is_pair]
    is_over = is_hopeless(alone) or is_hopeless(trials)
    is_open = not is_over and any(trial.outcome != "unexplained" for trial in alone)
    return "unsettled" if is_open else "unexplained"


def share_of_best(trials: Sequence[Trial]) -> float:
    """Tell how probable the best trial is, beside the others and what was not tried.

    No trial is likelier beforehand than another one. What was not tried moves the
    numbers about as much as one of the trials does, in whichever direction: normally,
    with that as the standard deviation.
    """
    return next(shares_of(trials))


def shares_of(trials: Sequence[Trial]) -> Iterator[float]:
    """Yield how probable each trial is, as `share_of_best` tells of the first one."""
    best = max(trial.fit for trial in trials)
    whole = sum(_weights(trials))
    for trial in trials:
        yield (1 - UNTRIED) * math.exp(trial.fit - best) / whole


def is_hopeless(trials: Sequence[Trial]) -> bool:
    """Tell whether hardly one of these may explain what was published."""
    tried, untried = _weights(trials)
    return tried <= HOPELESS * (tried + untried)


def _weights(trials: Sequence[Trial]) -> tuple[float, float]:
    """Weigh what was tried against what was not, in units of the likeliest trial."""
    best = max(trial.fit for trial in trials)
    numbers = independent(trials[0].restored)
    tried = math.fsum(math.exp(trial.fit - best) for trial in trials)
    untried = math.fsum(
        math.exp(min(_log_density_of_moves(numbers, trial) - best, 700.0))
        for trial in trials
    )
    return (1 - UNTRIED) * tried, UNTRIED * untried


def independent(numbers: Sequence[_T]) -> list[_T]:
    """Leave out numbers that are the rest of another one."""
    rests = {METRICS[number.metric].complement_of for number in numbers}
    return [number for number in numbers if number.metric not in rests]


def _log_density_of_moves(numbers: Sequence[Restored], trial: Trial) -> float:
    """Give the log density of numbers that are moved as much as a trial moves them."""
    moves = {r.metric: abs(r.move) for r in trial.restored}
    density = 0.0
    for number in numbers:
        spread = max(moves[number.metric], number.half_unit)
        density -= (number.gap / spread) ** 2 / 2
        density -= math.log(spread * math.sqrt(2 * math.pi))
    return density


def coincidences(trials: Sequence[Trial]) -> float:
    """Count the trials that would come as near as the first one, by chance.

    Were none of them the cause, each would still move the numbers by about as much as
    it does, in whichever direction: normally, with that as the standard deviation.
    Those that hardly move anything close no gap, those that move much come near to
    every number alike. How near is what the first one reached, or half a printed digit,
    or half an image.
    Numbers that are the rest of another one count once.

    Returns:
        The expected number; near 0, how likely there is one.
    """
    best = independent(trials[0].restored)
    moves = [
        np.array([abs(number.move) for number in independent(trial.restored)])
        for trial in trials
        if not trial.is_pair
    ]
    if trials[0].is_pair:
        # Any two of what was tried could have come as near, also those that were not.
        moves += [np.hypot(a, b) for a, b in itertools.combinations(moves, 2)]
    images = trials[0].images
    pairs = zip(best, np.transpose(moves), strict=True)
    chances = [_chances(number, moved, images) for number, moved in pairs]
    return float(np.prod(chances, axis=0).sum())


def needs_no_explanation(targets: Iterable[Target]) -> bool:
    """Tell whether the run itself agrees with the published numbers."""
    return not any(target.is_missed for target in targets)


def _chances(best: Restored, moved: Floats, images: int) -> Floats:
    """How likely what moves a number so much would come as near as the best one."""
    # An accuracy of few images has few values, which many things give exactly.
    image = (METRICS[best.metric].unit.whole or 0) / images
    near = max(abs(best.move - best.gap), best.half_unit, image / 2)
    found = in_cell(best.gap, near, moved)
    return np.where(moved > 0, found, float(abs(best.gap) <= near))


def _is_near(found: Estimate, value: float, tolerance: float) -> bool:
    # Doubles of a published decimal and of a quotient may differ in the last place.
    return abs(found.value - value) <= tolerance + ERRORS * found.error + 1e-9


def _is_nearly_met(target: Target, run: Predictions, found: Estimate) -> bool:
    gap = target.value - estimate(run, run, target.metric).value
    return _is_near(found, target.value, max(target.tolerance, LEFT_OPEN * abs(gap)))


def _is_met(now: Estimate, target: Target, gap: float) -> bool | None:
    """Tell whether a number is met; None where what was measured would be met too."""
    if not _is_near(now, target.value, target.tolerance):
        return False
    told = ERRORS * now.error <= max(abs(gap), target.tolerance)
    return True if told else None


def _restored(run: Predictions, trial: Predictions, target: Target) -> Restored:
    before = estimate(run, run, target.metric)
    now = estimate(run, trial, target.metric)
    gap = target.value - before.value
    has_gap = abs(gap) > target.tolerance
    return Restored(
        metric=target.metric,
        published=target.published.digits,
        measured=before.value,
        value=now.value,
        error=now.error,
        # Nothing of a gap below 0 is -0.0, which the sum is not.
        share=(now.value - before.value) / gap + 0.0 if has_gap else None,
        is_met=_is_met(now, target, gap),
    )
