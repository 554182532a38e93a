"""What a part of the images tells about all of them: intervals and safe bounds.

A part is some whole strata, so it holds a random share of each class, without
replacement: a stratified sample of a finite population. Classes count with their size
in the whole dataset, whatever share of them was drawn.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from repro.evaluation.predictions import Predictions
from repro.published import METRICS
from repro.published.metrics import Bound

#: Confidence of the intervals that a subset is judged by.
CONFIDENCE = 0.999

#: With fewer images to carry its error the mean of a loss has no trustworthy interval:
#: one or two that are very wrong carry much of it, and a small sample has none of them.
LOSS_IMAGES = 1000

#: From so many images on, a cell shows its own variance and skewness.
_CELL_IMAGES = 30

#: Of a mean, drawn with replacement: a fifth is what 25 images times its square give.
_MOST_SKEWNESS = 0.2

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


class Interval(msgspec.Struct, frozen=True):
    """Where the value on all images lies, in the unit of the metric."""

    low: float
    high: float

    def excludes(self, low: float, high: float) -> bool:
        """Tell whether no value from `low` to `high` lies inside."""
        return high < self.low or low > self.high


class Cells(msgspec.Struct, frozen=True):
    """The classes of a dataset as cells that images were drawn from.

    `cell` int64 `[C]` gives the cell of each class. Classes that are too small to be
    in every stratum share the last cell. `sizes` and `drawn` int64 `[K]` count the
    images of each cell in the whole dataset and in the part.
    """

    cell: Counts
    sizes: Counts
    drawn: Counts

    @property
    def weights(self) -> Floats:
        """Share of each cell in the dataset."""
        return np.asarray(self.sizes / self.sizes.sum())


def cells_of(labels: Counts, class_sizes: Counts, strata: int) -> Cells:
    """Group the classes of a dataset into cells.

    Args:
        labels: of the images of the part.
        class_sizes: images of each class in the whole dataset.
        strata: how many strata the dataset has.
    """
    # A class with fewer images than strata is missing from some of them: of it alone
    # a part may have no image at all, and together they are drawn like one class.
    small = class_sizes < strata
    cell = np.cumsum(~small) - 1
    cell[small] = int((~small).sum())
    count = int(cell.max()) + 1
    sizes = np.bincount(cell, weights=class_sizes, minlength=count).astype(np.int64)
    return Cells(cell, sizes, np.bincount(cell[labels], minlength=count))


def interval_of(
    predictions: Predictions,
    metric: str,
    class_sizes: Counts,
    strata: int,
    level: float = CONFIDENCE,
) -> Interval | None:
    """Bound a metric on the whole dataset from predictions of some strata of it.

    Args:
        predictions: of some whole strata.
        metric: which one.
        class_sizes: images of each class in the whole dataset.
        strata: how many strata the dataset has.
        level: of confidence.

    Returns:
        None where the metric has no such interval, or images are too few for it.
    """
    bound = METRICS[metric].bound
    if bound is None:
        return None
    sample = Sample(
        METRICS[metric].each(predictions), predictions.labels, class_sizes, strata
    )
    found = _METHODS[bound](sample, level)
    if found is None:
        return None
    scale = METRICS[metric].unit.scale
    return Interval(float(scale * found.low), float(scale * found.high))


class Sample(msgspec.Struct, frozen=True):
    """A part of the images: what each adds to a metric, and its class, `[N]`.

    `class_sizes` int64 `[C]` counts the images of each class in the whole dataset of
    `strata`.
    """

    values: npt.NDArray[Any]
    labels: Counts
    class_sizes: Counts
    strata: int

    def cells(self) -> tuple[Counts, Cells]:
        """Give the cell of each image, and the cells."""
        cells = cells_of(self.labels, self.class_sizes, self.strata)
        return cells.cell[self.labels], cells


def class_mean_interval(sample: Sample, level: float = CONFIDENCE) -> Interval:
    """Bound the mean over classes of their shares of hits, from 0 to 1.

    Hoeffding's inequality for a sum of independent values (Journal of the American
    Statistical Association 58, 1963, theorems 2 and 4): the images of each class are
    a random sample of it, and each moves the mean by its weight at most. It holds
    whatever the sizes of the classes and whichever are hard. Classes without any image
    in the part may hold anything; those that are whole in it are known.
    """
    sizes = sample.class_sizes
    drawn = np.bincount(sample.labels, minlength=len(sizes))
    found = np.bincount(sample.labels, weights=sample.values, minlength=len(sizes))
    seen, classes = drawn > 0, int(np.count_nonzero(sizes))
    mean = float((found[seen] / drawn[seen]).sum()) / classes
    unseen = int(np.count_nonzero(sizes[~seen])) / classes
    # An image of a class moves the mean by at most 1 / (classes * drawn), so the
    # squares of all that are drawn of it add up to 1 / (classes**2 * drawn).
    open_ = seen & (drawn < sizes)
    squares = float((1 / drawn[open_]).sum()) / classes**2
    reach = math.sqrt(math.log(2 / (1 - level)) / 2 * squares)
    return Interval(max(0.0, mean - reach), min(1.0, mean + unseen + reach))


_METHODS: dict[Bound, Callable[[Sample, float], Interval | None]] = {
    "share": lambda s, level: accuracy_interval(s.values, *s.cells(), level),
    "mean of shares": class_mean_interval,
    "mean": lambda s, level: loss_interval(s.values, *s.cells(), level),
}


def accuracy_interval(
    hits: npt.NDArray[np.bool_], place: Counts, cells: Cells, level: float = CONFIDENCE
) -> Interval:
    """Bound the share of hits among all images, from 0 to 1.

    The exact hypergeometric interval of a simple random sample, scaled by the design
    effect of the stratification, as Korn and Graubard (Survey Methodology 24, 1998) do
    with the binomial one. Cells without any drawn image may hold anything.

    Args:
        hits: bool `[N]`, one for each image of the part.
        place: the cell of each of these images.
        cells: what they were drawn from.
        level: of confidence.
    """
    found = np.bincount(place, weights=hits, minlength=len(cells.sizes)).astype(float)
    seen = cells.drawn > 0
    images, total = len(hits), int(cells.sizes[seen].sum())
    known = total / int(cells.sizes.sum())
    # Of sizes, not of weights: if all are hits, the share is 1 without any rounding.
    share = float((cells.sizes[seen] * (found[seen] / cells.drawn[seen])).sum()) / total
    low, high = _hypergeometric_interval(share * images, images, total, level)
    scale = math.sqrt(_design_effect(found, share, cells, level))
    # The interval grows about the share by the design effect: what is drawn by class
    # varies otherwise than a plain draw of as many images.
    low, high = share - scale * (share - low), share + scale * (high - share)
    return Interval(known * max(0.0, low), known * min(1.0, high) + 1 - known)


def loss_interval(
    losses: Floats, place: Counts, cells: Cells, level: float = CONFIDENCE
) -> Interval | None:
    """Bound the mean loss over all images, in nats.

    Student's t with Hall's correction for skewness (Journal of the Royal Statistical
    Society B 54, 1992), stratified, with the finite population correction and
    Satterthwaite's degrees of freedom (Biometrics Bulletin 2, 1946).

    Returns:
        None where images are too few for their skewness, or a cell has none.
    """
    from scipy import stats

    if len(losses) < LOSS_IMAGES or (cells.drawn == 0).any():
        return None
    means = np.bincount(place, weights=losses) / cells.drawn
    mean = float(cells.weights @ means)
    images, second, third, freedom, left = _moments(losses, place, cells, means)
    variance = float(left @ second)
    if not variance:
        return Interval(mean, mean)
    # A skewed tail must have been seen to be corrected for: by enough images of those
    # that carry the error, whatever is left to draw.
    # Satterthwaite's weighing, of images in place of degrees of freedom: with one group
    # it is the number of its images, but for rounding.
    carrying = float(second.sum() ** 2 / (second**2 / images).sum())
    is_skewed = abs(third.sum()) > _MOST_SKEWNESS * second.sum() ** 1.5
    if carrying < LOSS_IMAGES * (1 - 1e-9) or is_skewed:
        return None
    # A tail that is still to be drawn makes the mean too low and its error too small:
    # studentised, the third moment is the mean's own, left * (2 * left - 1) * third,
    # less three times the covariance of both, left**2 * third.
    bend = float((left * (1 + left)) @ third) / 2 / variance**1.5
    shared = variance**2 / float(((left * second) ** 2 / freedom).sum())
    quantile = float(stats.t.ppf((1 + level) / 2, shared))
    low, high = (_unbent(side * quantile, bend) for side in (1, -1))
    error = math.sqrt(variance)
    return Interval(mean - error * low, mean - error * high)


def _moments(
    losses: Floats, place: Counts, cells: Cells, means: Floats
) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Estimate what each group of cells adds to the error of a stratified mean.

    A cell with many images is a group by itself: where a few small classes carry the
    tail, the skewness of all images together does not show it. All others are one.

    Returns:
        Images drawn, second and third central moments of its part of the mean (as if
        drawn with replacement), degrees of freedom, the share that is left: `[G]`.
    """
    alone = cells.drawn >= _CELL_IMAGES
    group = np.where(alone, np.cumsum(alone) - 1, alone.sum())

    def total(values: npt.NDArray[Any], of: Counts) -> Floats:
        found = np.bincount(of, weights=values, minlength=int(group.max()) + 1)
        return found.astype(np.float64)

    images, sizes = total(cells.drawn, group), total(cells.sizes, group)
    weights, groups = total(cells.weights, group), total(np.ones(len(group)), group)
    mine = group[place]
    from_mean = losses - (total(cells.weights * means, group) / weights)[mine]
    is_split = np.ones(len(images), bool)
    is_split[group[cells.drawn < 2]] = False
    residuals = np.where(is_split[mine], losses - means[place], from_mean)
    freedom = np.maximum(images - np.where(is_split, groups, 1), 1)
    variance = total(residuals**2, mine) / freedom
    # Over all classes: of two images of a class the residuals are always symmetric.
    from_middle = losses - (total(losses, mine) / images)[mine]
    spread = total(from_middle**2, mine) / images
    cubes = total(from_middle**3, mine) / images
    skewness = cubes / np.where(spread > 0, spread, 1) ** 1.5
    # The mean of n independent values has 1/n of their variance, and 1/n**2 of their
    # third moment.
    return (
        images,
        weights**2 * variance / images,
        weights**3 * skewness * variance**1.5 / images**2,
        freedom,
        1 - images / sizes,
    )


def error_bound(
    hits: npt.NDArray[np.bool_], place: Counts, cells: Cells, low: float, high: float
) -> float:
    """Bound how likely a part is this far off a range of shares among all images.

    Hoeffding's inequality in its relative entropy form (Journal of the American
    Statistical Association 58, 1963, theorems 1 and 4). It holds for every number of
    images and every accuracy, for one look in one direction; without replacement the
    truth is smaller.

    Args:
        hits: bool `[N]`, one for each image of the part.
        place: the cell of each of these images.
        cells: what they were drawn from.
        low: the lowest share of hits among all images that is doubted, 0 to 1.
        high: the highest one.

    Returns:
        1 where the part lies in the range.
    """
    seen = cells.drawn > 0
    per_image = np.zeros(len(seen))
    per_image[seen] = cells.weights[seen] / cells.drawn[seen]
    largest = float(per_image.max())
    unseen = float(cells.weights[~seen].sum())
    # In units of the heaviest image; images of unseen cells may be all right or wrong.
    scale = len(hits) * largest
    found = float((per_image[place] * hits).sum()) / scale
    low, high = max(low - unseen, 0) / scale, min(high, 1) / scale
    nearest = min(max(found, low), high)
    if nearest == found:
        return 1.0
    return math.exp(-len(hits) * _relative_entropy(found, nearest))


def _relative_entropy(found: float, expected: float) -> float:
    """Kullback-Leibler divergence of two coins, in nats."""
    entropy = 0.0
    for p, q in ((found, expected), (1 - found, 1 - expected)):
        if p > 0:
            if q <= 0:
                return math.inf
            entropy += p * math.log(p / q)
    # Of two that are nearly the same, rounding may leave less than nothing.
    return max(0.0, entropy)


def _hypergeometric_interval(
    found: float, images: int, total: int, level: float
) -> tuple[float, float]:
    """Invert both one-sided tests of the number of hits among `total` images."""
    from scipy.stats import hypergeom

    alpha = (1 - level) / 2
    # A weighted share need not be a whole number of images; both neighbours count,
    # which makes the interval a little wider and never narrower.
    # What is a whole number but for the rounding of its weights is taken as one.
    fewest, most = math.floor(found + 1e-9), math.ceil(found - 1e-9)

    def too_many(hits: int) -> bool:
        return bool(hypergeom.cdf(most, total, hits, images) < alpha)

    def enough(hits: int) -> bool:
        return bool(hypergeom.sf(fewest - 1, total, hits, images) >= alpha)

    # Both are monotone in the number of hits, so halving finds the border.
    left = total - images
    low = fewest + bisect_left(range(fewest, left + fewest), True, key=enough)
    high = most + bisect_left(range(most, left + most + 1), True, key=too_many) - 1
    return low / total, high / total


def _design_effect(found: Floats, share: float, cells: Cells, level: float) -> float:
    """Compare the variance with that of a simple random sample of as many images.

    Where the classes are equally hard it is a little above 1; it is lower, the more
    classes differ. It is estimated where every cell has two images or more, and then
    made larger for the uncertainty of the estimate.
    """
    from scipy import stats

    seen = cells.drawn > 0
    sizes, drawn, weights = cells.sizes[seen], cells.drawn[seen], cells.weights[seen]
    images, total = int(drawn.sum()), int(sizes.sum())
    simple = share * (1 - share) * (1 - images / total) / images
    simple *= total / max(1, total - 1)
    left = weights**2 * (1 - drawn / sizes) / drawn
    equally_hard = float(
        (left * share * (1 - share) * sizes / np.maximum(1, sizes - 1)).sum()
    )
    if not simple:
        return 1.0
    if (drawn < 2).any():
        return max(1.0, equally_hard / simple)
    shares = found[seen] / drawn
    variances = shares * (1 - shares) * drawn / (drawn - 1)
    freedom = int((drawn - 1).sum())
    ratio = stats.t.ppf((1 + level) / 2, freedom) / stats.norm.ppf((1 + level) / 2)
    estimated = float((left * variances).sum()) * float(ratio) ** 2
    # Never less than half of what classes that are equally hard would give: from two
    # images of a class the variance may come out as nothing.
    return min(max(estimated, 0.5 * equally_hard), max(simple, equally_hard)) / simple


def _unbent(quantile: float, bend: float) -> float:
    """Invert Hall's cubic transformation of a studentised mean."""
    if abs(bend) < 1e-9:
        return quantile
    return (3 / bend) * (math.cbrt(1 + bend * (quantile - bend / 6)) - 1)
