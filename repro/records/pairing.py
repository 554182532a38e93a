"""Which result of one run belongs to which of another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from repro.records.result import CaseResult


class Pairs(NamedTuple):
    """Results of the same cases, earlier and later, and those that stand alone."""

    both: Sequence[tuple[CaseResult, CaseResult]]
    only_before: Sequence[CaseResult]
    only_after: Sequence[CaseResult]


def pair_results(before: Iterable[CaseResult], after: Iterable[CaseResult]) -> Pairs:
    """Pair the results of two runs, in the order of the later one.

    Those that were asked for alike belong together. What is left of a case belongs
    together where it is one result of each run: folders and options may have changed.
    """
    later = list(after)
    old = {result.place: result for result in before}
    paired = {result.place: old.pop(result.place, None) for result in later}
    for result in later:
        if paired[result.place] is not None:
            continue
        alone = [r for r in later if r.id == result.id and paired[r.place] is None]
        left = [r for r in old.values() if r.id == result.id]
        if len(alone) == len(left) == 1:
            paired[result.place] = old.pop(left[0].place)
    both = [(found, r) for r in later if (found := paired[r.place]) is not None]
    only_after = [r for r in later if paired[r.place] is None]
    return Pairs(both, list(old.values()), only_after)
