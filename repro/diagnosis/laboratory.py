"""Evaluate suspects on some images; those of one body share the forward pass."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from repro.cases import Case
from repro.data.dataset import Dataset
from repro.diagnosis.building import Builder
from repro.diagnosis.images import PixelSource
from repro.diagnosis.setup import Body, Setup
from repro.diagnosis.suspects import Suspect, Topic
from repro.evaluation.batching import BatchSize
from repro.evaluation.evaluate import compute_features, read_logits
from repro.evaluation.predictions import Predictions, join
from repro.published import Precision

#: Images whose pixels are in memory at a time.
PIECE = 1000

Indices = npt.NDArray[np.int64]


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """What a diagnosis computes with, and how much it may take.

    `threads` decode; `precision` is the arithmetic of the run; `cache` is the folder of
    text classifiers, or None; `batch_size` is None to find it; `share` is how much of
    a full evaluation each suspect may cost on average. With `only_evaluated` no images
    are looked at but those of the run.
    """

    device: torch.device
    threads: int
    precision: Precision
    cache: Path | None = None
    batch_size: int | None = None
    share: float = 0.1
    only_evaluated: bool = False


class Candidate:
    """A suspect, and what came of it so far.

    Args:
        suspect: which one.
        topic: its topic.
        head: from features to logits.
    """

    def __init__(
        self, suspect: Suspect, topic: Topic, head: Callable[[Tensor], Tensor]
    ) -> None:
        self.suspect = suspect
        self.topic = topic
        self.head = head
        self.predictions: Predictions | None = None
        self.fit = 0.0
        self.is_met = False


class Group:
    """Candidates of one body, which have seen the same images: a contender.

    Args:
        body: what they share.
        members: at least one.
        look: lets a group see that many images more.
    """

    def __init__(
        self,
        body: Body,
        members: list[Candidate],
        look: Callable[[Group, int], None],
    ) -> None:
        self._look = look
        self.body = body
        self.members = members
        self.images = 0

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
        self._look(self, images)


class Laboratory:
    """Evaluates setups of one checkpoint.

    Args:
        case: of the checkpoint.
        weights: its weights file.
        dataset: the images.
        resources: what to compute with.
    """

    def __init__(
        self, case: Case, weights: Path, dataset: Dataset, resources: Resources
    ) -> None:
        self._device = resources.device
        self._dataset = dataset
        self._is_clip = case.protocol.text is not None
        self._builder = Builder(
            case.release.location, weights, resources.device, resources.cache
        )
        self._source = PixelSource(dataset, resources.threads)
        self._batch_size = BatchSize(resources.device.type, resources.batch_size)
        self._built: tuple[Body, Callable[[Tensor], Tensor]] | None = None
        self.evaluated = 0

    def head(self, setup: Setup) -> Callable[[Tensor], Tensor]:
        """Build what turns features into logits; errors as of `Builder.head`."""
        return self._builder.head(setup)

    def extend(self, group: Group, members: Indices) -> None:
        """Let the candidates of a group see more images.

        Raises:
            DatasetError: an image cannot be decoded.
            NotApplicableError: the model has nothing to vary there.
        """
        body = self._body(group.body)
        parts = [[m.predictions] if m.predictions else [] for m in group.members]
        for first in range(0, len(members), PIECE):
            piece = np.sort(members[first : first + PIECE])
            keep = not group.images
            pixels = self._source.pixels(piece, group.body.geometry, keep=keep)
            features = compute_features(body, pixels, self._batch_size, self._device)
            for candidate, found in zip(group.members, parts, strict=True):
                logits = candidate.head(features)
                found.append(read_logits(logits, self._dataset, piece))
        for candidate, found in zip(group.members, parts, strict=True):
            candidate.predictions = join(found)
        group.images += len(members)
        self.evaluated += len(members)

    def _body(self, body: Body) -> Callable[[Tensor], Tensor]:
        """Build what gives features; the last one is kept, since it often goes on."""
        if self._built is None or self._built[0] != body:
            self._built = None
            self._built = body, self._builder.body(body, is_clip=self._is_clip)
        return self._built[1]
