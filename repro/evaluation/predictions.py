"""What a model said of each image, and the metrics that follow; needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

TOP = 5


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of images, and the sum of their cross-entropies in nats."""

    images: int
    top1: int
    top5: int
    loss_sum: float

    @property
    def loss(self) -> float:
        """Mean cross-entropy in nats."""
        return self.loss_sum / self.images

    def percent(self, metric: str) -> float:
        """Share of the images that `top1` or `top5` counts, in percent."""
        return 100 * int(getattr(self, metric)) / self.images


class Predictions(msgspec.Struct, frozen=True, kw_only=True):
    """Top classes and loss of each evaluated image.

    `indices` int64 `[N]` are positions in the dataset, ascending; `labels` int64 `[N]`;
    `classes` int32 `[N, 5]` are the most likely classes, best first (fewer columns
    where the dataset has fewer classes); `losses` float64 `[N]` are cross-entropies in
    nats; `total` is the number of images of the whole dataset; `confidences` float32
    `[N]` are the probabilities of the most likely classes, None where they were not
    kept.
    """

    indices: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    classes: npt.NDArray[np.int32]
    losses: npt.NDArray[np.float64]
    total: int
    confidences: npt.NDArray[np.float32] | None = None

    @property
    def is_complete(self) -> bool:
        """Whether every image of the dataset was evaluated."""
        return len(self.indices) == self.total

    def metrics(self) -> Metrics:
        """Count what is right and add up the losses."""
        hits = self.classes == self.labels[:, None]
        return Metrics(
            images=len(self.labels),
            top1=int(hits[:, 0].sum()),
            top5=int(hits.any(axis=1).sum()),
            loss_sum=float(self.losses.sum()),
        )


def join(parts: Sequence[Predictions]) -> Predictions:
    """Join predictions of different images of one dataset, in the dataset's order."""
    indices = np.concatenate([part.indices for part in parts])
    order = np.argsort(indices)
    kept = [part.confidences for part in parts if part.confidences is not None]
    return Predictions(
        indices=indices[order],
        labels=np.concatenate([part.labels for part in parts])[order],
        classes=np.concatenate([part.classes for part in parts])[order],
        losses=np.concatenate([part.losses for part in parts])[order],
        total=parts[0].total,
        confidences=np.concatenate(kept)[order] if len(kept) == len(parts) else None,
    )


def save_predictions(predictions: Predictions, file: Path) -> None:
    """Write predictions as a compressed npz, beside its place and then into it."""
    part = file.with_suffix(".part")
    fields = msgspec.structs.asdict(predictions)
    kept = {name: value for name, value in fields.items() if value is not None}
    with part.open("wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **kept)
    part.replace(file)


def load_predictions(file: Path) -> Predictions:
    """Read what `save_predictions` wrote."""
    with np.load(file, allow_pickle=False) as content:
        return Predictions(
            indices=content["indices"],
            labels=content["labels"],
            classes=content["classes"],
            losses=content["losses"],
            total=int(content["total"]),
            confidences=content.get("confidences"),
        )
