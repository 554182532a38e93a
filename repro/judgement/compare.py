"""Two measurements of the same cases, compared image by image."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from repro.evaluation.predictions import Metrics, Predictions
from repro.judgement.images import Alignment, ImageSet
from repro.judgement.verdict import Verdict

#: Relative difference of two losses that is rounding: another batch size, which is
#: found by timing, adds up float32 in another order.
ROUNDING = 1e-6

#: More names of images that differ are not kept.
NAMES_KEPT = 10


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


class Change(msgspec.Struct, frozen=True):
    """Something that is recorded of two measurements and differs; None is none."""

    name: str
    before: str | None
    after: str | None


class ImageGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Images of two datasets that have something in common, and how they were decided.

    `images` counts them in the whole dataset and `names` are the first ten. What
    follows is of the `evaluated` ones (by both runs, where both have them): how many
    were right before and after, and how many became right and wrong. It is None where
    a run does not have the images, or where predictions were not kept.
    """

    images: int
    names: tuple[str, ...]
    evaluated: int | None = None
    right_before: int | None = None
    right_after: int | None = None
    gained: int | None = None
    lost: int | None = None


class ImageChanges(msgspec.Struct, frozen=True, kw_only=True):
    """How the images of two datasets differ; `same` counts those that do not.

    `changed` have other bytes under the same name, `relabelled` the same bytes and
    another label; `missing` are only in the one before, `new` only in the one after.
    """

    before: int
    after: int
    same: int
    changed: ImageGroup
    relabelled: ImageGroup
    missing: ImageGroup
    new: ImageGroup


class CaseDifference(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between two measurements of a case.

    `published` are numbers, tolerances and declarations that were edited since;
    `weights` are two SHA-256; `images` is None where both evaluated the same dataset,
    or where that is unknown; `flips` is of the images that are the same in both, and
    None where that is unknown. `others` are protocol, precision and the like,
    `environment` software and machine. `unknown` says in words what cannot be compared.
    """

    case: str
    before: Metrics
    after: Metrics
    flips: Flips | None = None
    published: tuple[Change, ...] = ()
    weights: Change | None = None
    images: ImageChanges | None = None
    others: tuple[Change, ...] = ()
    environment: tuple[Change, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def points(self) -> float:
        """Top-1 after minus before, in points; of a part on what both evaluated."""
        if self.is_of_a_part and self.flips is not None and self.flips.images:
            return 100 * (self.flips.gained - self.flips.lost) / self.flips.images
        return self.after.percent("top1") - self.before.percent("top1")

    @property
    def loss(self) -> float:
        """Mean loss after minus before, in nats."""
        return self.after.loss - self.before.loss

    @property
    def is_of_a_part(self) -> bool:
        """Whether one evaluated a part of the images that the other evaluated."""
        return not self.images and self.before.images != self.after.images

    @property
    def measured_same(self) -> bool:
        """Whether the same was measured, as far as that is known.

        Of a whole and a part only those images tell that both evaluated.
        """
        flipped = self.flips is not None and self.flips.any
        if self.is_of_a_part and self.flips is not None and self.flips.images:
            return not flipped
        counts = ("images", "top1", "top5")
        counted = all(getattr(self.before, n) == getattr(self.after, n) for n in counts)
        rounded = math.isclose(self.before.loss, self.after.loss, rel_tol=ROUNDING)
        return counted and rounded and not flipped

    @property
    def is_same(self) -> bool:
        """Whether nothing that counts is known to differ: no number, no condition.

        The environment does not count: it is a condition of the whole run.
        """
        found = self.published or self.weights or self.images or self.others
        return self.measured_same and not found

    @property
    def is_unexplained(self) -> bool:
        """Whether something else was measured though all that is recorded is equal."""
        found = self.weights or self.images or self.others or self.environment
        if self.is_of_a_part and self.flips is None:
            return False
        return not self.measured_same and not found


class Since(msgspec.Struct, frozen=True):
    """What has changed since an earlier run, in which the case had this verdict."""

    run: int
    verdict: Verdict
    difference: CaseDifference


def compare_images(
    sets: tuple[ImageSet, ImageSet],
    found: Alignment,
    predictions: tuple[Predictions, Predictions] | None,
) -> ImageChanges:
    """Count the images that differ between two datasets, and how they were decided.

    Args:
        sets: the images before and after.
        found: how they are aligned.
        predictions: of both; None where either was not kept.
    """
    before, after = sets
    return ImageChanges(
        before=len(before.files),
        after=len(after.files),
        same=len(found.same),
        changed=_both(after, found.changed, predictions),
        relabelled=_both(after, found.relabelled, predictions),
        missing=_alone(before, found.missing, predictions and predictions[0], "before"),
        new=_alone(after, found.new, predictions and predictions[1], "after"),
    )


def _both(
    after: ImageSet,
    pairs: npt.NDArray[np.int64],
    predictions: tuple[Predictions, Predictions] | None,
) -> ImageGroup:
    group = ImageGroup(images=len(pairs), names=_names(after, pairs[:, 1]))
    if predictions is None:
        return group
    first, second = evaluated_pairs(*predictions, pairs)
    old, new = are_right(predictions[0], first), are_right(predictions[1], second)
    return msgspec.structs.replace(
        group,
        evaluated=len(first),
        right_before=int(old.sum()),
        right_after=int(new.sum()),
        gained=int((new & ~old).sum()),
        lost=int((old & ~new).sum()),
    )


def _alone(
    images: ImageSet,
    positions: npt.NDArray[np.int64],
    predictions: Predictions | None,
    when: Literal["before", "after"],
) -> ImageGroup:
    group = ImageGroup(images=len(positions), names=_names(images, positions))
    if predictions is None:
        return group
    rows, evaluated = rows_of(predictions, positions)
    right = int(are_right(predictions, rows[evaluated]).sum())
    counts = {"evaluated": int(evaluated.sum()), f"right_{when}": right}
    return msgspec.structs.replace(group, **counts)


def _names(images: ImageSet, positions: npt.NDArray[np.int64]) -> tuple[str, ...]:
    """Name the first images, in the order of names: that of digests says nothing."""
    return tuple(sorted(images.files[n] for n in positions.tolist())[:NAMES_KEPT])


def mcnemar_p(gained: int, lost: int) -> float:
    """Give the two-sided p-value of the exact McNemar test.

    Of the images that one run gets right and the other wrong, as many should go each
    way if neither is better: a binomial test of one half. McNemar, Psychometrika 12
    (1947), in its exact form.
    """
    from scipy.stats import binomtest

    if gained == lost:
        return 1.0
    return float(binomtest(gained, gained + lost, 0.5).pvalue)


def compare_predictions(
    before: Predictions, after: Predictions, pairs: npt.NDArray[np.int64] | None = None
) -> Flips:
    """Count the images that flipped among those that both evaluated.

    Args as of `evaluated_pairs`.
    """
    first, second = evaluated_pairs(before, after, pairs)
    old, new = are_right(before, first), are_right(after, second)
    gained, lost = int((new & ~old).sum()), int((old & ~new).sum())
    return Flips(len(first), gained, lost, mcnemar_p(gained, lost))


def most_telling_first(differences: Iterable[CaseDifference]) -> list[CaseDifference]:
    """Sort differences by how telling they are.

    First what chance explains least, by its p-value, then by the number of flips and by
    how far top-1 and loss moved. Cases whose images differ, or whose predictions were
    not kept, are taken by their counts, as if no image had flipped back.
    """

    def key(found: CaseDifference) -> tuple[object, ...]:
        p, flips = _flips(found)
        return p, -flips, -abs(found.points), -abs(found.loss), found.case

    return sorted(differences, key=key)


def total_flips(differences: Iterable[CaseDifference]) -> Flips:
    """Add up the flips of all cases for which they are known.

    Cases share images, so p is of the flips and not of independent images: it is a
    first look, and too small where cases flip together.
    """
    known = [found.flips for found in differences if found.flips is not None]
    gained, lost = (sum(getattr(f, name) for f in known) for name in ("gained", "lost"))
    images = sum(flips.images for flips in known)
    return Flips(images, gained, lost, mcnemar_p(gained, lost))


def _flips(found: CaseDifference) -> tuple[float, int]:
    """Give p and the number of flips, or of the fewest that explain two counts."""
    if found.flips is not None and not found.images:
        return found.flips.p, found.flips.gained + found.flips.lost
    # Counts of other images tell of no flip: such a case stands behind the others.
    if found.before.images != found.after.images:
        return 1.0, 0
    moved = abs(found.after.top1 - found.before.top1)
    return mcnemar_p(moved, 0), moved


class Flip(msgspec.Struct, frozen=True):
    """An image whose most likely class was right in one run and wrong in the other.

    All are numbers: the image's position in the dataset of the later run, its label,
    and the most likely class before and after.
    """

    index: int
    label: int
    before: int
    after: int

    @property
    def is_gain(self) -> bool:
        """Whether it became right."""
        return self.after == self.label


def evaluated_pairs(
    before: Predictions, after: Predictions, pairs: npt.NDArray[np.int64] | None = None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Give the rows of two predictions that are of the same image.

    Args:
        before: of the one run.
        after: of the other.
        pairs: int64 `[N, 2]`, positions of the same image in the two datasets; None
            where both are of the same dataset.
    """
    if pairs is None:
        _, first, second = np.intersect1d(
            before.indices, after.indices, assume_unique=True, return_indices=True
        )
        return first, second
    first, old = rows_of(before, pairs[:, 0])
    second, new = rows_of(after, pairs[:, 1])
    both = old & new
    return first[both], second[both]


def rows_of(
    predictions: Predictions, positions: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Give the row of each position, and whether it was evaluated at all."""
    known = predictions.indices
    if not len(known):
        return np.zeros_like(positions), np.zeros(len(positions), dtype=np.bool_)
    # Rows ascend by position. What lies beyond the last is compared with the last, and
    # found to be another.
    rows = np.minimum(np.searchsorted(known, positions), len(known) - 1)
    return rows, known[rows] == positions


def are_right(
    predictions: Predictions, rows: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Tell which rows have their label as the most likely class."""
    right: npt.NDArray[np.bool_] = (
        predictions.classes[rows, 0] == predictions.labels[rows]
    )
    return right


def find_flips(
    before: Predictions, after: Predictions, pairs: npt.NDArray[np.int64] | None = None
) -> list[Flip]:
    """List the images that both evaluated and that flipped, in the dataset's order.

    Args as of `evaluated_pairs`.
    """
    first, second = evaluated_pairs(before, after, pairs)
    flipped = np.flatnonzero(are_right(before, first) != are_right(after, second))
    return [
        Flip(
            index=int(after.indices[second[place]]),
            label=int(after.labels[second[place]]),
            before=int(before.classes[first[place], 0]),
            after=int(after.classes[second[place], 0]),
        )
        for place in flipped
    ]
