"""What predictions and names of files alone tell about the cause of a divergence."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from repro.evaluation.predictions import Predictions
from repro.published import DatasetSpec

PIXELS = ("PNG", "BMP", "PPM", "TIFF")
LOSSLESS = (".png", ".bmp", ".ppm", ".pgm", ".tif", ".tiff", ".npy", ".npz")
JPEG = (".jpg", ".jpeg")


#: Photographs of so many people do not have one size.
MANY = 16

#: A folder of training images, as people call it.
_OF_TRAINING = re.compile(r"train(ing|set)?(?![a-z])", re.IGNORECASE)


class Format(NamedTuple):
    """How images were published: as what, in files of which suffixes, and where."""

    what: str
    suffixes: tuple[str, ...]
    formats: tuple[str, ...]
    source: str


class Looked(NamedTuple):
    """What an image is: its format as Pillow names it, its width and height."""

    format: str
    size: tuple[int, int]


#: By a word that stands in the name of a dataset.
PUBLISHED_AS = {
    "cifar": Format(
        "pixels", LOSSLESS, PIXELS, "https://www.cs.toronto.edu/~kriz/cifar.html"
    ),
    "mnist": Format("pixels", LOSSLESS, PIXELS, "http://yann.lecun.com/exdb/mnist/"),
    "svhn": Format(
        "pixels", LOSSLESS, PIXELS, "http://ufldl.stanford.edu/housenumbers/"
    ),
    "imagenet": Format(
        "JPEG", JPEG, ("JPEG", "MPO"), "https://image-net.org/download.php"
    ),
}


def file_hints(
    spec: DatasetSpec, files: Sequence[str], root: PurePath
) -> Iterator[str]:
    """Say where images have another format than they were published in, or place.

    Args:
        spec: of the dataset.
        files: names of its images, here.
        root: folder that they lie in.
    """
    if _OF_TRAINING.search(root.name) and not _OF_TRAINING.search(_called(spec)):
        yield (
            f"the images lie in a folder {root.name!r}, but {spec.title} is evaluated: "
            "they may be those of training"
        )
    called = _called(spec).lower()
    for name, published in PUBLISHED_AS.items():
        suffixes = [PurePath(file).suffix.lower() for file in files]
        others = [s for s in suffixes if s and s not in published.suffixes]
        if name in called and others:
            yield (
                f"{len(others):,} of {len(files):,} images are "
                f"{', '.join(sorted(set(others)))} files, but {spec.title} was "
                f"published as {published.what} ({published.source}): they were "
                "encoded again, which moves pixels"
            )


def content_hints(spec: DatasetSpec, looked: Sequence[Looked]) -> Iterator[str]:
    """Say where the content of images tells that they are a copy that was changed.

    Args:
        spec: of the dataset.
        looked: what some of its images are.
    """
    called = _called(spec).lower()
    for name, published in PUBLISHED_AS.items():
        others = {file.format for file in looked} - set(published.formats)
        if name in called and others:
            yield (
                f"of {len(looked):,} images that were looked at, some hold "
                f"{', '.join(sorted(others))} whatever they are called, but "
                f"{spec.title} was published as {published.what} "
                f"({published.source}): they were encoded again, which moves pixels"
            )
    sides = {min(file.size) for file in looked}
    if "imagenet" in called and len(looked) >= MANY and len(sides) == 1:
        (side,) = sides
        if str(side) not in called:
            yield (
                f"all of {len(looked):,} images that were looked at have a short side "
                f"of {side} pixels: this is a copy that was resized, and another "
                "resize follows"
            )


def is_jpeg(file: str) -> bool:
    """Tell by the name of a file whether it is a JPEG."""
    return PurePath(file).suffix.lower() in JPEG


def _called(spec: DatasetSpec) -> str:
    """Give all names of a dataset."""
    return f"{spec.id} {spec.title} {spec.folder}"


def likely_causes(predictions: Predictions, classes: int) -> list[str]:
    """Name causes that the predictions of a divergent case give away.

    Args:
        predictions: of the case.
        classes: how many the dataset has.
    """
    accuracy = float((predictions.classes[:, 0] == predictions.labels).mean())
    if not _is_chance(accuracy, len(predictions.labels), classes):
        return []
    relabelled = relabelled_accuracy(predictions, classes)
    at_chance = (
        f"no better than chance ({100 * accuracy:.2f} % with {classes:,} classes)"
    )
    if relabelled > 2 * accuracy:
        return [
            f"The order of the labels is likely the cause: accuracy is {at_chance}, "
            "but with the classes renamed one to one it would be "
            f"{100 * relabelled:.2f} %."
        ]
    return [
        f"Accuracy is {at_chance}, and renaming the classes does not help: the weights "
        "do not fit the model, or the images are not those of the dataset."
    ]


def relabelled_accuracy(predictions: Predictions, classes: int) -> float:
    """Find the top-1 accuracy under the best one-to-one renaming of classes.

    The renaming is found on every second image and counted on the others, so that it
    does not flatter itself.
    """
    predicted, labels = predictions.classes[:, 0], predictions.labels
    classes = _counted(predicted, classes)
    # Labels come in order: every second image has all classes.
    renamed = _best_renaming(predicted[::2], labels[::2], classes)
    return float((renamed[predicted[1::2]] == labels[1::2]).mean())


def find_renaming(predictions: Predictions, classes: int) -> tuple[int, ...] | None:
    """Tell for each class that is predicted the label that it seems to stand for.

    None where renaming the classes makes predictions no better on images that it was
    not found on, by five standard errors.
    """
    predicted, labels = predictions.classes[:, 0], predictions.labels
    accuracy = float((predicted == labels).mean())
    renamed = relabelled_accuracy(predictions, classes)
    error = np.sqrt(renamed * (1 - renamed) / (len(labels) / 2))
    if renamed - accuracy <= 5 * error:
        return None
    classes = _counted(predicted, classes)
    return tuple(_best_renaming(predicted, labels, classes).tolist())


def _counted(predicted: npt.NDArray[np.integer], classes: int) -> int:
    """Count the classes, with outputs of none of them that are predicted."""
    return max(classes, int(predicted.max()) + 1)


def _best_renaming(
    predicted: npt.NDArray[np.integer], labels: npt.NDArray[np.integer], classes: int
) -> npt.NDArray[np.int64]:
    """Give the label of each predicted class, one to one, that fits most images."""
    from scipy.optimize import linear_sum_assignment

    confusion = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(confusion, (predicted, labels), 1)
    rows, columns = linear_sum_assignment(confusion, maximize=True)
    renamed = np.empty(classes, dtype=np.int64)
    renamed[rows] = columns
    return renamed


def _is_chance(accuracy: float, images: int, classes: int) -> bool:
    """Whether an accuracy is no more than five standard errors above guessing."""
    chance = 1 / classes
    error = np.sqrt(chance * (1 - chance) / images)
    return bool(accuracy - chance < 5 * error)
