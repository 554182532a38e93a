"""Guarded precision in this process: a model in two arithmetics, where that pays."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from repro.cases import Case
from repro.data.dataset import Dataset
from repro.data.geometry import Pixels
from repro.engine.device import BatchSizes
from repro.engine.settings import EngineSettings
from repro.evaluation.batching import BatchSize, give_back, is_out_of_memory, wait_for
from repro.evaluation.classifier import Classifier
from repro.evaluation.evaluate import (
    Part,
    Progress,
    Settled,
    check_finite,
    evaluate,
)
from repro.evaluation.predictions import Predictions
from repro.judgement.guarded import Guard, Guarded, obstacle
from repro.published import Precision, Reference
from repro.records.identity import decided_by, digest_of

#: What is cheap, by the kind of a device. Both round a number to fewer digits; bf16 has
#: the range of float32, and what leaves that of fp16 is computed again.
CHEAP: dict[str, Precision] = {"cpu": "amp-bf16", "cuda": "amp-fp16"}
#: It pays below this part of the time of float32, what is computed again included.
PAYS = 0.9
#: Images of a batch that is timed, by the kind of a device, and how often it is.
_TIMED, _TIMES = {"cpu": 8, "cuda": 128}, 2
#: A sample of fewer images is most of them.
LEAST_IMAGES = 2000
#: Images that are taken together, from however many strata.
_TOGETHER = 512

Strata = Callable[[Sequence[int]], Iterator[tuple[int, Pixels]]]


class Images(NamedTuple):
    """The images that are evaluated: their strata, and how to get their pixels."""

    dataset: Dataset
    numbers: Sequence[int]
    pixels: Strata

    @property
    def number(self) -> int:
        """How many they are."""
        return sum(len(self.dataset.strata[stratum]) for stratum in self.numbers)

    def some(self, wanted: npt.NDArray[np.int64]) -> Iterator[Part]:
        """Yield the images at some positions, from several strata together."""
        dataset = self.dataset
        rows = {n: np.isin(dataset.strata[n], wanted) for n in self.numbers}
        members: list[npt.NDArray[np.int64]] = []
        pixels: list[Pixels] = []
        for stratum, found in self.pixels([n for n in rows if rows[n].any()]):
            members.append(dataset.strata[stratum][rows[stratum]])
            pixels.append(found[rows[stratum]])
            if sum(map(len, members)) >= _TOGETHER:
                yield np.concatenate(members), np.concatenate(pixels)
                members, pixels = [], []
        if members:
            yield np.concatenate(members), np.concatenate(pixels)


class Both(NamedTuple):
    """A model in cheap arithmetic and in float32, each with its size of batches."""

    cheap: Classifier
    exact: Classifier
    cheap_size: BatchSize
    exact_size: BatchSize


class Guarding:
    """Evaluates with the decisions of float32, most of them from cheap arithmetic.

    Args:
        settings: whether anything is kept on disk.
        device: that computes.
        sizes: of batches.
    """

    def __init__(
        self, settings: EngineSettings, device: torch.device, sizes: BatchSizes
    ) -> None:
        self._settings = settings
        self._device = device
        self._sizes = sizes
        self._slower: dict[str, str] = {}

    def evaluate(
        self,
        classifier: Classifier,
        case: Case,
        images: Images,
        progress: Progress,
        is_settled: Settled,
    ) -> tuple[Predictions | None, Guarded]:
        """Evaluate a case, if that pays; else say why it does not.

        Args:
            classifier: in float32.
            case: whose numbers say how well the loss has to be known.
            images: that are evaluated.
            progress: called with the number of images after each batch.
            is_settled: called after a stratum with predictions so far, some of which
                may not be decided as in float32, and again when they are.

        Raises:
            EvaluationError: see `repro.evaluation.evaluate`.
        """
        if why := self._why_not(images):
            return None, Guarded(reason=why)
        precision = CHEAP[self._device.type]
        try:
            cheap = classifier.computed_in(precision)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            give_back(error, self._device)
            why = f"the memory of {self._device} is too small for weights in both"
            return None, Guarded(reason=why)
        both = Both(
            cheap,
            classifier,
            self._sizes.of(case, precision),
            self._sizes.of(case, classifier.precision),
        )
        # Checkpoints of one model go the same way.
        model = digest_of((case.model, case.protocol, case.dataset))
        if model not in self._slower:
            self._slower[model] = slower(both, images)
        if why := self._slower[model]:
            return None, Guarded(reason=why)
        return evaluate_guarded(both, decided_by(case), images, progress, is_settled)

    def _why_not(self, images: Images) -> str:
        """Say why a case cannot be guarded, without computing anything; or nothing."""
        number = images.number
        if self._device.type not in CHEAP:
            return f"no cheap arithmetic is known for {self._device.type}"
        if number < LEAST_IMAGES:
            return f"{number:,} images are too few to learn from a part of them"
        if self._settings.cache is None:
            return "without a cache images would be decoded several times"
        return obstacle()


def evaluate_guarded(
    both: Both,
    references: Sequence[Reference],
    images: Images,
    progress: Progress = lambda images: None,
    is_settled: Settled = lambda predictions: False,
) -> tuple[Predictions, Guarded]:
    """Evaluate a model in both arithmetics: see `Guarding.evaluate`."""
    dataset, device = images.dataset, both.exact.device
    bar = _Bar(progress, images.number)

    def exactly(wanted: npt.NDArray[np.int64]) -> Predictions:
        bar.expect(len(wanted))
        found = evaluate(
            both.exact,
            dataset,
            images.some(wanted),
            batch_size=both.exact_size,
            device=device,
            progress=bar.exact,
            with_margins=True,
        )
        # With margins nothing is checked before: what leaves the range of fp16 is
        # computed here again, and only what is not finite in float32 either is a fault.
        check_finite(found)
        return found

    guard = Guard(exactly, dataset.digests, references)
    cheap = evaluate(
        both.cheap,
        dataset,
        images.pixels(images.numbers),
        batch_size=both.cheap_size,
        device=device,
        progress=bar.cheap,
        # To ask what is cheap costs nothing; what is sure costs images in float32.
        is_settled=lambda found: is_settled(found) and is_settled(guard.settle(found)),
        with_margins=True,
    )
    found = guard.settle(cheap)
    bar.end()
    return found, guard.report(cheap, both.cheap.precision)


class _Bar:
    """Counts each image once, though some are computed in both arithmetics.

    As many of the cheap ones are held back as are usually computed again, so that what
    is left to do is never shown as done.
    """

    def __init__(self, progress: Progress, images: int) -> None:
        self._progress = progress
        self._again = _usually_again(images)
        self._held = 0

    def cheap(self, images: int) -> None:
        """Count images that may be computed again."""
        held = math.ceil(self._again * images)
        self._held += held
        self._progress(images - held)

    def expect(self, images: int) -> None:
        """Take back what is computed again beyond what was held."""
        lacking = max(0, images - self._held)
        self._held += lacking
        self._progress(-lacking)

    def exact(self, images: int) -> None:
        """Count images that are computed in float32."""
        self._held -= images
        self._progress(images)

    def end(self) -> None:
        """Count what was held and did not have to be computed again."""
        self._progress(self._held)
        self._held = 0


def slower(both: Both, images: Images) -> str:
    """Say why the cheap arithmetic is not faster enough; empty if it is.

    Both are timed in turns on the first images, once each has computed them.
    """
    device = both.exact.device
    ((_, pixels),) = images.pixels(images.numbers[:1])
    batch = torch.from_numpy(np.array(pixels[: _TIMED.get(device.type, 8)]))
    try:
        cheap, exact = _seconds((both.cheap, both.exact), batch)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        give_back(error, device)
        return f"the memory of {device} is too small to try {len(batch)} images"
    part = cheap / exact
    again = _usually_again(images.number)
    if part + again <= PAYS:
        return ""
    return (
        f"{both.cheap.precision} takes {part:.2f} of the time of fp32, and some "
        f"{again:.0%} of the images are usually computed again"
    )


def _seconds(ways: Sequence[Classifier], batch: Tensor) -> list[float]:
    """Time several ways to compute a batch, in turns, once each has computed it."""
    quickest = [math.inf] * len(ways)
    for turn in range(1 + _TIMES):
        for number, classifier in enumerate(ways):
            start = time.perf_counter()
            classifier(batch)
            wait_for(classifier.device)
            taken = time.perf_counter() - start
            if turn:
                # The quickest of each, since what else the machine does only ever adds
                # time; in turns, so that a clock that changes meets both.
                quickest[number] = min(taken, quickest[number])
    return quickest


def _usually_again(images: int) -> float:
    """Say which part of so many images is computed again, for errors that are usual.

    Simulated with margins forty times as large as their errors, as ImageNet's are in
    bf16: 38 % of 5,000 and 14 % of 50,000 (tests/judgement/test_guarded.py has the
    worlds). Of fewer images errors are known less well, and more have to be computed.
    """
    return min(1.0, 0.05 + 24 / math.sqrt(images))
