"""Parts of a run for machines that know nothing of each other."""

from __future__ import annotations

import heapq
import math
import re
from collections.abc import Iterable

import msgspec

from repro.cases import Case
from repro.planning.costs import Costs

_SHARD = re.compile(r"(\d+)/(\d+)")


class Shard(msgspec.Struct, frozen=True):
    """Part `number` of `of`, counted from 1: `2/8`."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def parse_shard(text: str) -> Shard:
    """Read `I/N`.

    Raises:
        ValueError: it is none; the message says what is allowed.
    """
    match = _SHARD.fullmatch(text.strip())
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise ValueError("must be I/N with I from 1 to N, such as 2/8")
    return Shard(int(match[1]), int(match[2]))


def cases_of_shard(cases: Iterable[Case], costs: Costs, shard: Shard) -> set[str]:
    """Choose the cases of a shard, by id.

    The shards of the same cases and costs are disjoint, complete, and always the same.
    What is longest goes to the shard that has least.
    """
    # Why not pytest-split: it goes by the durations of an earlier run, and gives a test
    # that had none the average of the others. A first run has none at all, and the
    # operations of cases, which are known, differ a thousandfold.
    groups: dict[tuple[str, ...], dict[str, float]] = {}
    for case in cases:
        groups.setdefault(_group(case), {})[case.id] = costs.of(case).in_all
    longest_first = sorted(
        groups.values(), key=lambda group: (-math.fsum(group.values()), min(group))
    )
    # Shards beyond the number of groups stay empty.
    loads = [(0.0, number) for number in range(1, min(shard.of, len(groups)) + 1)]
    chosen: set[str] = set()
    for group in longest_first:
        load, number = loads[0]
        heapq.heapreplace(loads, (load + math.fsum(group.values()), number))
        if number == shard.number:
            chosen.update(group)
    return chosen


def _group(case: Case) -> tuple[str, ...]:
    """Name what stays together: else two shards would both measure both of a pair.

    A number that belongs to one of several families' checkpoints needs all of them.
    """
    is_shared = any(len(reference.families) > 1 for reference in case.references)
    own = "" if is_shared else case.family.id
    measured = case.checkpoint, case.protocol.id, case.dataset.id
    return case.release.id, own, *measured
