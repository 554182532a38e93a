"""Images that one set of predictions gets right and another wrong."""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

from repro.evaluation.predictions import Predictions


class Flip(msgspec.Struct, frozen=True):
    """An image whose most likely class was right in one run and wrong in the other.

    All are numbers: the image's position in the dataset of the later run, its label,
    and the most likely class before and after.
    """

    index: int
    label: int
    before: int
    after: int

    @property
    def is_gain(self) -> bool:
        """Whether it became right."""
        return self.after == self.label


def evaluated_pairs(
    before: Predictions,
    after: Predictions,
    pairs: npt.NDArray[np.int64] | None = None,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Give the rows of two predictions that are of the same image.

    Args:
        before: of the one run.
        after: of the other.
        pairs: int64 `[N, 2]`, positions of the same image in the two datasets; None
            where both are of the same dataset.
    """
    if pairs is None:
        _, first, second = np.intersect1d(
            before.indices, after.indices, assume_unique=True, return_indices=True
        )
        return first, second
    first, old = rows_of(before, pairs[:, 0])
    second, new = rows_of(after, pairs[:, 1])
    both = old & new
    return first[both], second[both]


def rows_of(
    predictions: Predictions, positions: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Give the row of each position, and whether it was evaluated at all."""
    rows = np.searchsorted(predictions.indices, positions)
    inside = np.minimum(rows, max(len(predictions.indices) - 1, 0))
    if not len(predictions.indices):
        return inside, np.zeros(len(positions), dtype=np.bool_)
    return inside, predictions.indices[inside] == positions


def are_right(
    predictions: Predictions, rows: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Tell which rows have their label as the most likely class."""
    right: npt.NDArray[np.bool_] = (
        predictions.classes[rows, 0] == predictions.labels[rows]
    )
    return right


def find_flips(
    before: Predictions,
    after: Predictions,
    pairs: npt.NDArray[np.int64] | None = None,
) -> list[Flip]:
    """List the images that both evaluated and that flipped, in the dataset's order.

    Args as of `evaluated_pairs`.
    """
    first, second = evaluated_pairs(before, after, pairs)
    flipped = np.flatnonzero(are_right(before, first) != are_right(after, second))
    return [
        Flip(
            index=int(after.indices[second[place]]),
            label=int(after.labels[second[place]]),
            before=int(before.classes[first[place], 0]),
            after=int(after.classes[second[place], 0]),
        )
        for place in flipped
    ]
