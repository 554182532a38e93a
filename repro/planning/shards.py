"""Parts of a run for machines that know nothing of each other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

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


def cases_of_shard(cases: Sequence[Case], costs: Costs, shard: Shard) -> set[str]:
    """Choose the cases of a shard, by id.

    The shards of the same cases and costs are disjoint, complete, and always the same.
    What is longest goes to the shard that has least. Cases that need each other, since
    a number belongs to one of two checkpoints, stay together: else both shards would
    measure both.
    """
    groups = _together(cases)
    seconds = {case.id: costs.of(case).seconds for case in cases}
    weight = [(sum(seconds[name] for name in group), group) for group in groups]
    weight.sort(key=lambda pair: (-pair[0], pair[1]))
    loads = [0.0] * shard.of
    chosen: set[str] = set()
    for cost, group in weight:
        least = loads.index(min(loads))
        loads[least] += cost
        if least == shard.number - 1:
            chosen.update(group)
    return chosen


def _together(cases: Iterable[Case]) -> list[list[str]]:
    """Group the ids of cases that share a number."""
    known = {case.id: case for case in cases}
    groups: list[list[str]] = []
    seen: set[str] = set()
    for name in known:
        if name in seen:
            continue
        group, waiting = [], [name]
        seen.add(name)
        while waiting:
            case = known[waiting.pop()]
            group.append(case.id)
            for other in _partners(case):
                if other in known and other not in seen:
                    seen.add(other)
                    waiting.append(other)
        groups.append(sorted(group))
    return groups


def _partners(case: Case) -> Iterable[str]:
    for reference in case.references:
        for family in reference.families:
            if family != case.family.id:
                yield case.with_family(family).id
