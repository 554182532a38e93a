"""Of which kind a cause is that nobody listed; no torch.

Two things tell. A cause hits every case that has in common with this one what it is
about: wrong pixels all checkpoints of a protocol, other weights this one alone. And
each kind moves the numbers of a case as its suspects do, at any size; a slip leaves
some of them as they are. Both are weighed for each kind, and one is named where it is
all but certain.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec

from repro.cases import Case
from repro.diagnosis.accounts import Number
from repro.diagnosis.findings import Trial
from repro.diagnosis.moves import Moved, log_chances_of_digits, wrong_labels
from repro.diagnosis.sharing import log_chances_of_cases, pattern_of
from repro.diagnosis.suspects import KINDS, KindName
from repro.evaluation.predictions import Predictions

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
