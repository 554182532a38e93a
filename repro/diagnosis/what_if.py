"""What a metric would be if something were done otherwise, from a few images.

The images were evaluated both ways, so it is the difference that is estimated; what all
images of the run said as it was comes in exactly. That is the difference estimator of
two-phase sampling (Cochran, Sampling Techniques, 1977, chapter 12), for simple random
samples: those that are balanced over the classes are a little better.

What it would be with the classes renamed, all images of the run tell.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from repro.evaluation.predictions import Predictions, weighted_values
from repro.judgement.compare import evaluated_pairs
from repro.published import METRICS
from repro.published.metrics import Unit

Floats = npt.NDArray[np.float64]


class Estimate(msgspec.Struct, frozen=True):
    """A metric on all images of the dataset, in percent or nats.

    `error` is its standard error, 0 where every image was evaluated.
    """

    value: float
    error: float


def estimate(run: Predictions, trial: Predictions, metric: str) -> Estimate:
    """Estimate a metric on all images from a trial on some images.

    Args:
        run: predictions as the protocol says, of all images or a part of them.
        trial: predictions of some of these images, or of all of them and further ones,
            made otherwise.
        metric: which one.
    """
    if len(trial.labels) > len(run.labels):
        run = trial
    entry = METRICS[metric]
    before = weighted_values(run, entry)
    after = weighted_values(trial, entry, among=run)
    shared = np.searchsorted(run.indices, trial.indices)
    change = after - before[shared]
    images, evaluated = len(change), len(before)
    value = float(before.mean() + change.mean())
    # What is left to know: of the images of the run, and of those beyond it.
    variance = _variance(change, entry.unit) * (1 / images - 1 / evaluated)
    variance += _variance(after, entry.unit) * (1 / evaluated - 1 / run.total)
    return Estimate(value, math.sqrt(max(0.0, variance)))


def change_of(run: Predictions, trial: Predictions, metric: str) -> Estimate:
    """Estimate by how much a metric changes, from the images that both evaluated.

    That is known better than the metric itself where the run has a part of the images.
    """
    entry = METRICS[metric]
    ours, theirs = evaluated_pairs(run, trial)
    before = weighted_values(run, entry)[ours]
    change = weighted_values(trial, entry, among=run)[theirs] - before
    images = len(change)
    variance = _variance(change, entry.unit) * (1 / images - 1 / run.total)
    return Estimate(float(change.mean()), math.sqrt(max(0.0, variance)))


def log_likelihood(
    run: Predictions,
    trial: Predictions,
    metrics: Sequence[str],
    published: Sequence[float],
    tolerances: Sequence[float],
) -> float:
    """Say how well a trial on some images goes with published values of all of them.

    The log density of the published values, if they were made like the trial: a
    multivariate Student's t around its estimates, since metrics of the same images err
    together. A third of the tolerance counts as a further standard error, since the
    tolerance is how far an honest measurement may be off.

    As in Wilson's interval for a proportion (Journal of the American Statistical
    Association 22, 1927), changes are taken to scatter around what the published values
    ask of them, not around their own mean: a few images that hardly changed do not
    refute that others change much.

    Args:
        run: predictions as the protocol says; see `estimate`.
        trial: predictions made otherwise.
        metrics: of which values were published.
        published: these values, in percent or nats.
        tolerances: of each, in points or nats.
    """
    if len(trial.labels) > len(run.labels):
        run = trial
    entries = [METRICS[metric] for metric in metrics]
    before = np.stack([weighted_values(run, entry) for entry in entries])
    after = np.stack([weighted_values(trial, entry, among=run) for entry in entries])
    shared = np.searchsorted(run.indices, trial.indices)
    change = after - before[:, shared]
    gap = np.asarray(published) - before.mean(axis=1)
    units = [entry.unit for entry in entries]
    images, evaluated = change.shape[1], before.shape[1]
    spread = _scatter_of_changes(change, units, gap) * (1 / images - 1 / evaluated)
    unseen = 1 / evaluated - 1 / run.total
    if unseen:
        spread += _scatter_of_values(after, units, published) * unseen
    spread += np.diag((np.asarray(tolerances) / 3) ** 2)
    freedom = max(1, images - 1) if images < run.total else 1000
    return _log_density(change.mean(axis=1) - gap, spread, freedom)


def _scatter_of_changes(change: Floats, units: Sequence[Unit], gap: Floats) -> Floats:
    """Estimate how changes scatter around what the published values ask of them."""
    around = change - gap[:, None]
    scatter = around @ around.T / change.shape[1]
    for place, unit in enumerate(units):
        # So many decisions change at least, if the published value is right.
        least = unit.whole * abs(gap[place]) - gap[place] ** 2 if unit.whole else 0.0
        scatter[place, place] = max(scatter[place, place], least)
    return np.asarray(scatter)


def _scatter_of_values(
    values: Floats, units: Sequence[Unit], published: Sequence[float]
) -> Floats:
    """Estimate how values scatter: decisions as the published share says."""
    scatter = (
        np.atleast_2d(np.cov(values)) if values.shape[1] > 1 else np.eye(len(units))
    )
    scatter = np.array(np.broadcast_to(scatter, (len(units), len(units))))
    for place, (unit, value) in enumerate(zip(units, published, strict=True)):
        if unit.whole:
            least = value * (unit.whole - value)
            scatter[place, place] = max(scatter[place, place], least)
    return scatter


def _log_density(distance: Floats, spread: Floats, freedom: int) -> float:
    """Give the log density of a multivariate Student's t.

    In units of the standard errors: points and nats differ so much that scipy would
    take the direction of the loss for one in which nothing varies.
    """
    from scipy.stats import multivariate_t

    errors = np.sqrt(np.diag(spread))
    correlation = spread / np.outer(errors, errors)
    density = multivariate_t.logpdf(distance / errors, shape=correlation, df=freedom)
    return float(density - np.log(errors).sum())


def _variance(values: Floats, unit: Unit) -> float:
    """Estimate a variance, never as nothing because few images showed nothing."""
    if len(values) < 2:
        return float(unit.scale**2)
    spread = float(values.var(ddof=1))
    if unit.whole is None:
        return spread
    # As if one more image had changed: Laplace's rule for what was not seen yet.
    return spread + unit.whole**2 / (len(values) + 1)


def in_cell(gaps: Floats | float, cells: Floats | float, spreads: Floats) -> Floats:
    """How likely what is spread so far around nothing rounds to the printed digits."""
    from scipy.special import ndtr

    scale = np.maximum(spreads, 1e-12)
    cells = cells + 1e-9
    found: Floats = ndtr((gaps + cells) / scale) - ndtr((gaps - cells) / scale)
    return found


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
    renamed = best_renaming(predicted[::2], labels[::2], classes)
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
    return tuple(best_renaming(predicted, labels, classes).tolist())


def _counted(predicted: npt.NDArray[np.integer], classes: int) -> int:
    """Count the classes, with outputs of none of them that are predicted."""
    return max(classes, int(predicted.max()) + 1)


def best_renaming(
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
