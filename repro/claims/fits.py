"""Power laws through points: loss = c * N^-k, fitted in log-log."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

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
