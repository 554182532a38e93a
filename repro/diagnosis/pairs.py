"""Two things done otherwise at once, where neither alone explains it; no torch."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence

import msgspec

from repro.diagnosis.findings import Trial
from repro.diagnosis.setup import Facts, Setup
from repro.diagnosis.suspects import Suspect, Topic, joined

#: So many pairs are tried, of those that would come nearest if effects added up.
PAIRS = 24

#: What moves every number by less of its gap is not needed beside anything.
NEEDED = 0.02

#: How far two effects together may be from their sum, as a share of their geometric
#: mean.
INTERACTION = 0.3

Way = tuple[Topic, Suspect, Setup]


def likely_pairs(trials: Sequence[Trial], ways: Iterable[Way]) -> list[tuple[Way, Way]]:
    """List the pairs of suspects that would come nearest to what was published.

    Args:
        trials: of suspects that were tried alone.
        ways: how a case is evaluated by each of these.
    """
    tried = {trial.suspect: trial for trial in trials if _may_be_needed(trial)}
    known = [way for way in ways if way[1].name in tried]
    pairs = [
        (first, second)
        for first, second in itertools.combinations(known, 2)
        if first[0].name != second[0].name
    ]
    pairs.sort(key=lambda p: -_log_density(*(tried[way[1].name] for way in p)))
    return pairs[:PAIRS]


def both(first: Way, second: Way, facts: Facts) -> Way | None:
    """Do two things otherwise at once; None where one of them rules out the other."""
    topic, suspect, setup = first
    other_topic, other, alone = second
    together = other.of_setup(setup, facts)
    if together is None or together in (setup, alone):
        return None
    name = f"{suspect.name} and {other.name}"
    return (
        joined(topic, other_topic),
        msgspec.structs.replace(suspect, name=name),
        together,
    )


def _may_be_needed(trial: Trial) -> bool:
    """Tell whether a trial moves one of the numbers by a part of its gap."""
    for number in trial.restored:
        gap = abs(float(number.number.value) - number.measured)
        least = max(NEEDED * gap, float(number.number.half_unit))
        if abs(number.value - number.measured) > least:
            return True
    return False


def _log_density(one: Trial, other: Trial) -> float:
    """Give the log density of the published numbers around the sum of two effects."""
    density = 0.0
    for first, second in zip(one.restored, other.restored, strict=True):
        moved = first.value - first.measured, second.value - second.measured
        left = float(first.number.value) - first.measured - sum(moved)
        spread = math.sqrt(
            first.error**2
            + second.error**2
            + INTERACTION**2 * abs(moved[0] * moved[1])
            + float(first.number.half_unit) ** 2
        )
        density -= (left / spread) ** 2 / 2 + math.log(spread)
    return density
