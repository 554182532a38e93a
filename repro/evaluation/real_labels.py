"""ImageNet-ReaL: several right answers for an image, or none at all.

Beyer et al., "Are we done with ImageNet?" (2020), https://arxiv.org/abs/2006.07159;
the labels are those of https://github.com/google-research/reassessed-imagenet: a JSON
list with a list of classes for each of the 50,000 validation images, in the order of
the numbers in their names. An image without any label does not count.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from repro.errors import DatasetError
from repro.evaluation.predictions import Predictions
from repro.files import decode_json, file_shipped_with

IMAGES = 50_000
CLASSES = 1000

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
    known = range(CLASSES)
    if len(labels) != IMAGES or any(
        one not in known for many in labels for one in many
    ):
        raise DatasetError(
            f"{file}: holds labels of {len(labels):,} images; expected is one list of "
            f"classes from 0 to {CLASSES - 1} for each of {IMAGES:,}"
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
    if classes != CLASSES:
        raise DatasetError(
            f"ImageNet-ReaL labels are of ImageNet's {CLASSES:,} classes, and this "
            f"dataset has {classes:,}; leave out --real-labels"
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
