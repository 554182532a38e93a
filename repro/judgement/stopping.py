"""When a run is hopeless: what the remaining images say cannot change its outcome."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from repro.evaluation.predictions import Predictions
from repro.judgement.intervals import Counts, cells_of, error_bound
from repro.judgement.tolerance import tolerance_of
from repro.published import METRICS, Reference

#: How likely one look at a run may be to call a number missed that would be met.
FALSE_STOP = 1e-9

STRATA_BEFORE_STOPPING = 2


def is_hopeless(
    references: Iterable[Reference],
    predictions: Predictions,
    class_sizes: Counts,
    strata: int,
    level: float = FALSE_STOP,
) -> bool:
    """Tell whether every source is contradicted beyond doubt by some of the strata.

    A source is contradicted when one of its shares of images, with its tolerance, lies
    outside the `1 - level` interval. A bound that always holds is taken for each look,
    so K looks in two directions err with at most `2 * K * level` for each number. The
    loss is not looked at, since nothing bounds what the remaining images add to it,
    nor a mean over classes, which images of small ones move much; and neither is a
    number that may belong to another checkpoint.

    Args:
        references: the published numbers of the case.
        predictions: of the strata so far.
        class_sizes: images of each class in the whole dataset.
        strata: how many strata the dataset has.
        level: how likely one look may err.
    """
    images = len(predictions.labels)
    if (
        predictions.is_complete
        or images * strata < STRATA_BEFORE_STOPPING * predictions.total
    ):
        return False
    cells = cells_of(predictions.labels, class_sizes, strata)
    place = cells.cell[predictions.labels]
    contradicted: dict[str, bool] = {}
    for reference in references:
        # One number that cannot be met any more contradicts its source; another source
        # may still be right.
        known = contradicted.setdefault(reference.source, False)
        metric = METRICS[reference.metric]
        if known or metric.bound != "share" or len(reference.families) > 1:
            continue
        hits = metric.each(predictions)
        low, high = acceptable_shares(reference)
        bound = error_bound(hits, place, cells, low, high)
        contradicted[reference.source] = bound <= level
    return bool(contradicted) and all(contradicted.values())


def acceptable_shares(reference: Reference) -> tuple[float, float]:
    """Give the lowest and the highest share of hits that meet a number."""
    published = reference.published.value
    tolerance = tolerance_of(reference).value
    low, high = (published - tolerance) / 100, (published + tolerance) / 100
    return float(max(low, Fraction(0))), float(min(high, Fraction(1)))
