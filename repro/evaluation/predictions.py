"""What a model said of each image, and the metrics that follow; needs no torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt

from repro.errors import DatasetError, EvaluationError
from repro.files import decode_json, file_shipped_with, replacing
from repro.published import METRICS, Metric

TOP = 5
# Checked where a record is read, which somebody else may have written.
_Count = Annotated[int, msgspec.Meta(ge=0)]
_FRACTION = r"^-?[0-9]{1,4000}(/[1-9][0-9]{0,3999})?\Z"
_Exact = Annotated[str, msgspec.Meta(pattern=_FRACTION)]


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of images, and the sum of their cross-entropies in nats.

    `others` are the means that do not follow from these, by metric: exact fractions
    such as `17/20`.
    """

    images: Annotated[int, msgspec.Meta(ge=1)]
    top1: _Count
    top5: _Count
    loss_sum: float
    others: dict[str, _Exact] = {}

    @property
    def loss(self) -> float:
        """Mean cross-entropy in nats."""
        return self.loss_sum / self.images

    def percent(self, metric: str) -> float:
        """Give a share of the images in percent."""
        return float(self.value(metric))

    def value(self, metric: str) -> Fraction:
        """Give a metric exactly, in its unit.

        Raises:
            KeyError: it was not counted, as in a measurement older than the metric.
        """
        entry = METRICS[metric]
        if entry.complement_of:
            return entry.unit.scale - self.value(entry.complement_of)
        return entry.unit.scale * self._mean(metric)

    def counted(self) -> list[str]:
        """Name the metrics that it has, in the order of the table."""
        METRICS.load(self.others)
        known = {*ALWAYS_COUNTED, *self.others}
        return [
            m.name for m in METRICS.values() if (m.complement_of or m.name) in known
        ]

    def _mean(self, metric: str) -> Fraction:
        if metric in ALWAYS_COUNTED:
            return Fraction(getattr(self, ALWAYS_COUNTED[metric])) / self.images
        return Fraction(self.others[metric])


#: Metrics that every measurement has as sums over its images, and the fields of those.
ALWAYS_COUNTED = {"top1": "top1", "top5": "top5", "loss": "loss_sum"}


class Predictions(msgspec.Struct, frozen=True, kw_only=True):
    """Top classes and loss of each evaluated image.

    `indices` int64 `[N]` are positions in the dataset, ascending; `labels` int64 `[N]`;
    `classes` int32 `[N, 5]` are the most likely classes, best first (fewer columns
    where the dataset has fewer classes); `losses` float64 `[N]` are cross-entropies in
    nats; `total` is the number of images of the whole dataset; `confidences` float32
    `[N]` are the probabilities of the most likely classes, None where they were not
    kept. `recomputed` bool `[N]` tells which images guarded precision has computed in
    float32; `margins` float32 `[N, 2]`, which are not kept, how far the label's logit
    is above the best other and the fifth other.
    """

    indices: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    classes: npt.NDArray[np.int32]
    losses: npt.NDArray[np.float64]
    total: int
    confidences: npt.NDArray[np.float32] | None = None
    recomputed: npt.NDArray[np.bool_] | None = None
    margins: npt.NDArray[np.float32] | None = None

    @property
    def is_complete(self) -> bool:
        """Whether every image of the dataset was evaluated."""
        return len(self.indices) == self.total

    def metrics(self) -> Metrics:
        """Count what is right and add up the losses, for every metric of the table."""
        METRICS.load()
        counted = {name: m for name, m in METRICS.items() if not m.complement_of}
        return Metrics(
            images=len(self.labels),
            **{
                field: METRICS[name].each(self).sum().item()
                for name, field in ALWAYS_COUNTED.items()
            },
            others={
                name: str(exact_mean(self, metric))
                for name, metric in counted.items()
                if name not in ALWAYS_COUNTED
            },
        )


#: Fields with one entry for each image.
PER_IMAGE = tuple(name for name in Predictions.__struct_fields__ if name != "total")


def exact_mean(predictions: Predictions, metric: Metric) -> Fraction:
    """Give the mean that a metric is: of integers exactly, of floats in float64.

    A mean over classes is one over those that have images.
    """
    each = metric.each(predictions)
    if metric.over == "images":
        return Fraction(each.sum().item()) / len(each)
    sizes = np.bincount(predictions.labels)
    sums = np.bincount(predictions.labels, weights=each)
    present = np.flatnonzero(sizes)
    # Classes of one size together: their common denominator stays small.
    by_size = (
        Fraction(sums[sizes == size].sum().item()) / int(size)
        for size in np.unique(sizes[present])
    )
    return sum(by_size, Fraction()) / len(present)


def weighted_values(
    predictions: Predictions, metric: Metric, among: Predictions | None = None
) -> npt.NDArray[np.float64]:
    """Give what each image adds to a metric, in its unit: their mean is the metric.

    In a mean over classes, images of small classes count more; how large the classes
    are is taken from the images of `among`, where that is not the predictions.
    """
    values: npt.NDArray[np.float64] = metric.unit.scale * metric.each(
        predictions
    ).astype(np.float64)
    if metric.over == "images":
        return values
    whole = among or predictions
    sizes = np.bincount(whole.labels)
    weights = len(whole.labels) / (np.count_nonzero(sizes) * sizes[predictions.labels])
    weighted: npt.NDArray[np.float64] = values * weights
    return weighted


def join(parts: Sequence[Predictions]) -> Predictions:
    """Join predictions of different images of one dataset, in the dataset's order."""
    # Whatever order strata were evaluated in: predictions of two runs are compared row
    # by row, and losses added up in one order have one sum.
    order = np.argsort(np.concatenate([part.indices for part in parts]))
    joined: dict[str, Any] = {}
    for name in PER_IMAGE:
        values = [getattr(part, name) for part in parts]
        is_known = all(value is not None for value in values)
        joined[name] = np.concatenate(values)[order] if is_known else None
    return Predictions(total=parts[0].total, **joined)


def save_predictions(predictions: Predictions, file: Path) -> None:
    """Write predictions as a compressed npz, beside its place and then into it."""
    fields = msgspec.structs.asdict(predictions)
    kept = {name: value for name, value in fields.items() if value is not None}
    with replacing(file) as stream:
        np.savez_compressed(stream, **kept)


def load_predictions(file: Path) -> Predictions:
    """Read what `save_predictions` wrote."""
    with np.load(file, allow_pickle=False) as content:
        kept = {name: content.get(name) for name in PER_IMAGE}
        return Predictions(total=int(content["total"]), **kept)


#: Bins of the calibration errors in github.com/visinf/benchmarking-synthetic-clones,
#: calibration/configs/default.yaml (`num_bins`).
CALIBRATION_BINS = 20


def calibration_error(predictions: Predictions, bins: int = CALIBRATION_BINS) -> float:
    """Give the expected calibration error of predictions, a share from 0 to 1.

    Raises:
        EvaluationError: the predictions were kept without their confidences.
    """
    if predictions.confidences is None:
        raise EvaluationError(
            "the predictions were kept without confidences, which the ledger leaves "
            "out; evaluate the checkpoint to get its calibration error"
        )
    correct = predictions.classes[:, 0] == predictions.labels
    return expected_calibration_error(predictions.confidences, correct, bins)


def expected_calibration_error(
    confidences: npt.NDArray[np.floating],
    correct: npt.NDArray[np.bool_],
    bins: int = CALIBRATION_BINS,
) -> float:
    """Average the gap between confidence and accuracy over equally wide bins.

    A confidence on the border of two bins belongs to the lower one. Empty bins count
    for nothing. Method: Guo et al., "On Calibration of Modern Neural Networks" (2017),
    https://arxiv.org/abs/1706.04599.

    Args:
        confidences: probability of the predicted class of each image, 0 to 1: `[N]`.
        correct: whether that class is right: `[N]`.
        bins: how many.
    """
    between = np.linspace(0, 1, bins + 1)[1:-1]
    gaps = np.bincount(
        np.searchsorted(between, confidences, side="left"),
        weights=correct.astype(np.float64) - confidences.astype(np.float64),
    )
    return float(np.abs(gaps).sum() / len(confidences))


def class_accuracy(predictions: Predictions, classes: int) -> npt.NDArray[np.float64]:
    """Give the top-1 accuracy of each class in percent: `[C]`, NaN without images.

    Args:
        predictions: of a dataset.
        classes: how many the dataset has.
    """
    correct = predictions.classes[:, 0] == predictions.labels
    images = np.bincount(predictions.labels, minlength=classes)
    right = np.bincount(predictions.labels, weights=correct, minlength=classes)
    with np.errstate(invalid="ignore"):
        percent: npt.NDArray[np.float64] = 100 * right / images
    return percent


# ImageNet-ReaL: several right answers for an image, or none at all, which does not
# count. Beyer et al., "Are we done with ImageNet?" (2020),
# https://arxiv.org/abs/2006.07159; the labels are those of
# https://github.com/google-research/reassessed-imagenet: a JSON list with a list of
# classes for each image, in the order of the numbers in their names.
REAL_IMAGES = 50_000
REAL_CLASSES = 1000

_NUMBERED = re.compile(r"_val_(\d{8})(?:_n\d{8})?\.\w+")

RealLabels = list[list[int]]


class RealScore(msgspec.Struct, frozen=True):
    """How many images have a label, and of how many one of the labels was predicted."""

    images: int
    top1: int

    @property
    def percent(self) -> float:
        """ReaL accuracy in percent."""
        return 100 * self.top1 / self.images


def shipped_labels() -> Path | None:
    """Find the copy of the labels that timm ships, without importing timm."""
    return file_shipped_with("timm", "data/_info/imagenet_real_labels.json")


def read_labels(file: Path) -> RealLabels:
    """Read the labels of all validation images.

    Raises:
        DatasetError: the file cannot be read or holds something else.
    """
    try:
        labels = decode_json(file.read_bytes(), RealLabels)
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"{file}: holds no ImageNet-ReaL labels ({error}); expected is real.json "
            "of https://github.com/google-research/reassessed-imagenet"
        ) from error
    known = range(REAL_CLASSES)
    if len(labels) != REAL_IMAGES or any(
        one not in known for many in labels for one in many
    ):
        raise DatasetError(
            f"{file}: holds labels of {len(labels):,} images; expected is one list of "
            f"classes from 0 to {REAL_CLASSES - 1} for each of {REAL_IMAGES:,}"
        )
    return labels


def right_answers(files: Sequence[str], classes: int, labels: RealLabels) -> RealLabels:
    """Give the labels of each image of a dataset.

    Args:
        files: names of its images.
        classes: how many it has.
        labels: by the number of the image, the first has number 1.

    Raises:
        DatasetError: it has other classes, a file is not named like an image of
            ImageNet's validation set, or no image has a label.
    """
    answers = [labels[_number(file, len(labels)) - 1] for file in files]
    if classes != REAL_CLASSES:
        raise DatasetError(
            f"ImageNet-ReaL labels are of ImageNet's {REAL_CLASSES:,} classes, and "
            f"this dataset has {classes:,}; leave out --real-labels"
        )
    if not any(answers):
        raise DatasetError("none of the images has an ImageNet-ReaL label")
    return answers


def real_score(predictions: Predictions, answers: RealLabels) -> RealScore:
    """Count the images for which one of their labels was predicted first.

    Args:
        predictions: with the 1,000 classes in their usual order.
        answers: of each image that `predictions.indices` point to.
    """
    images = top1 = 0
    predicted = predictions.classes[:, 0].tolist()
    for index, found in zip(predictions.indices.tolist(), predicted, strict=True):
        images += bool(answers[index])
        top1 += found in answers[index]
    return RealScore(images, top1)


def _number(file: str, largest: int) -> int:
    """Read the number of a validation image in its name."""
    match = _NUMBERED.search(file)
    number = int(match[1]) if match else 0
    if not 1 <= number <= largest:
        raise DatasetError(
            f"{file} is not named like an image of ImageNet's validation set, such as "
            "ILSVRC2012_val_00000001.JPEG; ImageNet-ReaL labels go by that number"
        )
    return number
