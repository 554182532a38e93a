"""What came of the steps of a trial, and how it is written."""

from __future__ import annotations

from typing import Literal

import msgspec

from repro.records.identity import Environment

#: `measured` is a number without a bound here; `not here` needs another device.
Verdict = Literal["right", "wrong", "measured", "not here"]


class Step(msgspec.Struct, kw_only=True):
    """One thing that was tried.

    `said` is what was found, in words; `numbers` are behind it, by name.
    """

    name: str
    verdict: Verdict
    said: str = ""
    numbers: dict[str, float] = {}
    seconds: float = 0.0

    @property
    def found(self) -> str:
        """What was said, and the numbers with their names."""
        numbers = ", ".join(f"{name} {n:.4g}" for name, n in self.numbers.items())
        return "; ".join(filter(None, [self.said, numbers]))

    def __str__(self) -> str:
        return f"{self.verdict:>8}  {self.name}: {self.found} ({self.seconds:.1f} s)"


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """All steps, and what they ran on."""

    environment: Environment
    properties: dict[str, str]
    seconds: float
    steps: list[Step]


def verdict_of(*, is_right: bool) -> Verdict:
    """Say whether what was found is as it should be."""
    return "right" if is_right else "wrong"


def encode(trial: Trial) -> bytes:
    """Write a trial as JSON that people read too."""
    return msgspec.json.format(msgspec.json.encode(trial), indent=2) + b"\n"


def table(trial: Trial) -> str:
    """Lay the steps out in Markdown."""
    rows = [(step.name, step.verdict, step.found) for step in trial.steps]
    lines = [" | ".join(row) for row in (("step", "verdict", "found"), *rows)]
    lines.insert(1, " | ".join(["---"] * 3))
    return "".join(f"| {line} |\n" for line in lines)
