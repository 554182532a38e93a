"""A line of block characters that shows how a value moved."""

from __future__ import annotations

from collections.abc import Sequence

_BLOCKS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float]) -> str:
    """Draw values as blocks from the lowest to the highest; equal ones lie low."""
    low, high = min(values), max(values)
    if low == high:
        return _BLOCKS[0] * len(values)
    step = (high - low) / (len(_BLOCKS) - 1)
    return "".join(_BLOCKS[round((value - low) / step)] for value in values)
