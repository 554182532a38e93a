"""A shift that all cases share shows before any single one diverges."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import msgspec

#: Largest mean signed shift of top-1, in points, between two honest measurements of all
#: models of timm's results tables, a year of software apart (2023-05 to 2025-10).
HONEST = 0.008

#: Fewer numbers show no common shift.
MINIMUM_NUMBERS = 5

#: Confidence that the true mean is larger than the honest one, before it is said.
SHIFT_CONFIDENCE = 0.99


class CommonShift(msgspec.Struct, frozen=True):
    """Signed differences over many numbers, in points.

    `spread` is their standard deviation; `is_suspicious` tells that the mean is larger
    than honest software updates ever made it, beyond what the spread explains.
    """

    numbers: int
    mean: float
    spread: float
    largest: float
    is_suspicious: bool


def common_shift(differences: Sequence[float]) -> CommonShift | None:
    """Sum up measured minus published, in points; None where nothing is shared."""
    numbers = len(differences)
    if numbers < 2:
        return None
    mean = statistics.fmean(differences)
    spread = statistics.stdev(differences)
    return CommonShift(
        numbers=numbers,
        mean=mean,
        spread=spread,
        largest=max(map(abs, differences)),
        is_suspicious=_is_suspicious(numbers, mean, spread),
    )


def _is_suspicious(numbers: int, mean: float, spread: float) -> bool:
    if numbers < MINIMUM_NUMBERS or abs(mean) <= HONEST:
        return False
    from scipy import stats

    # One-sided: the mean may be anything above, as long as its lower end is too large.
    margin = (
        float(stats.t.ppf(SHIFT_CONFIDENCE, numbers - 1)) * spread / math.sqrt(numbers)
    )
    return abs(mean) - margin > HONEST
