"""Which cases a kind of cause hits, and whether these are met; no torch.

A cause hits every case that has in common with this one what it is about. What a case
that is met has too, is right.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence

import msgspec

from repro.cases import Case, published_cases
from repro.diagnosis.suspects import KINDS, KindName

#: How likely a case diverges whatever is wrong with this one.
BESIDES = 0.05

#: How likely something else is wrong with all other cases alike. However many there
#: are, they are no surer.
ALIKE = 0.03


class Scope(msgspec.Struct, frozen=True):
    """What cases have in common that one cause hits.

    Of causes of its kind that `share` are so; `key` tells what a case has, None where
    it has it alone; `words` complete "the other cases with".
    """

    share: float
    key: Callable[[Case], Hashable]
    words: str


def _pipeline(case: Case) -> Hashable:
    protocol = case.protocol
    return case.dataset.id, protocol.geometry, protocol.mean, protocol.std


def _images(case: Case) -> Hashable:
    return case.dataset.id


def _protocol(case: Case) -> Hashable:
    return case.protocol.id


def _text(case: Case) -> Hashable:
    return case.protocol.text and (case.dataset.id, case.protocol.text)


def _weights(case: Case) -> Hashable:
    return case.family.id, case.checkpoint


def _row(case: Case) -> Hashable:
    return None


SCOPES: dict[KindName, tuple[Scope, ...]] = {
    "pixels": (
        Scope(0.6, _pipeline, "this geometry and normalisation"),
        Scope(0.4, _images, "these images"),
    ),
    "labels": (Scope(1.0, _images, "these images"),),
    "text": (Scope(1.0, _text, "this text"),),
    "weights": (Scope(1.0, _weights, "this checkpoint"),),
    "arithmetic": (Scope(1.0, _protocol, "this protocol"),),
    "bookkeeping": (Scope(1.0, _row, ""),),
}


def log_chances_of_cases(
    case: Case, strength: float, met: Mapping[str, bool]
) -> dict[KindName, float]:
    """Tell how likely other cases are met as they are, for each kind of cause.

    Args:
        case: that diverges.
        strength: by how many tolerances.
        met: whether others are, by id.
    """
    others = list(_others(case, met))

    def chance(scope: Scope) -> float:
        shared, apart = _split(case, scope, others)
        # What moves this one by little moves others by less, or none of them at all.
        felt = strength / (strength + 1)
        of_shared = _mixed(shared, felt, BESIDES, 1 / (strength + 2))
        return scope.share * of_shared * _mixed(apart, BESIDES, felt, ALIKE)

    return {kind: math.log(sum(map(chance, SCOPES[kind]))) for kind in KINDS}


def pattern_of(case: Case, kinds: Sequence[KindName], met: Mapping[str, bool]) -> str:
    """Say which other cases are met, and which diverge as these kinds would have it."""
    others = list(_others(case, met))
    scopes = [scope for kind in kinds for scope in SCOPES[kind]]
    splits = [(scope, *_split(case, scope, others)) for scope in scopes]
    # Of several, that by which the cases come apart.
    scope, shared, apart = max(splits, key=lambda found: sum(found[2]) - sum(found[1]))
    said = []
    if shared:
        diverge = len(shared) - sum(shared)
        verb = "diverges" if len(shared) == 1 else "diverge"
        said.append(f"{_of(diverge, shared)} with {scope.words} {verb} too")
    if any(apart):
        but = " without it" if shared else ""
        verb = "is" if len(apart) == 1 else "are"
        said.append(f"{_of(sum(apart), apart)}{but} {verb} met")
    return ", and ".join(said)


def _of(some: int, of: Sequence[bool]) -> str:
    if len(of) == 1:
        return f"{'none of ' if not some else ''}the one other case"
    return f"{'all' if some == len(of) else f'{some:,}'} of {len(of):,} other cases"


def _others(case: Case, met: Mapping[str, bool]) -> Iterator[tuple[Case, bool]]:
    for other in published_cases(case.release):
        if other.id in met and other.id != case.id:
            yield other, met[other.id]


def _split(
    case: Case, scope: Scope, others: Iterable[tuple[Case, bool]]
) -> tuple[list[bool], list[bool]]:
    """Part the cases that have the same in common from all others."""
    ours = scope.key(case)
    shared: list[bool] = []
    apart: list[bool] = []
    for other, is_met in others:
        is_shared = ours is not None and scope.key(other) == ours
        (shared if is_shared else apart).append(is_met)
    return shared, apart


def _mixed(met: Sequence[bool], usual: float, alike: float, rest: float) -> float:
    """Give the chance of cases that diverge each by itself, but for a rest together."""

    def chance(diverges: float) -> float:
        return math.prod(1 - diverges if is_met else diverges for is_met in met)

    return (1 - rest) * chance(usual) + rest * chance(alike)
