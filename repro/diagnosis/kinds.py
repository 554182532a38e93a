"""Of which kind a cause is that nobody listed; no torch.

Two things tell. A cause hits every case that has in common with this one what it is
about: wrong pixels all checkpoints of a protocol, other weights this one alone. What a
case that is met has too, is right. And each kind moves the numbers of a case as its
suspects do, at any size; a slip leaves some of them as they are. Both are weighed for
each kind, and one is named where it is all but certain.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence

import msgspec

from repro.cases import Case, published_cases
from repro.diagnosis.accounts import Number
from repro.diagnosis.findings import Trial
from repro.diagnosis.moves import Moved, log_chances_of_digits, wrong_labels
from repro.diagnosis.suspects import KINDS, KindName
from repro.evaluation.predictions import Predictions

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


def _text(case: Case) -> Hashable:
    return case.protocol.text and (case.dataset.id, case.protocol.text)


SCOPES: dict[KindName, tuple[Scope, ...]] = {
    "pixels": (
        Scope(0.6, _pipeline, "this geometry and normalisation"),
        Scope(0.4, lambda c: c.dataset.id, "these images"),
    ),
    "labels": (Scope(1.0, lambda c: c.dataset.id, "these images"),),
    "text": (Scope(1.0, _text, "this text"),),
    "weights": (Scope(1.0, lambda c: (c.family.id, c.checkpoint), "this checkpoint"),),
    "arithmetic": (Scope(1.0, lambda c: c.protocol.id, "this protocol"),),
    "bookkeeping": (Scope(1.0, lambda c: None, ""),),
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


#: How probable a kind is, before anything is known. Of slips only those are left that
#: are none of the many that were looked for.
PRIOR: dict[KindName, float] = {
    "pixels": 0.3,
    "text": 0.3,
    "labels": 0.1,
    "weights": 0.2,
    "arithmetic": 0.1,
    "bookkeeping": 0.03,
}

#: How probable a kind has to be to be told, and how probable that it is one of two.
TOLD = 0.9, 0.95


class Kind(msgspec.Struct, frozen=True):
    """What kind of cause it is, and why; `because` completes a sentence.

    `shares` says how probable it is, or each of two that it may be, the likelier first.
    """

    shares: dict[KindName, float]
    because: str

    @property
    def name(self) -> str:
        """That of one kind, or of two with `or` between them."""
        return " or ".join(self.shares)


def kind_of(
    case: Case,
    numbers: Sequence[Number],
    run: Predictions,
    trials: Sequence[Trial],
    met: Mapping[str, bool],
) -> Kind | None:
    """Tell of which kind the cause is, where nothing that was tried is.

    Args:
        case: that diverges.
        numbers: its published numbers, of the sources that are contradicted.
        run: what was measured.
        trials: of the suspects, which tell how much each kind moves the numbers.
        met: whether other cases of the release are, by id, as far as they were
            measured.
    """
    moved = Moved(numbers, run, trials, len(case.dataset.classes))
    share = shares_of(case, moved, met)
    ranked = sorted(share, key=lambda kind: -share[kind])
    for count, least in enumerate(TOLD, 1):
        told = ranked[:count]
        if math.fsum(share[kind] for kind in told) >= least:
            said = [_of_digits(told, moved), pattern_of(case, told, met)]
            because = "; ".join(filter(None, said))
            if told == ["weights"]:
                because += ". Or the row is that of another model"
            shares = {kind: share[kind] for kind in told}
            return Kind(shares, because) if because else None
    return None


def shares_of(
    case: Case, moved: Moved, met: Mapping[str, bool]
) -> dict[KindName, float]:
    """Tell how probable each kind is, beside the others."""
    digits = log_chances_of_digits(moved)
    cases = log_chances_of_cases(case, moved.strength, met)
    weights = {
        kind: math.log(PRIOR[kind]) + digits[kind] + cases[kind]
        for kind in KINDS
        if kind != "text" or case.protocol.text
    }
    most = max(weights.values())
    whole = math.fsum(math.exp(weight - most) for weight in weights.values())
    return {kind: math.exp(w - most) / whole for kind, w in weights.items()}


def _of_digits(told: Sequence[KindName], moved: Moved) -> str:
    """Say what the numbers of the case itself say of a kind."""
    kind, spared, shares = told[0], moved.spared, moved.shares
    if kind == "bookkeeping" and "loss" in spared and set(shares) - set(spared):
        return (
            "the loss is met to its last digit, so every image was evaluated as here, "
            "and only the counts were written down otherwise"
        )
    if shares and set(shares) <= set(spared):
        return (
            "every accuracy is met to its last digit and only the loss is not"
            + ", so images, labels and weights are the same: it is the scale of the "
            "logits, or how the loss is computed" * (told == ["arithmetic"])
        )
    if kind == "labels" and (share := wrong_labels(moved)):
        return (
            f"{'accuracies and loss' if 'loss' in moved.by_metric else 'accuracies'} "
            f"are what they would be with about {100 * share:.1f} % of the labels "
            "exchanged for any other"
        )
    return ""
