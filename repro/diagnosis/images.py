"""The images that suspects are tried on: in which order, and their pixels."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from repro.data.dataset import Dataset
from repro.data.geometry import Pixels
from repro.evaluation.predictions import Predictions
from repro.published import Geometry

Indices = npt.NDArray[np.int64]


class PixelSource:
    """Decodes chosen images of a dataset, and keeps those that many suspects share.

    Args:
        dataset: whose images.
        threads: how many threads decode.
    """

    def __init__(self, dataset: Dataset, threads: int) -> None:
        self._dataset = dataset
        self._threads = threads
        self._kept: tuple[Geometry, dict[int, Pixels]] | None = None

    def pixels(
        self, members: Indices, geometry: Geometry, *, keep: bool = True
    ) -> Pixels:
        """Give the pixels of some images: uint8 `[N, 3, H, W]`.

        Args:
            members: positions in the dataset.
            geometry: how they become pixels.
            keep: whether to remember them; those of the first geometry are, which is
                that of the protocol and so of most suspects.

        Raises:
            DatasetError: an image cannot be decoded.
        """
        if keep and self._kept is None:
            self._kept = geometry, {}
        kept = self._kept[1] if self._kept and self._kept[0] == geometry else {}
        pixels = np.empty((len(members), 3, *geometry.output_size), dtype=np.uint8)

        def fill(row: int) -> None:
            index = int(members[row])
            if index in kept:
                pixels[row] = kept[index]
            else:
                self._dataset.planar_pixels(index, [geometry], [pixels[row]])

        with ThreadPoolExecutor(self._threads, "repro-decode") as pool:
            list(pool.map(fill, range(len(members))))
        if keep:
            kept |= dict(zip(members.tolist(), pixels, strict=True))
        return pixels


def spread_order(run: Predictions) -> Indices:
    """Order the images of a run so that every beginning has easy and hard ones alike.

    Sorted by their loss, they are taken in the order of van der Corput's sequence,
    shifted by a fixed draw: a systematic sample, whose estimates err less than those of
    a random one where hard images change more than easy ones (Cochran, Sampling
    Techniques, 1977, chapter 8).

    Args:
        run: predictions of the images.

    Returns:
        Positions in the dataset, int64 `[N]`.
    """
    ranks = np.argsort(np.argsort(run.losses, kind="stable"), kind="stable")
    bits = max(1, int(len(ranks) - 1).bit_length())
    reversed_bits = np.zeros_like(ranks)
    for bit in range(bits):
        reversed_bits |= ((ranks >> bit) & 1) << (bits - 1 - bit)
    shift = int(np.random.default_rng(0).integers(1 << bits))
    return np.asarray(run.indices[np.argsort(reversed_bits ^ shift)])


def balanced_order(indices: Indices, labels: Indices) -> Indices:
    """Order images, by a fixed draw, so that every beginning is balanced over classes.

    Args:
        indices: positions in the dataset, int64 `[N]`.
        labels: of these images, int64 `[N]`.
    """
    draw = np.random.default_rng(0).random(len(indices))
    order = np.lexsort((draw, labels))
    sizes = np.bincount(labels)
    starts = np.cumsum(sizes) - sizes
    sorted_labels = labels[order]
    place = np.arange(len(order)) - starts[sorted_labels]
    share = (place + draw[order]) / sizes[sorted_labels]
    return np.asarray(indices[order[np.argsort(share, kind="stable")]])
