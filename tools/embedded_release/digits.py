"""Handwritten digits: the real training data and the validation images."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_digits

from embedded_release.rendering import Mask, photograph

if TYPE_CHECKING:
    from pathlib import Path

CLASSES = tuple("0123456789")
VALIDATION_PER_CLASS = 50


class Digits(NamedTuple):
    """Digits as ink: `masks` `[N, 8, 8]` between 0 and 1, `labels` `[N]`."""

    masks: Mask
    labels: npt.NDArray[np.int64]


def take_turns(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Order indices so that every prefix is as balanced over classes as can be."""
    turn = np.zeros(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        turn[members] = np.arange(len(members))
    return np.lexsort((labels, turn))


def split_digits(rng: np.random.Generator) -> tuple[Digits, Digits]:
    """Split scikit-learn's 1,797 digits into 1,297 for training and 500 to validate.

    Any prefix of the training digits is balanced over the classes.
    """
    bunch = load_digits()
    order = rng.permutation(len(bunch.target))
    masks = (bunch.images[order] / 16).astype(np.float32)
    labels = bunch.target[order].astype(np.int64)
    order = take_turns(labels)
    held_out = VALIDATION_PER_CLASS * len(CLASSES)
    validation, training = order[:held_out], order[held_out:]
    return (
        Digits(masks[training], labels[training]),
        Digits(masks[validation], labels[validation]),
    )


def write_validation_images(
    digits: Digits, folder: Path, rng: np.random.Generator
) -> None:
    """Write one JPEG file a digit, as `<folder>/<class>/<class>-<number>.jpg`."""
    counts = dict.fromkeys(CLASSES, 0)
    for name in CLASSES:
        (folder / name).mkdir(parents=True, exist_ok=True)
    for mask, label in zip(digits.masks, digits.labels, strict=True):
        name = CLASSES[label]
        file = folder / name / f"{name}-{counts[name]:02d}.jpg"
        file.write_bytes(photograph(mask, rng))
        counts[name] += 1
