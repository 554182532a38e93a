"""Guarded precision: float32's decisions from cheap arithmetic, and when to trust it.

Every image is computed in a cheap arithmetic, and in float32 as well:

- a random sample, by the digests of the images: so it is the same one whatever the size
  of batches, the order of strata or the number of processes;
- images whose decisions could differ, those that are likeliest to first, until any one
  of all others is decided otherwise with a probability below `RISK` (`cheap.py` says
  how that is bounded). What is computed shows its own errors, and where these are
  larger than was assumed, more is computed: in the end, everything.

A decision is whether the label is the most likely class, and whether it is among the
first five: all counts of images follow from these. They are those that the same float32
forward pass gives in other batches; where two logits are equal but for the last bits of
float32, a batch of another size may decide otherwise with or without guarding.

The loss is no decision. It is the mean of the cheap losses and of what float32 adds to
them in the sample (`cheap.py` too), which grows until the interval of the mean tells
whether the published numbers are met.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from repro.evaluation.predictions import PER_IMAGE, Predictions, join
from repro.judgement.cheap import Drawn, chances
from repro.judgement.intervals import Interval
from repro.judgement.tolerance import acceptable
from repro.published import METRICS, Reference

Counts = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Compute = Callable[[Counts], Predictions]

#: How likely any decision of a case may be another one than float32's: what is
#: promised, and what is aimed at, since the tail of errors is an extrapolation.
PROMISED, RISK = 1e-3, 1e-4
#: Images of the random sample: a fortieth, or so many. Fewer than `cheap.LEAST_SEEN`
#: would tell nothing of errors, and every image would be computed in float32.
SAMPLE, LEAST_SAMPLE = 40, 250
#: Beyond this share of images in float32, the rest is not worth asking for.
MOST = 0.6


class Guarded(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How decisions of float32 were obtained.

    `cheap` is the arithmetic of every image, `recomputed` how many were computed in
    float32 too, `risk` the probability that any decision is another one, `largest` the
    largest error of a margin that was seen, in logits, and `loss` is where the mean of
    float32's losses lies (None where that is not known). Where everything was computed
    in float32, `reason` says why, and nothing else is set.
    """

    cheap: str = ""
    recomputed: int = 0
    risk: float = 0.0
    largest: float = 0.0
    loss: Interval | None = None
    reason: str = ""

    def in_words(self, images: int) -> str:
        """Say how the decisions of that many images were obtained."""
        if self.reason:
            return f"guarded does not pay here: {self.reason}"
        return (
            f"guarded: {self.cheap}, and {self.recomputed:,} of {images:,} images "
            f"again in fp32; less than {PROMISED:g} likely that a decision differs"
        )

    def widen(
        self, bounds: dict[str, Interval | None], found: Predictions
    ) -> dict[str, Interval | None]:
        """Add what is not known of the losses of a part of the images.

        Args:
            bounds: of metrics on all images, from this part.
            found: the predictions.
        """
        if self.reason:
            return bounds
        mean = float(found.losses.mean())
        return {
            name: _sum(bound, self.loss, mean)
            if METRICS[name].bound == "mean"
            else bound
            for name, bound in bounds.items()
        }


class Guard:
    """Finds what has to be computed in float32, and lets it be computed.

    Args:
        exact: computes images at some positions in float32, with margins.
        digests: of all images of the dataset.
        references: published means that the mean loss is compared with.
    """

    def __init__(
        self, exact: Compute, digests: Sequence[str], references: Sequence[Reference]
    ) -> None:
        self._compute = exact
        self._places = np.array([_place(digest) for digest in digests])
        self._references = references
        self._exact: Predictions | None = None
        self._why = "all images are in the sample"
        self.risk: float
        self.loss: Interval | None = None

    def settle(self, cheap: Predictions) -> Predictions:
        """Give predictions whose decisions are those of float32.

        Args:
            cheap: of all images that count, with margins.
        """
        assert cheap.margins is not None
        order = np.argsort(self._places[cheap.indices], kind="stable")
        # The beginning of a fixed random order: what is drawn later, for the loss, goes
        # on with it, so that all of it together is one random sample and not two.
        first = order[: max(LEAST_SAMPLE, len(order) // SAMPLE)]
        self._know(cheap, first)
        cell = (cheap.margins[:, 0] < 0).astype(np.int64)
        rank = _ranks(order, cell)
        # In each cell the sample is what stands before its size, so a cell grows by a
        # number.
        sizes = np.bincount(cell[first], minlength=2)
        while True:
            # Again in each turn: what the loss needed has shown more errors, and these
            # may be larger than those that the decisions were settled by.
            chance = self._settle_decisions(cheap)
            found, drawn = self._join(cheap, chance, cell, rank < sizes[cell])
            if drawn is None:
                self.loss = None
                return found
            losses, self.loss = drawn.estimate()
            if not found.is_complete or self._is_decided(self.loss):
                return msgspec.structs.replace(found, losses=losses)
            room = min(_room(one, float(losses.mean())) for one in self._references)
            # No more than twice as many at a time: they show how much losses move.
            wanted = drawn.wanted(room if self.loss else np.inf)
            more = np.minimum(wanted - sizes, sizes + LEAST_SAMPLE).clip(0)
            sizes = sizes + (more if more.any() else LEAST_SAMPLE)
            self._know(cheap, np.flatnonzero(rank < sizes[cell]))
            if self._is_known(cheap).mean() > MOST:
                self._why = "a loss has to be known too well"
                self._know(cheap, order)

    def _settle_decisions(self, cheap: Predictions) -> npt.NDArray[np.float64]:
        """Compute images until the risk of all others is small; give their risks."""
        while True:
            known = self._is_known(cheap)
            chance = self._chances(cheap, known)
            self.risk = float(chance[~known].sum())
            if self.risk <= RISK:
                return chance
            if known.mean() > MOST:
                self._why = "too many decisions are too close"
                self._know(cheap, np.flatnonzero(~known))
                continue
            likely = np.argsort(np.where(known, 0, -chance), kind="stable")
            rest = self.risk - np.cumsum(chance[likely])
            needed = np.count_nonzero(rest > RISK) + 1
            # Half as many again at a time: they show how large the errors are.
            self._know(cheap, likely[: min(needed, known.sum() // 2)])

    def _chances(self, cheap: Predictions, known: Bools) -> npt.NDArray[np.float64]:
        """Bound how likely each image is decided otherwise, in the first or the fifth.

        Also of those that were computed: as if they had not been.
        """
        assert cheap.margins is not None
        exact = self._exactly(cheap, known)
        assert exact.margins is not None
        total = np.zeros(len(known))
        # Added and not multiplied: the union bound holds however the two decisions of
        # an image, or of several images, hang together.
        for ours, theirs in zip(cheap.margins.T, exact.margins.T, strict=True):
            if np.isposinf(ours).all():
                continue  # There are no more than five classes.
            with np.errstate(invalid="ignore"):
                errors = ours[known].astype(np.float64) - theirs
            total += chances(ours.astype(np.float64), known, errors)
        return total

    def _join(
        self,
        cheap: Predictions,
        chance: npt.NDArray[np.float64],
        cell: Counts,
        sample: Bools,
    ) -> tuple[Predictions, Drawn | None]:
        """Join both, and give what is known of the losses; None where all of it is."""
        known = self._is_known(cheap)
        exact = self._exactly(cheap, known)
        if known.all():
            return msgspec.structs.replace(exact, margins=None), None
        classes, losses = cheap.classes.copy(), cheap.losses.copy()
        classes[known], losses[known] = exact.classes, exact.losses
        found = Predictions(
            indices=cheap.indices,
            labels=cheap.labels,
            classes=classes,
            losses=losses,
            total=cheap.total,
            recomputed=known,
        )
        # What is as likely as what was left out, of which the sample is a random part.
        is_open = chance <= chance[~known].max()
        return found, Drawn(
            cheap=cheap.losses,
            exact=losses,
            known=known,
            is_open=is_open,
            cell=cell,
            sample=sample,
        )

    def _is_decided(self, loss: Interval | None) -> bool:
        """Whether each published loss is met, or is not, in the whole interval."""
        return all(is_decided(reference, loss) for reference in self._references)

    def _is_known(self, cheap: Predictions) -> Bools:
        if self._exact is None:
            return np.zeros(len(cheap.indices), bool)
        return np.isin(cheap.indices, self._exact.indices)

    def _know(self, cheap: Predictions, rows: Counts) -> None:
        """Compute the images in some rows, as far as they are not known."""
        wanted = np.sort(cheap.indices[rows[~self._is_known(cheap)[rows]]])
        if len(wanted):
            found = self._compute(wanted)
            self._exact = join([self._exact, found]) if self._exact else found

    def _exactly(self, cheap: Predictions, known: Bools) -> Predictions:
        """Give what was computed of these images, in their order."""
        assert self._exact is not None
        rows = np.searchsorted(self._exact.indices, cheap.indices[known])
        return Predictions(
            total=cheap.total,
            **{name: _rows(getattr(self._exact, name), rows) for name in PER_IMAGE},
        )

    def report(self, cheap: Predictions, arithmetic: str) -> Guarded:
        """Say how the decisions were obtained."""
        known = self._is_known(cheap)
        if known.all():
            return Guarded(reason=f"{self._why} for {arithmetic}")
        exact = self._exactly(cheap, known)
        assert cheap.margins is not None
        assert exact.margins is not None
        with np.errstate(invalid="ignore"):
            apart = np.abs(cheap.margins[known] - exact.margins)
        return Guarded(
            cheap=arithmetic,
            recomputed=int(known.sum()),
            risk=self.risk,
            loss=self.loss,
            largest=float(apart[np.isfinite(apart)].max(initial=0)),
        )


def is_decided(reference: Reference, loss: Interval | None) -> bool:
    """Whether a number is met, or is not, wherever in the interval the mean lies."""
    if loss is None:
        return False
    low, high = map(float, acceptable(reference))
    return low <= loss.low <= loss.high <= high or loss.excludes(low, high)


def _room(reference: Reference, mean: float) -> float:
    """Say how far a mean is from becoming one that meets a number, or does not."""
    return min(abs(mean - border) for border in map(float, acceptable(reference)))


def _ranks(order: Counts, cell: Counts) -> Counts:
    """Give the place of each image in the random order of its cell."""
    ranks = np.empty(len(order), np.int64)
    for one in np.unique(cell):
        mine = order[cell[order] == one]
        ranks[mine] = np.arange(len(mine))
    return ranks


def obstacle() -> str:
    """Say why metrics need every image in float32; empty if they do not."""
    METRICS.load()
    for metric in METRICS.values():
        if not metric.is_guarded:
            return f"the metric {metric.name} hangs on more than where the label is"
    return ""


def _sum(bound: Interval | None, loss: Interval | None, mean: float) -> Interval | None:
    if bound is None or loss is None:
        return None
    return Interval(bound.low + loss.low - mean, bound.high + loss.high - mean)


def _rows(values: npt.NDArray[Any] | None, rows: Counts) -> Any:
    return None if values is None else values[rows]


def _place(digest: str) -> int:
    """Give an image its place in the random order."""
    # Strata are drawn by the digests themselves.
    # Seven bytes fit an int64, and a dataset has too few images for two that are equal
    # to matter.
    found = hashlib.blake2b(digest.encode(), digest_size=7, person=b"guarded")
    return int.from_bytes(found.digest(), "big")
