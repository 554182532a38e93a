"""Evaluate suspects on some images; those of one body share the forward pass."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import torch
from msgspec.structs import replace
from torch import Tensor

from repro.cases import Case
from repro.data.dataset import Dataset
from repro.data.geometry import Pixels
from repro.diagnosis.building import Builder
from repro.diagnosis.findings import Trial
from repro.diagnosis.images import PixelSource
from repro.diagnosis.pace import Pace, TooSlowError
from repro.diagnosis.setup import Setup
from repro.diagnosis.suspects import Suspect, Topic
from repro.evaluation.batching import BatchSize, wait_for
from repro.evaluation.evaluate import compute_features, read_logits
from repro.evaluation.predictions import Predictions, join
from repro.published import Precision

#: Images whose pixels are in memory at a time.
PIECE = 1000

#: Dimensions of images that have one view each: `[N, 3, H, W]`.
IMAGES_DIM = 4

#: Images by which a suspect is timed before it sees as many as the others.
FEW = 4

Indices = npt.NDArray[np.int64]


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """What a diagnosis computes with, and how much it may take.

    `threads` decode; `precision` is the arithmetic of the run; `cache` is the folder of
    text classifiers, or None; `batch_size` is None to find it; `share` is how much of
    a full evaluation each suspect may cost on average, and `seconds` what all of them
    may take together, None where that follows. With `only_evaluated` no images are
    looked at but those of the run; with `run_code` code that a release brings is run.
    """

    device: torch.device
    threads: int
    precision: Precision
    cache: Path | None = None
    batch_size: int | None = None
    share: float = 0.1
    seconds: float | None = None
    only_evaluated: bool = False
    run_code: bool = False


@dataclass(eq=False)
class Candidate:
    """A suspect of a topic, evaluated by a setup, and what came of it so far.

    `head` gives logits of features.
    """

    suspect: Suspect
    topic: Topic
    head: Callable[[Tensor], Tensor]
    setup: Setup
    predictions: Predictions | None = None
    trial: Trial | None = None
    fit: float = 0.0
    is_met: bool = False


@dataclass(eq=False)
class Group:
    """Candidates of one body, at least one, which have seen the same images.

    It is a contender; `more` lets it see that many images more. `rate` is how many
    seconds an image took, when it last saw some.
    """

    body: Setup
    members: list[Candidate]
    more: Callable[[Group, int], None]
    images: int = 0
    rate: float = 0.0

    @property
    def passes(self) -> int:
        """How many forward passes an image takes."""
        return self.body.passes

    @property
    def fit(self) -> float:
        """How likely the likeliest of them is."""
        return max(member.fit for member in self.members)

    @property
    def is_met(self) -> bool:
        """Whether one of them restores all numbers on all images."""
        return any(member.is_met for member in self.members)

    def look(self, images: int) -> None:
        """Evaluate them on that many images more."""
        self.more(self, images)


class Laboratory:
    """Evaluates setups of one checkpoint.

    Args:
        case: of the checkpoint.
        weights: its weights file.
        dataset: the images.
        resources: what to compute with.
        pace: keeps the promise of time.
    """

    def __init__(
        self,
        case: Case,
        weights: Path,
        dataset: Dataset,
        resources: Resources,
        pace: Pace,
    ) -> None:
        self._device = resources.device
        self._dataset = dataset
        self._pace = pace
        self._is_clip = case.protocol.text is not None
        self._builder = Builder(
            case.release.location,
            weights,
            resources.device,
            resources.cache,
            run_code=resources.run_code,
        )
        self._source = PixelSource(dataset, resources.threads)
        self._batch_size = BatchSize(resources.device.type, resources.batch_size)
        self._few = BatchSize(resources.device.type, FEW)
        self._built: tuple[Setup, Callable[[Tensor], Tensor]] | None = None
        self.evaluated = 0
        self.progress: Callable[[int], None] = lambda images: None

    def time(self, protocol: Setup, members: Indices) -> None:
        """Find out how long some images take as the protocol says.

        Raises:
            DatasetError: an image cannot be decoded.
        """
        body = self._body(protocol.body)
        # Its prompts are encoded however long that takes, as the run had them too.
        self._builder.head(protocol, lambda seconds: None)
        start = time.perf_counter()
        pixels = self._source.pixels(np.sort(members), protocol.view)
        decoding = time.perf_counter() - start
        # The first forward pass pays for what is set up once.
        self._forward(body, pixels[:FEW], self._few)
        _, few = self._forward(body, pixels[:FEW], self._few)
        _, many = self._forward(body, pixels, self._batch_size)
        self._pace.learn((decoding + many) / len(members), few)

    def head(self, setup: Setup) -> Callable[[Tensor], Tensor]:
        """Build what turns features into logits; errors as of `Builder.head`.

        Raises:
            TooSlowError: its prompts take too long to encode.
        """
        return self._builder.head(setup, self._pace.check_prompts)

    def extend(self, group: Group, members: Indices) -> None:
        """Let the candidates of a group see more images, or fewer where time runs out.

        Raises:
            DatasetError: an image cannot be decoded.
            NotApplicableError: the model has nothing to vary there.
            TooSlowError: it has seen none yet, and these would take too long.
        """
        body = self._body(group.body)
        found = [[m.predictions] if m.predictions else [] for m in group.members]
        is_new, seen = not group.images, 0
        most = max(FEW, PIECE // group.passes)
        while seen < len(members) and not (seen and self._pace.is_over):
            start = time.perf_counter()
            is_probe = is_new and not seen
            size = FEW if is_probe else self._pace.images(most, FEW, group.rate)
            piece = np.sort(members[seen : seen + size])
            pixels = self._source.pixels(piece, group.body.view, keep=is_new)
            pixels = _views(pixels, group.body)
            sizes = self._few if is_probe else self._batch_size
            features, seconds = self._forward(body, pixels, sizes)
            seen += len(piece)
            if is_probe:
                self._check(group, body, pixels, seconds, len(members) - seen)
            for candidate, parts in zip(group.members, found, strict=True):
                logits = candidate.head(features)
                setup = candidate.setup
                # As many outputs count as the suspect says.
                counted = replace(self._dataset, columns=setup.columns)
                found_in_piece = read_logits(logits, counted, piece)
                parts.append(_smoothed(found_in_piece, logits, setup.smoothing))
            group.rate = (time.perf_counter() - start) / len(piece)
        for candidate, parts in zip(group.members, found, strict=True):
            candidate.predictions = join(parts)
        group.images += seen

    def _check(
        self,
        group: Group,
        body: Callable[[Tensor], Tensor],
        pixels: Pixels,
        seconds: float,
        images: int,
    ) -> None:
        """Refuse a group that took so many seconds for a few images, and has more."""
        members = len(group.members)
        if self._pace.times_as_long(seconds, images, members):
            # Once more: it may have been the set-up.
            _, seconds = self._forward(body, pixels, self._few)
        if ratio := self._pace.times_as_long(seconds, images, members):
            raise TooSlowError(f"it takes {ratio:,.0f} times as long here")

    def _forward(
        self, body: Callable[[Tensor], Tensor], pixels: Pixels, batch_size: BatchSize
    ) -> tuple[Tensor, float]:
        """Compute features of images, and say how many seconds that took."""
        start = time.perf_counter()
        features = compute_features(body, pixels, batch_size, self._device)
        wait_for(self._device)
        passes = len(pixels) * (pixels.shape[1] if pixels.ndim > IMAGES_DIM else 1)
        self.evaluated += passes
        self.progress(passes)
        return features, time.perf_counter() - start

    def _body(self, body: Setup) -> Callable[[Tensor], Tensor]:
        """Build what gives features; the last one is kept, since it often goes on."""
        if self._built is None or self._built[0] != body:
            self._built = None
            self._built = body, self._builder.body(body, is_clip=self._is_clip)
        return self._built[1]


def _views(pixels: Pixels, body: Setup) -> Pixels:
    """Put several views of an image beside each other: `[N, V, 3, H, W]`."""
    if body.passes == 1:
        return pixels
    views = pixels if pixels.ndim > IMAGES_DIM else pixels[:, None]
    mirrored = [views[..., ::-1]] if body.views == "mirrored" else []
    return np.concatenate([views, *mirrored], axis=1)


def _smoothed(found: Predictions, logits: Tensor, smoothing: float) -> Predictions:
    """Give predictions with the losses of labels that are smoothed.

    A share of each label is spread over all classes (Szegedy et al., Rethinking the
    Inception Architecture, 2016), as torch's `label_smoothing` does.
    """
    if not smoothing:
        return found
    # On the processor, since not every device has float64.
    of_all = -logits.cpu().double().log_softmax(dim=1).mean(dim=1)
    losses = (1 - smoothing) * found.losses + smoothing * of_all.numpy()
    return replace(found, losses=losses)
