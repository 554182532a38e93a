"""Run a classifier over strata of pixels."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from itertools import takewhile
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from repro.data.dataset import Dataset
from repro.data.geometry import Pixels
from repro.errors import EvaluationError
from repro.evaluation.batching import (
    Ahead,
    BatchSize,
    as_current,
    fetch,
    give_back,
    is_out_of_memory,
    may_fit_in_parts,
    send,
    too_little,
    wait_for,
)
from repro.evaluation.memory import keeping_memory
from repro.evaluation.predictions import TOP, Predictions, join

Progress = Callable[[int], object]
#: The most likely classes, the losses, the confidences and, where they are wanted, the
#: margins of some images.
Scores = tuple[Tensor, ...]
#: Some images of a dataset, by the number of their stratum or by their positions, and
#: their pixels.
Part = tuple[int | npt.NDArray[np.int64], Pixels]
Settled = Callable[[Predictions], bool]
T = TypeVar("T")


def evaluate(
    classifier: Callable[[Tensor], Tensor],
    dataset: Dataset,
    parts: Iterable[Part],
    *,
    batch_size: BatchSize,
    device: torch.device,
    progress: Progress = lambda images: None,
    is_settled: Settled = lambda predictions: False,
    with_margins: bool = False,
) -> Predictions:
    """Predict the classes of images that come in parts, such as strata.

    Args:
        classifier: from uint8 `[B, 3, H, W]` to logits `[B, C]` for the dataset's
            classes.
        dataset: whose labels count.
        parts: strata, or other images, in any order.
        batch_size: how many images at once.
        device: where the classifier computes.
        progress: called with the number of images after each batch.
        is_settled: called after each part with all predictions so far; the rest is
            left out once it says so.
        with_margins: whether to keep what decisions hang on; logits that are not finite
            are then for the caller to see.

    Raises:
        EvaluationError: the logits have another number of classes, are not finite, or
            one image alone does not fit into memory.
    """
    # A GPU goes on with the next part while what it found in the last one comes.
    ahead = int(device.type == "cuda")
    score = partial(_score, with_margins=with_margins)
    computed: deque[_Computed] = deque()
    read: list[Predictions] = []
    with as_current(device), keeping_memory(device):
        for images, pixels in parts:
            members = dataset.strata[images] if isinstance(images, int) else images
            how = batch_size, device, progress, score
            computed.append(_compute(classifier, dataset, members, pixels, *how))
            if len(computed) > ahead:
                read.append(_read(computed.popleft(), dataset))
                if is_settled(join(read)):
                    break
    read += [_read(rest, dataset) for rest in computed]
    if not read:
        raise EvaluationError(f"no image of {dataset.name} was evaluated")
    return join(read)


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

    def features(batch: Tensor, place: slice) -> Tensor:
        return body(batch)

    with as_current(device), keeping_memory(device):
        parts = [part for _, part in _batches(features, pixels, batch_size, device)]
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
    labels = send(torch.from_numpy(dataset.labels[members]), logits.device)
    return _read(_fetch(members, _score(logits, labels)), dataset)


class _Computed(NamedTuple):
    """What was found for a stratum, on its way from the device: see `Predictions`.

    `arrive` waits until it is here.
    """

    members: npt.NDArray[np.int64]
    scores: Scores
    arrive: Callable[[], object]


def _compute(
    classifier: Callable[[Tensor], Tensor],
    dataset: Dataset,
    members: npt.NDArray[np.int64],
    pixels: Pixels,
    batch_size: BatchSize,
    device: torch.device,
    progress: Progress,
    score_of: Callable[[Tensor, Tensor], Scores],
) -> _Computed:
    """Let the device compute some images, without waiting for it: see `evaluate`."""
    labels = send(torch.from_numpy(dataset.labels[members]), device)

    def score(batch: Tensor, place: slice) -> Scores:
        logits = classifier(batch)
        _check_outputs(logits, len(batch), dataset)
        return score_of(logits, labels[place])

    if batch_size.has_to_be_known:
        with batch_size.remembering():
            _search(score, pixels, batch_size, device)
    scores: list[Scores] = []
    for place, found in _batches(score, pixels, batch_size, device):
        scores.append(found)
        progress(place.stop - place.start)
    return _fetch(members, tuple(map(torch.cat, zip(*scores, strict=True))))


def _search(
    compute: Callable[[Tensor, slice], object],
    pixels: Pixels,
    batch_size: BatchSize,
    device: torch.device,
) -> None:
    """Find a batch size by batches that count for nothing.

    So every run computes its images in batches of the size that is remembered, also the
    one that found it.
    """
    while batch_size.is_searching:
        batches = _batches(compute, pixels, batch_size, device)
        for _ in takewhile(lambda _: batch_size.is_searching, batches):
            pass


def _score(logits: Tensor, labels: Tensor, *, with_margins: bool = False) -> Scores:
    """Find the most likely classes, the losses and the confidences of a batch."""
    if not has_float64(logits.device):
        logits, labels = logits.cpu(), labels.cpu()
    top = most_likely(logits, min(TOP, logits.shape[1]))
    # In float64, so that the sum does not depend on its order.
    likelihoods = functional.log_softmax(logits.double(), dim=1)
    losses = functional.nll_loss(likelihoods, labels, reduction="none")
    confidences = likelihoods.amax(dim=1).exp()
    if not with_margins:
        return top, losses, confidences
    return top, losses, confidences, _margins(logits, labels)


def most_likely(logits: Tensor, number: int) -> Tensor:
    """Give the classes of the largest logits, best first: int64 `[N, number]`.

    Of equal ones that of the lower number comes first, on every device. `topk` promises
    no order of these, and CUDA's is another one than a processor's; in bf16 many are
    equal.
    """
    # Numbers that are ordered as the logits are, with places for the classes below. To
    # add zero makes one of both zeros.
    bits = (logits.float() + 0.0).view(torch.int32)
    ordered = torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits).to(torch.int64) << 32
    classes = torch.arange(logits.shape[1], device=logits.device)
    return (ordered + classes.flip(0)).topk(number, dim=1).indices


def _margins(logits: Tensor, labels: Tensor) -> Tensor:
    """Give how far each label is before the best other class, and the fifth other.

    Their signs say whether it is the first, and whether it is among the first five.
    """
    place = labels[:, None]
    others = logits.scatter(1, place, -torch.inf)
    # Few classes have no fifth other.
    nobody = logits.new_full((len(logits), TOP), -torch.inf)
    best = torch.cat([others, nobody], dim=1).topk(TOP, dim=1).values
    return logits.gather(1, place) - best[:, [0, -1]]


@cache
def has_float64(device: torch.device) -> bool:
    """Whether a device computes in float64: Apple's and some of Intel's do not."""
    try:
        torch.ones((), dtype=torch.float64, device=device).exp()
    except (TypeError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise  # which says nothing of the device, and is not remembered
        return False
    return True


def _fetch(members: npt.NDArray[np.int64], scores: Scores) -> _Computed:
    """Begin to copy from the device what was found there."""
    top, losses, confidences, *margins = scores
    return _Computed(
        members, *fetch([top.to(torch.int32), losses, confidences.float(), *margins])
    )


def _read(computed: _Computed, dataset: Dataset) -> Predictions:
    """Wait for what was found of a stratum, and for nothing else."""
    computed.arrive()
    classes, losses, confidences, *margins = (p.numpy() for p in computed.scores)
    predictions = Predictions(
        indices=computed.members,
        labels=dataset.labels[computed.members],
        classes=classes,
        losses=losses,
        total=len(dataset),
        confidences=confidences,
        margins=next(iter(margins), None),
    )
    if not margins:
        check_finite(predictions)
    return predictions


def _batches(
    compute: Callable[[Tensor, slice], T],
    pixels: Pixels,
    batch_size: BatchSize,
    device: torch.device,
) -> Iterator[tuple[slice, T]]:
    """Yield where each batch is, and what is computed of it.

    All that takes memory for a batch happens in here, where it can be made smaller.
    """
    batch_size.try_no_more_than(len(pixels))
    ahead = Ahead(device)
    start = 0
    while start < len(pixels):
        place = slice(start, min(start + batch_size.current, len(pixels)))
        ahead.wait()
        try:
            batch = _copy(pixels[place], device)
            with batch_size.timed(len(batch)):
                found = compute(batch, place)
                if batch_size.is_searching:
                    wait_for(device)
        except (RuntimeError, MemoryError) as error:
            if not may_fit_in_parts(error, len(pixels[place])):
                raise
            give_back(error, device)
            if not batch_size.halve():
                raise too_little(device, "one image alone") from None
            continue
        ahead.note()
        yield place, found
        start = place.stop


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
    expected = images, len(dataset.columns or dataset.classes)
    if logits.ndim == 2 and len(logits) == images and logits.shape != expected:
        raise EvaluationError(
            f"the classifier gives {logits.shape[1]:,} logits, but {dataset.name} has "
            f"{expected[1]:,} classes; give one for each"
        )
    if logits.shape != expected:
        raise EvaluationError(
            f"the classifier gives {list(logits.shape)} for a batch of {images}; "
            f"expected logits {list(expected)} for the classes of {dataset.name}"
        )


def check_finite(predictions: Predictions) -> None:
    """Refuse what a model says when its logits are not finite.

    Raises:
        EvaluationError: a loss is not.
    """
    if not np.isfinite(predictions.losses).all():
        raise EvaluationError(
            "the model gives logits that are not finite; the weights are damaged, or "
            "the precision has too small a range (try --repro-precision fp32)"
        )
