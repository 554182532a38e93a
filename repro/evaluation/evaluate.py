"""Run a classifier over strata of pixels."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from repro.data.dataset import Dataset
from repro.data.geometry import Pixels
from repro.errors import EvaluationError
from repro.evaluation.batching import BatchSize
from repro.evaluation.predictions import TOP, Predictions, join

Progress = Callable[[int], object]
Settled = Callable[[Predictions], bool]


def evaluate(
    classifier: Callable[[Tensor], Tensor],
    dataset: Dataset,
    strata: Iterable[tuple[int, Pixels]],
    *,
    batch_size: BatchSize,
    device: torch.device,
    progress: Progress = lambda images: None,
    is_settled: Settled = lambda predictions: False,
) -> Predictions:
    """Predict the classes of all images of some strata.

    Args:
        classifier: from uint8 `[B, 3, H, W]` to logits `[B, C]` for the dataset's
            classes.
        dataset: whose labels count.
        strata: numbers of strata with their pixels, in any order.
        batch_size: how many images at once.
        device: where the classifier computes.
        progress: called with the number of images after each batch.
        is_settled: called after each stratum with all predictions so far; the rest is
            left out once it says so.

    Raises:
        EvaluationError: the logits have another number of classes, are not finite, or
            one image alone does not fit into memory.
    """
    # A GPU goes on with the next stratum while what it found in the last one is read.
    ahead = 1 if device.type == "cuda" else 0
    computed: deque[_Computed] = deque()
    parts: list[Predictions] = []
    for stratum, pixels in strata:
        members = dataset.strata[stratum]
        computed.append(
            _compute(classifier, dataset, members, pixels, batch_size, device, progress)
        )
        if len(computed) > ahead:
            parts.append(_read(computed.popleft(), dataset))
            if is_settled(join(parts)):
                break
    parts += [_read(rest, dataset) for rest in computed]
    if not parts:
        raise EvaluationError(f"no image of {dataset.name} was evaluated")
    return join(parts)


def compute_features(
    body: Callable[[Tensor], Tensor],
    pixels: Pixels,
    batch_size: BatchSize,
    device: torch.device,
) -> Tensor:
    """Compute what several heads share.

    Args:
        body: from uint8 `[B, 3, H, W]` to features `[B, D]`.
        pixels: uint8 `[N, 3, H, W]`.
        batch_size: how many images at once.
        device: where the body computes.

    Returns:
        Features `[N, D]` on the device.

    Raises:
        EvaluationError: one image alone does not fit into memory.
    """
    parts = [part for _, part in _batches(body, pixels, batch_size, device)]
    return torch.cat(parts)


def read_logits(
    logits: Tensor, dataset: Dataset, members: npt.NDArray[np.int64]
) -> Predictions:
    """Take the predictions from the logits of some images of a dataset.

    Args:
        logits: `[N, C]`.
        dataset: whose labels count.
        members: positions of the images in the dataset, ascending: int64 `[N]`.

    Raises:
        EvaluationError: the logits have another number of classes, or are not finite.
    """
    _check_outputs(logits, len(members), dataset)
    labels = torch.from_numpy(dataset.labels[members]).to(logits.device)
    return _read(_Computed(members, *_score(logits, labels)), dataset)


class _Computed(NamedTuple):
    """What was found for a stratum, on the device: see `Predictions`."""

    members: npt.NDArray[np.int64]
    classes: Tensor
    losses: Tensor
    confidences: Tensor


def _compute(
    classifier: Callable[[Tensor], Tensor],
    dataset: Dataset,
    members: npt.NDArray[np.int64],
    pixels: Pixels,
    batch_size: BatchSize,
    device: torch.device,
    progress: Progress = lambda images: None,
) -> _Computed:
    """Let the device compute some images, without waiting for it: see `evaluate`."""
    labels = torch.from_numpy(dataset.labels[members]).to(device)
    scores: list[tuple[Tensor, Tensor, Tensor]] = []
    for place, logits in _batches(classifier, pixels, batch_size, device):
        wanted = labels[place]
        _check_outputs(logits, len(wanted), dataset)
        scores.append(_score(logits, wanted))
        progress(len(wanted))
    top, losses, confidences = map(torch.cat, zip(*scores, strict=True))
    return _Computed(members, top, losses, confidences)


def _score(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Find the most likely classes, the losses and the confidences of a batch."""
    top = logits.topk(min(TOP, logits.shape[1]), dim=1).indices
    # In float64, so that the sum does not depend on its order.
    likelihoods = functional.log_softmax(logits.double(), dim=1)
    losses = functional.nll_loss(likelihoods, labels, reduction="none")
    return top, losses, likelihoods.amax(dim=1).exp()


def _read(computed: _Computed, dataset: Dataset) -> Predictions:
    """Wait for the device and take what it found of a stratum."""
    predictions = Predictions(
        indices=computed.members,
        labels=dataset.labels[computed.members],
        classes=computed.classes.to(torch.int32).cpu().numpy(),
        losses=computed.losses.cpu().numpy(),
        total=len(dataset),
        confidences=computed.confidences.float().cpu().numpy(),
    )
    _check_finite(predictions)
    return predictions


def _batches(
    classifier: Callable[[Tensor], Tensor],
    pixels: Pixels,
    batch_size: BatchSize,
    device: torch.device,
) -> Iterator[tuple[slice, Tensor]]:
    """Yield where each batch is, and what the classifier says of it."""
    batch_size.try_no_more_than(len(pixels))
    start = 0
    while start < len(pixels):
        batch = _copy(pixels[start : start + batch_size.current], device)
        try:
            with batch_size.timed(len(batch)):
                logits = classifier(batch)
                if device.type == "cuda" and batch_size.is_searching:
                    torch.cuda.synchronize(device)
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            if not batch_size.halve():
                raise EvaluationError(
                    f"one image alone does not fit into the memory of {device}; "
                    "free memory there or choose another device with --repro-device"
                ) from error
            continue
        yield slice(start, start + len(batch)), logits
        start += len(batch)


def _copy(pixels: Pixels, device: torch.device) -> Tensor:
    """Copy mapped pixels to where the device takes them from while it computes.

    Torch refuses to share memory that it must not write to.
    """
    batch = torch.empty(
        pixels.shape, dtype=torch.uint8, pin_memory=device.type == "cuda"
    )
    np.copyto(batch.numpy(), pixels)
    return batch


def _check_outputs(logits: Tensor, images: int, dataset: Dataset) -> None:
    expected = images, len(dataset.classes)
    if logits.ndim == 2 and len(logits) == images and logits.shape != expected:
        raise EvaluationError(
            f"the classifier gives {logits.shape[1]:,} logits, but {dataset.name} has "
            f"{len(dataset.classes):,} classes; give one for each"
        )
    if logits.shape != expected:
        raise EvaluationError(
            f"the classifier gives {list(logits.shape)} for a batch of {images}; "
            f"expected logits {list(expected)} for the classes of {dataset.name}"
        )


def _check_finite(predictions: Predictions) -> None:
    if not np.isfinite(predictions.losses).all():
        raise EvaluationError(
            "the model gives logits that are not finite; the weights are damaged, or "
            "the precision has too small a range (try --repro-precision fp32)"
        )
