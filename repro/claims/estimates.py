"""Power laws through losses, and the numbers of claims, each with its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import msgspec
import numpy as np
import numpy.typing as npt

from repro.claims.evidence import Observation
from repro.published import METRICS

#: Two-sided confidence of every interval.
CONFIDENCE = 0.95

Interval = tuple[float, float]
Floats = npt.NDArray[np.float64]


class Point(msgspec.Struct, frozen=True):
    """The loss (nats) of a checkpoint that was trained on so many images."""

    images: int
    loss: float


class PowerLaw(msgspec.Struct, frozen=True, kw_only=True):
    """A fit of loss = c * N^-k by ordinary least squares of ln(loss) on ln(N).

    `deviation` is the standard deviation of the residuals of ln(loss); it is None for
    two points, which every power law meets, and then there is no interval either.
    """

    exponent: float
    coefficient: float
    deviation: float | None
    points: tuple[Point, ...]

    @property
    def log_images(self) -> Floats:
        """Natural logarithms of the training images of the points: `[P]`."""
        return _log_images(self.points)

    @property
    def freedom(self) -> int:
        """Degrees of freedom of the residuals."""
        return len(self.points) - 2

    @property
    def standard_error(self) -> float | None:
        """Standard error of the exponent; None for two points."""
        if self.deviation is None:
            return None
        return self.deviation / math.sqrt(_spread(self.log_images))

    @property
    def interval(self) -> Interval | None:
        """Confidence interval of the exponent by Student's t; None for two points."""
        error = self.standard_error
        if error is None:
            return None
        reach = quantile(self.freedom) * error
        return self.exponent - reach, self.exponent + reach

    def loss(self, images: float) -> float:
        """Loss (nats) that the power law gives for so many training images."""
        return float(self.coefficient * images**-self.exponent)

    def band(self, images: float) -> Interval | None:
        """Confidence interval of the power law itself there; None for two points.

        It is about where the curve runs, not about where one more checkpoint would lie.
        """
        if self.deviation is None:
            return None
        known = self.log_images
        distance = math.log(images) - known.mean()
        error = self.deviation * math.sqrt(
            1 / len(known) + distance**2 / _spread(known)
        )
        # The line was fitted to logarithms, so what is symmetric there is a factor
        # here.
        factor = math.exp(quantile(self.freedom) * error)
        return self.loss(images) / factor, self.loss(images) * factor


def fit_curve(points: Sequence[Point]) -> PowerLaw:
    """Fit a power law through at least two points of different size.

    Raises:
        ValueError: there are fewer, or a loss or a number of images is not positive.
    """
    if any(point.images <= 0 or not 0 < point.loss < math.inf for point in points):
        raise ValueError("a power law goes through positive sizes and losses only")
    if len({point.images for point in points}) < 2:
        raise ValueError("a power law needs at least two points of different size")
    ordered = tuple(sorted(points, key=lambda point: point.images))
    x = _log_images(ordered)
    y = np.log([point.loss for point in ordered])
    # Sums of products of centred numbers do not cancel, as those of the textbook do
    # where sizes are close to each other.
    centred = x - x.mean()
    slope = float(centred @ y / (centred @ centred))
    intercept = float(y.mean() - slope * x.mean())
    residuals = y - intercept - slope * x
    freedom = len(ordered) - 2
    deviation = math.sqrt(float(residuals @ residuals) / freedom) if freedom else None
    return PowerLaw(
        exponent=-slope,
        coefficient=math.exp(intercept),
        deviation=deviation,
        points=ordered,
    )


def difference_interval(
    first: PowerLaw, second: PowerLaw, ratio: float
) -> Interval | None:
    """Confidence interval of the first exponent minus `ratio` times the second.

    By Welch's approximation, since the two scatter differently about their curves;
    None where one of them goes through two points only.
    """
    if first.standard_error is None or second.standard_error is None:
        return None
    variances = (first.standard_error**2, (ratio * second.standard_error) ** 2)
    total = sum(variances)
    middle = first.exponent - ratio * second.exponent
    # Both go through all of their points: the difference is known, and the formula
    # of the degrees of freedom would divide zero by zero.
    if total == 0:
        return middle, middle
    freedom = total**2 / sum(
        variance**2 / fit.freedom
        for variance, fit in zip(variances, (first, second), strict=True)
    )
    reach = quantile(freedom) * math.sqrt(total)
    return middle - reach, middle + reach


def quantile(freedom: float) -> float:
    """Student's t that bounds the two-sided confidence."""
    # scipy.stats takes most of a second to import; its special functions do not.
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + CONFIDENCE) / 2))


def _log_images(points: Sequence[Point]) -> Floats:
    return np.log([float(point.images) for point in points])


def _spread(x: Floats) -> float:
    return float(((x - x.mean()) ** 2).sum())


DRAWS = 1000
# Fixed, so that a claim near its border does not hold in one run and fail in the next.
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


_RESAMPLED = "images resampled"
_FITTED = "fit"
_ROUNDED = "rounding only"


class Estimate(msgspec.Struct, frozen=True):
    """A number, its confidence interval and what that is of."""

    value: float
    interval: Interval
    origin: str


class Fitted(msgspec.Struct, frozen=True):
    """A power law with the observations that it goes through, in the same order."""

    law: PowerLaw
    observations: tuple[Observation, ...]

    @property
    def weights(self) -> Floats:
        """What a change of ln(loss) at each point adds to the exponent: `[P]`."""
        x = self.law.log_images
        centred = x - x.mean()
        weights: Floats = -centred / (centred @ centred)
        return weights

    def reach(self, relative: float) -> float:
        """How far the exponent moves at most when losses change by that share."""
        return float(np.abs(self.weights).sum()) * relative


def fitted(observations: Sequence[tuple[int, Observation]]) -> Fitted:
    """Fit the losses (nats) of checkpoints over their training images."""
    ordered = sorted(observations, key=lambda pair: pair[0])
    law = fit_curve([Point(images, found.value) for images, found in ordered])
    return Fitted(law, tuple(found for _, found in ordered))


def exponent(fit: Fitted) -> Estimate:
    """Estimate the exponent of a power law."""
    return _hull(
        fit.law.exponent,
        fit.law.interval,
        _resampled_exponents([(fit, 1.0)]),
        _rounding(fit),
    )


def exponent_difference(first: Fitted, second: Fitted, ratio: float = 1.0) -> Estimate:
    """Estimate the first exponent minus `ratio` times the second."""
    return _hull(
        first.law.exponent - ratio * second.law.exponent,
        difference_interval(first.law, second.law, ratio),
        _resampled_exponents([(first, 1.0), (second, -ratio)]),
        _rounding(first) + ratio * _rounding(second),
    )


def improvement(better: Observation, worse: Observation, metric: str) -> Estimate:
    """Estimate how much better one observation is than another, in points or nats."""
    sign = 1 if METRICS[metric].is_higher_better else -1
    value = sign * (better.value - worse.value)
    if _paired([better, worse]):
        assert better.each is not None
        assert worse.each is not None
        means = resampled_means([better.each, worse.each])
        resampled = percentile_interval(sign * (means[:, 0] - means[:, 1]))
        return Estimate(value, resampled, _RESAMPLED)
    reach = better.rounding + worse.rounding
    if METRICS[metric].unit.whole is None:
        return Estimate(value, (value - reach, value + reach), _ROUNDED)
    # Not knowing which images were right together is on the safe side: on the same
    # images two models agree more than two independent ones would.
    reach += NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * math.hypot(
        _error(better), _error(worse)
    )
    return Estimate(value, (value - reach, value + reach), "binomial")


def _error(observation: Observation) -> float:
    """Standard error of a percentage of images."""
    share = observation.value / 100
    return 100 * math.sqrt(share * (1 - share) / observation.images)


def _hull(
    value: float, fit: Interval | None, resampled: Interval | None, rounding: float
) -> Estimate:
    """Take the wider ends of what the scatter and what the images leave open."""
    known = {_FITTED: fit, _RESAMPLED: resampled}
    intervals = {name: found for name, found in known.items() if found is not None}
    if not intervals:
        return Estimate(value, (value - rounding, value + rounding), _ROUNDED)
    # Each leaves something out: the scatter about a line says nothing of which images
    # were chosen, and resampled images nothing of whether the points lie on a line.
    low = min(interval[0] for interval in intervals.values())
    high = max(interval[1] for interval in intervals.values())
    return Estimate(value, (low, high), " and ".join(intervals))


def _resampled_exponents(terms: Sequence[tuple[Fitted, float]]) -> Interval | None:
    """Resample a weighted sum of exponents; None without predictions."""
    observations = [found for fit, _ in terms for found in fit.observations]
    if not _paired(observations):
        return None
    each = [found.each for found in observations if found.each is not None]
    logs = np.log(resampled_means(each))
    weights = np.concatenate([factor * fit.weights for fit, factor in terms])
    # An exponent is linear in the logarithms of the losses, so a draw of the images
    # needs no fit of its own.
    return percentile_interval(logs @ weights)


def _paired(observations: Sequence[Observation]) -> bool:
    """Whether all are known image by image, for the same images."""
    lengths = {
        None if found.each is None else len(found.each) for found in observations
    }
    return len(lengths) == 1 and None not in lengths


def _rounding(fit: Fitted) -> float:
    """How far the exponent can be off because losses were printed with few digits."""
    shares = [found.rounding / found.value for found in fit.observations]
    return float(np.abs(fit.weights) @ shares)
