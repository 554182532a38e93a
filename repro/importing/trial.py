"""A first look: how many of a hundred images does a checkpoint get right?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import torch

from repro.cases import Case
from repro.data.dataset import Dataset, index_dataset
from repro.diagnosis.suspects import read_topics
from repro.diagnosis.what_if import best_renaming
from repro.engine.evaluator import Evaluator
from repro.engine.settings import EngineSettings
from repro.evaluation.classifier import Classifier, outputs_of
from repro.evaluation.predictions import Predictions
from repro.published.metrics import TOP1

IMAGES = 100
USUAL = "the library's mean/std"
#: What chance gives less often than this is no chance.
RARE = 0.01
#: With fewer images of a class nothing is said of an order of classes.
_OF_A_CLASS = 5

Channels = tuple[float, float, float]


class Normalisation(msgspec.Struct, frozen=True):
    """A mean and std by their name."""

    name: str
    mean: Channels
    std: Channels


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it: `right` of `images` with the best normalisation.

    That is the best of so many `ways`. `usual` are those right with what the library
    uses; `reordered` those that another order of the classes would make right, None
    where there are too few to tell.
    """

    normalisation: Normalisation
    right: int
    usual: int
    images: int
    classes: int
    ways: int = 1
    reordered: int | None = None

    @property
    def is_chance(self) -> bool:
        """Whether guessing gives as many often enough, in one of the ways."""
        each = at_least(self.right, self.images, 1 / self.classes)
        return self.ways * each > RARE

    @property
    def is_complete(self) -> bool:
        """Whether most are right."""
        return 2 * self.right >= self.images

    def sentence(self) -> str:
        """Say what is to be seen."""
        said = f"{self.right} of {self.images} right"
        if self.right > self.usual:
            said += f" with {self.normalisation.name}, {self.usual} with the library's"
        if self.is_chance:
            said += (
                f", as by chance for {self.classes:,} classes: order of classes, "
                "geometry, normalisation or weights"
            )
            if self.reordered is not None and 2 * self.reordered > self.images:
                said += f"; {self.reordered} with the classes in another order"
            return said
        if self.is_complete:
            return f"{said}: this looks complete"
        return (
            f"{said}, which is no chance, but few: compare geometry and normalisation "
            "with your evaluation script"
        )


def at_least(right: int, images: int, chance: float) -> float:
    """Give the probability that so many or more are right by guessing."""
    return math.fsum(
        math.comb(images, k) * chance**k * (1 - chance) ** (images - k)
        for k in range(right, images + 1)
    )


class Tries:
    """Tries checkpoints on a hundred images of a dataset, balanced over its classes.

    Args:
        data: folder of the dataset.
        cache: where digests of images are remembered.
        device: where to compute.
    """

    def __init__(self, data: Path, cache: Path | None, device: str = "auto") -> None:
        self._data = data
        self._cache = cache
        # What the code of a release is was said by who began it.
        settings = EngineSettings(
            data=data, device=device, accelerate=(), run_code=True
        )
        self._engine = Evaluator(settings)
        self._part: Dataset | None = None
        #: Billions of multiply-adds for one image, by the id of a model that was tried.
        self.gflops: dict[str, float] = {}

    def of(
        self, case: Case, weights: Path, *, is_small: bool
    ) -> dict[Normalisation, Predictions]:
        """Predict as a checkpoint's library would, and where in doubt otherwise.

        Args:
            case: with the protocol that its library would use, which comes first.
            weights: its file.
            is_small: whether the images are small, as those of sets that have a
                normalisation of their own.

        Raises:
            ReproError: weights or images cannot be used.
        """
        engine, protocol = self._engine, case.protocol
        if self._part is None:
            whole = index_dataset(case.dataset, self._data, cache=self._cache)
            self._part = first_images(whole, IMAGES)
        usual = Normalisation(USUAL, protocol.mean, protocol.std)
        if protocol.kind == "clip":
            classifier = engine.classifier(case, weights, self._part)
            self._count(case, classifier)
            return {usual: engine.evaluate(classifier, case, dataset=self._part)}
        model = engine.model(case, weights)
        found: dict[Normalisation, Predictions] = {}
        for way in (usual, *normalisations()):
            if found and not is_small and 2 * _right(found[usual]) >= IMAGES:
                break
            classifier = Classifier(
                model,
                way.mean,
                way.std,
                engine.device,
                protocol.precision,
                case.dataset.columns,
                outputs_of(case.dataset),
                protocol.geometry_steps.channels,
            )
            classifier.check(self._part.size_in(protocol.geometry_steps))
            self._count(case, classifier)
            found[way] = engine.evaluate(classifier, case, dataset=self._part)
        return found

    def _count(self, case: Case, classifier: Classifier) -> None:
        """Count what one image costs a model, once."""
        if case.model.id in self.gflops:
            return
        from torch.utils.flop_counter import FlopCounterMode

        assert self._part is not None
        size = self._part.size_in(case.protocol.geometry_steps)
        with FlopCounterMode(display=False) as counted:
            classifier(torch.zeros(1, 3, *size, dtype=torch.uint8))
        # It counts a multiplication and an addition as two.
        self.gflops[case.model.id] = counted.get_total_flops() / 2e9


def choose(tried: Sequence[dict[Normalisation, Predictions]]) -> Normalisation:
    """Choose a normalisation for some checkpoints: the usual one, if none is better.

    Means and std of photographs are so much alike that a hundred images do not tell
    them apart: with another one clearly more has to be right over all checkpoints. Of
    those it is the one with most right, and then with the least loss.
    """
    usual, *others = common_ways(tried)
    better = [way for way in others if _is_better(tried, way, usual, len(others))]

    def rank(way: Normalisation) -> tuple[int, float]:
        found = [one[way] for one in tried]
        losses = math.fsum(float(one.losses.sum()) for one in found)
        return sum(map(_right, found)), -losses

    return max(better, key=rank, default=usual)


def as_good(
    tried: Sequence[dict[Normalisation, Predictions]], chosen: Normalisation
) -> list[Normalisation]:
    """List other normalisations that the images do not tell from the chosen one."""
    return [
        way
        for way in common_ways(tried)
        if (way.mean, way.std) != (chosen.mean, chosen.std)
        and not _is_better(tried, chosen, way, 1)
    ]


def common_ways(
    tried: Sequence[dict[Normalisation, Predictions]],
) -> list[Normalisation]:
    """List the normalisations that all checkpoints were tried with."""
    return [way for way in tried[0] if all(way in one for one in tried)]


def _is_better(
    tried: Sequence[dict[Normalisation, Predictions]],
    one: Normalisation,
    other: Normalisation,
    ways: int,
) -> bool:
    """Whether more is right with one, of so many, than chance gives (McNemar)."""
    gained = lost = 0
    for found in tried:
        mine, theirs = (TOP1.each(found[way]) for way in (one, other))
        gained += int((mine & ~theirs).sum())
        lost += int((theirs & ~mine).sum())
    return gained > lost and ways * at_least(gained, gained + lost, 0.5) <= RARE


def trial_of(
    tried: dict[Normalisation, Predictions], chosen: Normalisation, classes: int
) -> Trial:
    """Say what came of a checkpoint with the normalisation that was chosen."""
    found, usual = tried[chosen], next(iter(tried.values()))
    return Trial(
        normalisation=chosen,
        right=_right(found),
        usual=_right(usual),
        images=len(found.labels),
        classes=classes,
        ways=len(tried),
        reordered=_reordered(found, classes),
    )


def first_images(dataset: Dataset, number: int) -> Dataset:
    """Give a dataset of the first images of the strata."""
    return dataset.some(np.sort(np.concatenate(dataset.strata)[:number]))


def normalisations() -> Iterator[Normalisation]:
    """List those that a diagnosis knows."""
    for suspect in read_topics()["normalisation"].suspects:
        mean, std = suspect.variation.mean, suspect.variation.std
        # A protocol is about pixels from 0 to 1, and has a mean of them.
        if mean is not None and std is not None and min(std) > 1 / 255:
            yield Normalisation(suspect.name, mean, std)


def _right(predictions: Predictions) -> int:
    return int(TOP1.each(predictions).sum())


def _reordered(predictions: Predictions, classes: int) -> int | None:
    """Count what the best one-to-one renaming of the classes would make right."""
    predicted, labels = predictions.classes[:, 0], predictions.labels
    if len(labels) < _OF_A_CLASS * classes:
        return None
    return int((best_renaming(predicted, labels, classes)[predicted] == labels).sum())
