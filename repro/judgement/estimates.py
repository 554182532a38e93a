"""What a metric would be if something were done otherwise, from a few images.

The images were evaluated both ways, so it is the difference that is estimated; what all
images of the run said as it was comes in exactly. That is the difference estimator of
two-phase sampling (Cochran, Sampling Techniques, 1977, chapter 12), for simple random
samples: those that are balanced over the classes are a little better.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
import numpy.typing as npt

from repro.evaluation.predictions import Predictions
from repro.judgement.intervals import hits_of
from repro.published import Metric

Floats = npt.NDArray[np.float64]


class Estimate(msgspec.Struct, frozen=True):
    """A metric on all images of the dataset, in percent or nats.

    `error` is its standard error, 0 where every image was evaluated; `freedom` counts
    the degrees of freedom of that.
    """

    value: float
    error: float
    freedom: int


def estimate(run: Predictions, trial: Predictions, metric: Metric) -> Estimate:
    """Estimate a metric on all images from a trial on some images.

    Args:
        run: predictions as the protocol says, of all images or a part of them.
        trial: predictions of some of these images, or of all of them and further ones,
            made otherwise.
        metric: which one.
    """
    if len(trial.labels) > len(run.labels):
        run = trial
    before, after = values_of(run, metric), values_of(trial, metric)
    shared = np.searchsorted(run.indices, trial.indices)
    change = after - before[shared]
    images, evaluated = len(change), len(before)
    value = float(before.mean() + change.mean())
    # What is left to know: of the images of the run, and of those beyond it.
    variance = _variance(change, metric) * (1 / images - 1 / evaluated)
    variance += _variance(after, metric) * (1 / evaluated - 1 / run.total)
    return Estimate(value, math.sqrt(max(0.0, variance)), max(1, images - 1))


def values_of(predictions: Predictions, metric: Metric) -> Floats:
    """Give what each image adds to the mean: 0 or 100 percent, or nats."""
    if metric == "loss":
        return predictions.losses
    hits: Floats = 100.0 * hits_of(predictions, metric).astype(np.float64)
    return hits


def log_likelihood(found: Estimate, published: float, tolerance: float) -> float:
    """Say how well an estimate and a published value go together.

    The log density of Student's t at their distance; half the tolerance counts as
    another standard error, since that is how far an honest measurement may be off.
    """
    from scipy.stats import t

    scale = math.hypot(found.error, tolerance / 2)
    distance = (published - found.value) / scale
    freedom = found.freedom if found.error else 1000
    return float(t.logpdf(distance, freedom)) - math.log(scale)


def _variance(values: Floats, metric: Metric) -> float:
    """Estimate a variance, never as nothing because few images showed nothing."""
    if len(values) < 2:
        return 100.0**2 if metric != "loss" else 1.0
    spread = float(values.var(ddof=1))
    if metric == "loss":
        return spread
    # As if one more image had changed: Laplace's rule for what was not seen yet.
    return spread + 100.0**2 / (len(values) + 1)
