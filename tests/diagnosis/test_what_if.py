"""Estimates from a few images: right on average, and as far off as they say."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from scipy import stats

from repro.diagnosis.images import balanced_order
from repro.diagnosis.what_if import change_of, estimate, log_likelihood
from repro.evaluation.predictions import Predictions, weighted_values
from repro.published import METRICS


def part(predictions: Predictions, chosen: np.ndarray) -> Predictions:
    """Take some images of predictions, by their places."""
    chosen = np.sort(chosen)
    return Predictions(
        indices=predictions.indices[chosen],
        labels=predictions.labels[chosen],
        classes=predictions.classes[chosen],
        losses=predictions.losses[chosen],
        total=predictions.total,
    )


@pytest.mark.parametrize("metric", METRICS)
def test_all_images_give_the_value_itself(
    real_predictions: dict[str, Predictions], metric: str
) -> None:
    run, other = (
        real_predictions[f"supervised/{n}"] for n in ("synthetic/40", "real/160")
    )
    found = estimate(run, other, metric)
    assert found.value == pytest.approx(weighted_values(other, METRICS[metric]).mean())
    assert found.error == 0


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("seen", [500, 200])
def test_an_estimate_errs_as_much_as_it_says(
    real_predictions: dict[str, Predictions], metric: str, seen: int
) -> None:
    run, other = (
        real_predictions["clip/synthetic/640"],
        real_predictions["clip/real/1280"],
    )
    truth = weighted_values(other, METRICS[metric]).mean()
    random = np.random.default_rng(0)
    scores = []
    for _ in range(400):
        places = random.permutation(500)[:seen]
        whole = part(run, places)
        some = part(other, places[: seen // 5])
        found = estimate(whole, some, metric)
        scores.append((found.value - truth) / found.error)
    assert abs(np.mean(scores)) < 0.25
    assert 0.7 < np.std(scores) < 1.25


def test_every_beginning_of_the_order_is_balanced(
    real_predictions: dict[str, Predictions],
) -> None:
    run = real_predictions["supervised/real/160"]
    order = balanced_order(run.indices, run.labels)
    assert sorted(order) == sorted(run.indices)
    for images in (10, 20, 100, 250):
        counts = np.bincount(run.labels[order[:images]], minlength=10)
        assert counts.max() - counts.min() <= 1


def test_a_loss_counts_beside_accuracies_whatever_its_unit(
    real_predictions: dict[str, Predictions],
) -> None:
    run = real_predictions["clip/real/1280"]
    other = part(real_predictions["supervised/synthetic/40"], np.arange(0, 500, 50))
    metrics: tuple[str, ...] = ("top1", "top5", "loss")
    # The accuracies are known to some points, the loss to millionths of a nat.
    same = msgspec.structs.replace(other, losses=run.losses[::50] + 1e-7)
    loss = float(run.losses.mean())
    fits = [
        log_likelihood(run, same, metrics, [30.0, 60.0, value], [0.1, 0.1, 1e-5])
        for value in (loss, loss + 1e-3)
    ]
    assert fits[0] > fits[1] + 2


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("seen", [500, 200])
def test_the_change_from_a_part_errs_as_much_as_it_says(
    real_predictions: dict[str, Predictions], metric: str, seen: int
) -> None:
    run, other = (
        real_predictions["clip/synthetic/640"],
        real_predictions["clip/real/1280"],
    )
    entry = METRICS[metric]
    truth = weighted_values(other, entry).mean() - weighted_values(run, entry).mean()
    random = np.random.default_rng(0)
    scores = []
    for _ in range(400):
        places = random.permutation(500)[:seen]
        # A part of what the run has seen, and of all images.
        found = change_of(part(run, places), part(other, places[: seen // 2]), metric)
        scores.append((found.value - truth) / found.error)
    assert abs(np.mean(scores)) < 0.25
    assert 0.7 < np.std(scores) < 1.25


@pytest.mark.parametrize("metric", METRICS)
def test_of_all_images_the_change_is_the_difference_of_both_values(
    real_predictions: dict[str, Predictions], metric: str
) -> None:
    run, other = (
        real_predictions[f"supervised/{n}"] for n in ("synthetic/40", "real/160")
    )
    before, after = (weighted_values(p, METRICS[metric]).mean() for p in (run, other))
    found = change_of(run, other, metric)
    assert found.value == pytest.approx(after - before)
    assert found.error == 0


@pytest.mark.parametrize("seen", [50, 200])
def test_what_the_run_has_not_seen_errs_as_its_images_scatter(
    real_predictions: dict[str, Predictions], seen: int
) -> None:
    run, other = (
        part(real_predictions[f"clip/{name}"], np.arange(seen))
        for name in ("synthetic/640", "real/1280")
    )
    values = weighted_values(other, METRICS["loss"])
    # The standard error of a mean, of a draw without replacement from 500.
    expected = stats.sem(values) * np.sqrt(1 - seen / 500)
    assert estimate(run, other, "loss").error == pytest.approx(expected)


@pytest.mark.parametrize("images", [1, 10, 100, 250])
def test_a_part_that_shows_no_change_may_hide_one_of_an_image_it_has_not_seen(
    real_predictions: dict[str, Predictions], images: int
) -> None:
    run = real_predictions["clip/real/1280"]
    some = part(run, np.arange(images))
    # Laplace: of n images without a change the next one has it in one of n + 1 cases.
    hidden = 100**2 / (images + 1) if images > 1 else 100**2
    error = np.sqrt(hidden * (1 / images - 1 / 500))
    assert change_of(run, some, "top1").value == 0
    assert change_of(run, some, "top1").error == pytest.approx(error)
    assert estimate(run, some, "top1").error == pytest.approx(error)
