"""How numbers are written in every report."""

from __future__ import annotations

import math
from fractions import Fraction

from repro.judgement.verdict import ReferenceCheck
from repro.published import METRICS, Metric

#: Decimals beyond those of others that two numbers are told apart by.
_MORE_DIGITS = 3
#: Decimals, unless a published number has more, until an exponent reads better.
_MOST_DIGITS = 6


def sign_of(metric: str) -> str:
    """Give what stands after a value: `%` or `nats`."""
    return METRICS[metric].unit.sign


def plain_text(value: Fraction, metric: Metric) -> str:
    """Write a measured value where nothing was published."""
    return f"{float(value):.{metric.unit.decimals}f}"


def decimals(comparison: ReferenceCheck) -> int:
    """Give the decimals of measured values: those of the published one, at least 2."""
    return max(2, comparison.number.decimals)


def value_text(comparison: ReferenceCheck) -> str:
    """Write the measured value, if there is one."""
    if comparison.measured is None:
        return ""
    return f"{comparison.measured:.{decimals(comparison)}f}"


def interval_text(comparison: ReferenceCheck) -> str:
    """Write where the value on all images lies, if that can be said."""
    interval = comparison.interval
    if interval is None:
        return ""
    digits = decimals(comparison)
    return f"{interval.low:.{digits}f} to {interval.high:.{digits}f}"


def nonzero_text(value: float, digits: int, *, signed: bool = False) -> str:
    """Write a number with so many decimals, or more until its first digit is there.

    A difference that is not zero never looks like it: it may be what a claim or a
    verdict rests on. Where that takes more than six decimals it is written as 4e-9.
    """
    sign = "+" if signed else ""
    if not value:
        return f"{0:.{digits}f}"
    # Of the rounded number: 0.0099999 is 0.01.
    needed = -int(f"{value:.1e}".partition("e")[2])
    if needed > max(digits, _MOST_DIGITS):
        mantissa, _, exponent = f"{value:{sign}.0e}".partition("e")
        return f"{mantissa}e{int(exponent)}"
    return f"{value:{sign}.{max(digits, needed)}f}"


def told_apart(before: float, after: float, digits: int) -> tuple[str, str]:
    """Write two numbers with so many decimals, or with more where they look alike."""
    for more in range(digits, digits + _MORE_DIGITS + 1):
        old, new = f"{before:.{more}f}", f"{after:.{more}f}"
        if old != new:
            return old, new
    return f"{before:.{digits}f}", f"{after:.{digits}f}"


def tolerances_off(comparison: ReferenceCheck) -> float | None:
    """Give the difference in tolerances; where none is allowed, any is a thousand."""
    if comparison.difference is None:
        return None
    if not comparison.tolerance:
        sign = (comparison.difference > 0) - (comparison.difference < 0)
        return 1000.0 * sign
    return comparison.difference / comparison.tolerance


def difference_of(comparison: ReferenceCheck) -> float | None:
    """Give measured minus published, and 0 where floats tell no difference."""
    difference = comparison.difference
    # A printed number is hardly ever a float: what is nearest to it is the number.
    if difference and abs(difference) < math.ulp(comparison.measured or 0):
        return 0.0
    return difference


def difference_text(comparison: ReferenceCheck, *, long: bool = False) -> str:
    """Write measured minus published, in points or nats, and in images if asked."""
    if (difference := difference_of(comparison)) is None:
        return ""
    text = nonzero_text(difference, decimals(comparison), signed=True)
    if not long:
        return text
    said = f"{text} {METRICS[comparison.metric].unit.difference}"
    if comparison.difference_images is None or comparison.interval:
        # A count of images of a part says nothing beside numbers of the whole.
        return said
    return f"{said} = {_with_noun(images_text(comparison.difference_images))}"


def images_off(images: float) -> str:
    """Write by how many images a number is off: whole ones from one on."""
    return _with_noun(
        f"{round(images):+,}" if abs(images) >= 1 else images_text(images)
    )


def tolerance_text(comparison: ReferenceCheck, *, long: bool = False) -> str:
    """Write the tolerance, in points or nats, and in images if asked."""
    text = f"{comparison.tolerance:.{max(3, decimals(comparison))}f}"
    if not long:
        return text
    said = f"{text} {METRICS[comparison.metric].unit.difference}"
    if comparison.tolerance_images is None:
        return said
    return f"{said} = {_with_noun(f'{comparison.tolerance_images:.4g}')}"


def _with_noun(images: str) -> str:
    return f"{images} {'image' if images.lstrip('+-') == '1' else 'images'}"


def images_text(images: float | None) -> str:
    """Write a signed number of images, shortly."""
    if images is None:
        return ""
    return f"{images:+.4g}" if images else "0"
