"""A row of the table: what was measured, its goal, and whether it was met."""

from __future__ import annotations

from typing import Literal

import msgspec

from benchmarks.timing import Spread

Unit = Literal[
    "ratio", "times", "s", "ms", "MiB", "images/s", "TFLOP/s", "points", "number"
]


class Goal(msgspec.Struct, frozen=True):
    """A bound from the issue that asked for this: `at_most` it, or at least."""

    bound: float
    at_most: bool = True

    def is_met(self, value: float) -> bool:
        """Compare a measured value with the goal."""
        return value <= self.bound if self.at_most else value >= self.bound


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement.

    `value` is None where it could not be measured here, and `note` says why. `parts`
    are the measured numbers behind it, by name.
    """

    id: str
    what: str
    unit: Unit
    value: Spread | None = None
    goal: Goal | None = None
    note: str = ""
    parts: dict[str, float] = {}

    @property
    def is_met(self) -> bool | None:
        """Whether the median meets the goal; None without a goal or a value."""
        if self.goal is None or self.value is None:
            return None
        return self.goal.is_met(self.value.median)


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """All rows of a run, and what it ran on."""

    machine: dict[str, str]
    quick: bool
    seconds: float
    rows: list[Row]
