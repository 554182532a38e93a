"""How long it may take to find out why a case diverges."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from repro.cases import Case
from repro.diagnosis.pace import LEAST_SECONDS
from repro.diagnosis.setup import Facts, Setup
from repro.diagnosis.suspects import ways_of


class Allowance(msgspec.Struct, frozen=True):
    """What a diagnosis may take.

    `share` is that of a full evaluation for each suspect on average; `seconds` replace
    it where they are given.
    """

    share: float = 0.1
    seconds: float | None = None

    def most(self, costs: Iterable[tuple[Case, float]]) -> float:
        """Give the seconds that the longest diagnosis takes at most, 0 without any.

        Args:
            costs: cases with the seconds of their evaluation.
        """
        longest: dict[tuple[str, str, str], tuple[float, Case]] = {}
        for case, seconds in costs:
            if case.references:
                key = case.release.id, case.protocol.id, case.family.model
                found = longest.get(key)
                if found is None or found[0] < seconds:
                    longest[key] = seconds, case
        if not longest:
            return 0.0
        if self.seconds is not None:
            return self.seconds
        most = (self.share * seconds * _suspects(c) for seconds, c in longest.values())
        return max(LEAST_SECONDS, *most)


def _suspects(case: Case) -> int:
    """Count the suspects of a case, as far as they are known before it is read."""
    protocol = case.protocol
    setup = Setup(protocol=protocol, model=case.model, precision=protocol.precision)
    return len(ways_of(setup, Facts(classes=case.dataset.classes)))
