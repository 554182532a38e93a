"""How far an honest re-measurement may be from a published number."""

from __future__ import annotations

import math
from fractions import Fraction

import msgspec

from repro.published import METRICS, Reference

#: How likely another run lies within what the spread of several runs allows.
PREDICTION_CONFIDENCE = 0.99


class Tolerance(msgspec.Struct, frozen=True):
    """How far off is still met, in the metric's unit (points or nats), and why."""

    value: Fraction
    origin: str

    def images(self, total: int) -> float:
        """The same as a number of images, for a metric in percent."""
        return float(self.value * total / 100)


def tolerance_of(reference: Reference) -> Tolerance:
    """Give the tolerance of a reference: its own or the default, plus its rounding.

    Half a unit of the last printed digit is always added, since the source rounded. The
    checkpoint that is measured is one run; where the number is the mean of several, the
    default is how far one may lie from it, plus what a re-measurement may be off.
    """
    rounding = reference.published.half_unit
    if reference.tolerance is not None:
        origin = f"its own: {reference.tolerance_reason}"
        return Tolerance(reference.tolerance + rounding, origin)
    metric = METRICS[reference.metric]
    allowance, origin = metric.allowance, metric.allowance.origin
    whole = reference.published.value
    if not allowance.is_relative:
        whole = Fraction(metric.unit.scale)
    value = allowance.share * whole + rounding
    if reference.spread is not None:
        value += spread_of_a_run(reference)
        origin = (
            f"{100 * PREDICTION_CONFIDENCE:g} % prediction interval of one run, from "
            f"the {reference.spread_is} of {reference.runs:,} runs, plus {origin}"
        )
    return Tolerance(value, f"{origin} plus half a printed digit")


def acceptable(reference: Reference) -> tuple[Fraction, Fraction]:
    """Give the lowest and the highest value that meets a number."""
    published, allowed = reference.published.value, tolerance_of(reference).value
    return published - allowed, published + allowed


def spread_of_a_run(reference: Reference) -> Fraction:
    """Tell how far one more run may be from the mean of the runs.

    The prediction interval of a normal distribution: Student's t times the standard
    deviation times the root of 1 + 1/n. The checkpoint may be one of the n runs, which
    would be closer to their mean; a source seldom says so. The printed spread was
    rounded, so half a unit of its last digit is added to it.
    """
    from scipy import stats

    assert reference.spread is not None
    runs = reference.runs
    factor = float(stats.t.ppf((1 + PREDICTION_CONFIDENCE) / 2, runs - 1)) * math.sqrt(
        1 + 1 / runs
    )
    if reference.spread_is == "standard error":
        factor *= math.sqrt(runs)
    spread = reference.spread.value + reference.spread.half_unit
    # Four decimals, so that the border is the same wherever it is computed.
    return Fraction(f"{factor:.4f}") * spread
