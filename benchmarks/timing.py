"""Time two ways of doing the same thing in turns, so that noise meets both."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import msgspec

Work = Callable[[], object]


class Spread(msgspec.Struct, frozen=True):
    """Median, smallest and largest of some repetitions."""

    median: float
    low: float
    high: float


class Comparison(msgspec.Struct, frozen=True):
    """Seconds of both ways, and their ratio, pair by pair."""

    ours: Spread
    other: Spread
    ratio: Spread


def seconds(work: Work) -> float:
    """Time one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def spread(values: list[float]) -> Spread:
    """Summarise repetitions."""
    return Spread(statistics.median(values), min(values), max(values))


def compare(
    ours: Work, other: Work, repetitions: int, prepare: Work = lambda: None
) -> Comparison:
    """Time two ways in turns; which of a pair comes first alternates.

    Args:
        ours: what is to be measured.
        other: what it is measured against.
        repetitions: number of pairs.
        prepare: called before each, untimed.
    """
    pairs: list[tuple[float, float]] = []
    for number in range(repetitions):
        found: dict[int, float] = {}
        for which in (0, 1) if number % 2 == 0 else (1, 0):
            prepare()
            found[which] = seconds((ours, other)[which])
        pairs.append((found[0], found[1]))
    return Comparison(
        ours=spread([first for first, _ in pairs]),
        other=spread([second for _, second in pairs]),
        ratio=spread([first / second for first, second in pairs]),
    )
