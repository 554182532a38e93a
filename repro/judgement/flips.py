"""Images that one set of predictions gets right and another wrong."""

from __future__ import annotations

import msgspec
import numpy as np

from repro.evaluation.predictions import Predictions


class Flip(msgspec.Struct, frozen=True):
    """An image whose most likely class was right in one run and wrong in the other.

    All are numbers: the image's position in the dataset, its label, and the most likely
    class before and after.
    """

    index: int
    label: int
    before: int
    after: int

    @property
    def is_gain(self) -> bool:
        """Whether it became right."""
        return self.after == self.label


def find_flips(before: Predictions, after: Predictions) -> list[Flip]:
    """List the images that both evaluated and that flipped, in the dataset's order.

    The predictions must be of the same dataset.
    """
    _, first, second = np.intersect1d(
        before.indices, after.indices, assume_unique=True, return_indices=True
    )
    labels = after.labels[second]
    old, new = before.classes[first, 0], after.classes[second, 0]
    flipped = np.flatnonzero((old == labels) != (new == labels))
    return [
        Flip(
            index=int(after.indices[second[place]]),
            label=int(labels[place]),
            before=int(old[place]),
            after=int(new[place]),
        )
        for place in flipped
    ]
