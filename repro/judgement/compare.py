"""Two measurements of the same cases, compared image by image."""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec
import numpy as np

from repro.evaluation.predictions import Metrics, Predictions
from repro.judgement.flips import find_flips

#: Relative difference of two losses that is rounding: another batch size, which is
#: found by timing, adds up float32 in another order.
ROUNDING = 1e-6


class Flips(msgspec.Struct, frozen=True):
    """How many of some images became right and wrong, and whether that is chance.

    `p` is the two-sided p-value of the exact McNemar test.
    """

    images: int
    gained: int
    lost: int
    p: float

    @property
    def any(self) -> bool:
        """Whether an image flipped at all."""
        return bool(self.gained or self.lost)


class CaseDifference(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between two measurements of a case.

    `flips` is None where the predictions of either were not kept, or they are of other
    images; `loss` is the mean loss after minus before, in nats, over all images that
    each evaluated. `others` says what else differs: weights, images, protocol.
    """

    case: str
    before: Metrics
    after: Metrics
    flips: Flips | None = None
    others: tuple[str, ...] = ()

    @property
    def points(self) -> float:
        """Top-1 after minus before, in points."""
        return self.after.percent("top1") - self.before.percent("top1")

    @property
    def loss(self) -> float:
        """Mean loss after minus before, in nats."""
        return self.after.loss - self.before.loss

    @property
    def is_same(self) -> bool:
        """Whether nothing that counts differs: no image, no metric, no condition."""
        flipped = self.flips is not None and self.flips.any
        counts = ("images", "top1", "top5")
        counted = all(getattr(self.before, n) == getattr(self.after, n) for n in counts)
        rounded = math.isclose(self.before.loss, self.after.loss, rel_tol=ROUNDING)
        return counted and rounded and not flipped and not self.others


def mcnemar_p(gained: int, lost: int) -> float:
    """Give the two-sided p-value of the exact McNemar test.

    Of the images that one run gets right and the other wrong, as many should go each
    way if neither is better: a binomial test of one half. McNemar, Psychometrika 12
    (1947), in its exact form.
    """
    from scipy.stats import binomtest

    if not gained + lost:
        return 1.0
    return float(binomtest(gained, gained + lost, 0.5).pvalue)


def compare_predictions(before: Predictions, after: Predictions) -> Flips:
    """Count the images that flipped among those that both evaluated.

    The predictions must be of the same dataset.
    """
    shared = np.intersect1d(before.indices, after.indices, assume_unique=True)
    flips = find_flips(before, after)
    gained = sum(flip.is_gain for flip in flips)
    lost = len(flips) - gained
    return Flips(len(shared), gained, lost, mcnemar_p(gained, lost))


def most_telling_first(differences: Iterable[CaseDifference]) -> list[CaseDifference]:
    """Sort differences by how telling they are.

    First what chance explains least, by its p-value, then by the number of flips and by
    how far top-1 and loss moved. Cases without predictions are taken by their counts,
    as if no image had flipped back.
    """

    def key(found: CaseDifference) -> tuple[object, ...]:
        flips = found.flips or _fewest(found)
        return (
            flips.p,
            -(flips.gained + flips.lost),
            -abs(found.points),
            -abs(found.loss),
            found.case,
        )

    return sorted(differences, key=key)


def total_flips(differences: Iterable[CaseDifference]) -> Flips:
    """Add up the flips of all cases whose predictions were kept.

    Cases share images, so p is of the flips and not of independent images: it is a
    first look, and too small where cases flip together.
    """
    known = [found.flips for found in differences if found.flips is not None]
    gained, lost = (sum(getattr(f, name) for f in known) for name in ("gained", "lost"))
    images = sum(flips.images for flips in known)
    return Flips(images, gained, lost, mcnemar_p(gained, lost))


def _fewest(found: CaseDifference) -> Flips:
    """Give the fewest flips that explain two counts of right images."""
    if found.before.images != found.after.images:
        return Flips(0, 0, 0, 1.0)
    moved = found.after.top1 - found.before.top1
    gained, lost = max(moved, 0), max(-moved, 0)
    return Flips(found.after.images, gained, lost, mcnemar_p(gained, lost))
