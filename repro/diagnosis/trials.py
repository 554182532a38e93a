"""What would explain a divergence: candidates ranked by how they restore it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from repro.diagnosis.findings import EXPLAINED, Outcome, Restored, Target, Trial
from repro.diagnosis.what_if import Estimate, estimate, log_likelihood
from repro.evaluation.predictions import Predictions
from repro.judgement.compare import compare_predictions
from repro.judgement.tolerance import tolerance_of
from repro.published import Reference

#: Standard errors that an estimate may be off and still meet a number.
ERRORS = 3.3

#: Share of a gap that may stay open where a library's resize, say, is only much alike.
LEFT_OPEN = 0.1

#: Share of the likelihood of all suspects that one needs to be called the cause before
#: it was evaluated on all images.
SINGLED_OUT = 0.95


def targets_of(references: Iterable[Reference], run: Predictions) -> tuple[Target, ...]:
    """Choose the numbers to restore: all of the sources that the run contradicts.

    Where it contradicts none, those of all sources.
    """
    by_source: dict[str, list[Target]] = {}
    for reference in references:
        target = Target(
            metric=reference.metric,
            printed=reference.published.digits,
            tolerance=float(tolerance_of(reference).value),
        )
        by_source.setdefault(reference.source, []).append(target)
    missed = [
        targets
        for targets in by_source.values()
        if not all(_is_met(t, estimate(run, run, t.metric)) for t in targets)
    ]
    return tuple(t for targets in missed or by_source.values() for t in targets)


def fit_of(run: Predictions, trial: Predictions, targets: Sequence[Target]) -> float:
    """Say how well a trial restores the published numbers, as a log likelihood."""
    return log_likelihood(
        run,
        trial,
        [target.metric for target in targets],
        [target.value for target in targets],
        [target.tolerance for target in targets],
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

    Restored means that every number is met on all images. Likely means that a part of
    them meets them within its error, where the gap stands out from that, or that nine
    tenths of every gap are closed and nothing else is torn open.
    """
    if needs_no_explanation(run, targets):
        return "not needed"
    found = {t: estimate(run, trial, t.metric) for t in targets}
    stands_out = any(
        abs(now.value - estimate(run, run, t.metric).value) > ERRORS * now.error
        for t, now in found.items()
        if not _is_met(t, estimate(run, run, t.metric))
    )
    if not stands_out:
        return "unexplained"
    if trial.is_complete and all(_is_met(t, now) for t, now in found.items()):
        return "restored"
    if all(_is_nearly_met(t, run, now) for t, now in found.items()):
        return "likely"
    return "unexplained"


def settled(trials: Sequence[Trial], total: int) -> Outcome:
    """Tell what is to be said of all trials together.

    One that restores the numbers on a part of the images is no cause while others could
    do as well on the rest: the likelihood of the published numbers has to single it
    out, none being likelier beforehand.

    Args:
        trials: the best explanation first.
        total: images of the dataset.
    """
    if not trials:
        return "unexplained"
    best = trials[0]
    if best.outcome not in ("likely", "unexplained") or best.images == total:
        return best.outcome
    weights = [math.exp(min(trial.fit - best.fit, 700.0)) for trial in trials]
    if best.outcome == "likely" and 1 / sum(weights) >= SINGLED_OUT:
        return "likely"
    explains = any(trial.outcome in EXPLAINED for trial in trials)
    return "unsettled" if explains else "unexplained"


def needs_no_explanation(run: Predictions, targets: Sequence[Target]) -> bool:
    """Tell whether the run itself agrees with the published numbers."""
    return all(_is_met(t, estimate(run, run, t.metric)) for t in targets)


def _is_met(target: Target, found: Estimate) -> bool:
    # Doubles of a published decimal and of a quotient may differ in the last place.
    allowed = target.tolerance + ERRORS * found.error + 1e-9
    return abs(found.value - target.value) <= allowed


def _is_nearly_met(target: Target, run: Predictions, found: Estimate) -> bool:
    gap = target.value - estimate(run, run, target.metric).value
    allowed = max(target.tolerance, LEFT_OPEN * abs(gap)) + ERRORS * found.error
    return abs(found.value - target.value) <= allowed + 1e-9


def _restored(run: Predictions, trial: Predictions, target: Target) -> Restored:
    before = estimate(run, run, target.metric)
    now = estimate(run, trial, target.metric)
    gap = target.value - before.value
    has_gap = abs(gap) > target.tolerance
    return Restored(
        metric=target.metric,
        published=target.printed,
        measured=before.value,
        value=now.value,
        error=now.error,
        share=(now.value - before.value) / gap if has_gap else None,
        is_met=_is_met(target, now),
    )
