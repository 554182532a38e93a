"""What would be found on other images: the bootstrap over images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from repro.claims.fits import CONFIDENCE, Floats, Interval

DRAWS = 1000
_SEED = 2312_04567


def resampled_means(values: Sequence[npt.ArrayLike], draws: int = DRAWS) -> Floats:
    """Draw the images anew, with replacement, and average: `[draws, M]`.

    The same images are drawn for every checkpoint, since all of them see the same
    ones: what makes an image hard for all cancels out of comparisons. The draws are the
    same in every run.

    Args:
        values: one row of N numbers for each of M checkpoints, image by image.
        draws: how often.
    """
    table = np.stack([np.asarray(row, dtype=np.float64) for row in values])
    images = table.shape[1]
    generator = np.random.default_rng(_SEED)
    means = np.empty((draws, len(table)))
    for draw in range(draws):
        # How often each image was drawn is a vector: one product with it, in place of a
        # copy of the table for each of a thousand draws.
        chosen = generator.integers(images, size=images)
        means[draw] = table @ np.bincount(chosen, minlength=images) / images
    return means


def percentile_interval(values: Floats) -> Interval:
    """Confidence interval by the percentiles of resampled values `[draws]`."""
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(values, [tail, 100 - tail])
    return float(low), float(high)
