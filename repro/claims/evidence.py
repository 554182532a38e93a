"""Where a claim's numbers come from: the published references, or measurements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from repro.cases import Case, named_case
from repro.evaluation.predictions import Metrics, Predictions, weighted_values
from repro.published import MEASURED, METRICS, Claim, FamilyChoice, Reference, Release


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """A metric of one checkpoint, as published or as measured.

    `value` is in the metric's unit, percent or nats; `rounding` is half a unit of the
    last printed digit, 0 for what was measured; `images` is how many it is about, and
    `each` `[images]` is what it is the mean of, where that is known. `unsettled` says
    why it cannot settle anything, such as a part of the images.
    """

    value: float
    images: int
    rounding: float = 0.0
    each: npt.NDArray[np.float64] | None = None
    unsettled: str = ""


class Stated(msgspec.Struct, frozen=True):
    """A claim with the release that makes it."""

    release: Release
    claim: Claim

    @property
    def id(self) -> str:
        """The claim's own."""
        return self.claim.id

    def case(self, family: str, checkpoint: str) -> Case:
        """Name a checkpoint as it is measured for the claim."""
        claim = self.claim
        return named_case(
            self.release, family, checkpoint, claim.protocol, claim.dataset
        )


class MissingError(Exception):
    """There is no number; the message says why, or is empty."""


class Evidence(Protocol):
    """The numbers that one claim is checked with."""

    def choices(self, place: FamilyChoice) -> Sequence[FamilyChoice]:
        """List what may stand in a place for which the claim names several families."""

    def checkpoints(self, place: FamilyChoice) -> Sequence[str]:
        """List the checkpoints that there may be numbers of."""

    def observe(self, place: FamilyChoice, checkpoint: str) -> Observation:
        """Give the number of a checkpoint.

        Raises:
            MissingError: there is none.
        """


class PublishedEvidence:
    """The references alone: what can be checked without any weights.

    A reference belongs to a place when it names the same families. Where several
    sources have the number, that of the claim counts; if it has none, nothing tells
    which is meant. What was measured here and accepted was never published.

    Args:
        release: whose references count.
        claim: whose dataset, protocol and metric count.
    """

    def __init__(self, release: Release, claim: Claim) -> None:
        self._images = release.datasets[claim.dataset].images
        self._source = claim.source
        self._known: dict[tuple[frozenset[str], str], list[Reference]] = {}
        for reference in release.references:
            if (
                reference.dataset == claim.dataset
                and reference.protocol == claim.protocol
                and reference.metric == claim.metric
                and reference.source != MEASURED
            ):
                # Families stand in no order, and a claim may name them in another.
                subject = frozenset(reference.families), reference.checkpoint
                self._known.setdefault(subject, []).append(reference)

    def choices(self, place: FamilyChoice) -> Sequence[FamilyChoice]:
        """Keep the families together, as their references do."""
        return [place]

    def checkpoints(self, place: FamilyChoice) -> Sequence[str]:
        """List the checkpoints that have a reference."""
        return [name for families, name in self._known if families == set(place)]

    def observe(self, place: FamilyChoice, checkpoint: str) -> Observation:
        """Give the published number.

        Raises:
            MissingError: there is none.
        """
        found = self._known.get((frozenset(place), checkpoint), [])
        own = [reference for reference in found if reference.source == self._source]
        if not found:
            raise MissingError("not published")
        if len(found) > 1 and not own:
            printed = ", ".join(f"{r.published} in {r.source}" for r in found)
            raise MissingError(
                f"{checkpoint} was published as {printed}, and the claim's source "
                f"{self._source} does not have it"
            )
        reference = (own or found)[0]
        return Observation(
            value=float(reference.published.value),
            rounding=float(reference.published.half_unit),
            images=self._images,
        )


class MeasuredCheckpoint(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured of one checkpoint, with its predictions where they are kept.

    `unsettled` says why it cannot settle a claim: the claim's protocol has another
    precision, or its metric is only estimated.
    """

    metrics: Metrics
    total: int
    unsettled: str = ""
    predictions: Predictions | None = None


@dataclass(frozen=True)
class MeasuredEvidence:
    """Measurements, made when they are needed or looked up.

    The metric of the `claim` counts; `known` gives the checkpoints of a family that
    there may be measurements of, and `measure` that of one of them, on the claim's
    dataset and with its protocol, or raises MissingError.
    """

    claim: Claim
    known: Callable[[str], Sequence[str]]
    measure: Callable[[str, str], MeasuredCheckpoint]

    def choices(self, place: FamilyChoice) -> Sequence[FamilyChoice]:
        """List the families one by one: each has checkpoints of its own."""
        return [(family,) for family in place]

    def checkpoints(self, place: FamilyChoice) -> Sequence[str]:
        """List the checkpoints of a family."""
        return self.known(place[0])

    def observe(self, place: FamilyChoice, checkpoint: str) -> Observation:
        """Give the measured number.

        Raises:
            MissingError: the checkpoint was not measured.
        """
        found = self.measure(place[0], checkpoint)
        predictions, metric = found.predictions, self.claim.metric
        try:
            value = float(found.metrics.value(metric))
        except KeyError:
            raise MissingError(f"{metric} was not counted then") from None
        return Observation(
            value=value,
            images=found.metrics.images,
            each=(
                None
                if predictions is None
                else weighted_values(predictions, METRICS[metric])
            ),
            unsettled=_unsettled(found),
        )


def _unsettled(found: MeasuredCheckpoint) -> str:
    if found.metrics.images != found.total:
        return f"{found.metrics.images:,} of {found.total:,} images"
    return found.unsettled
