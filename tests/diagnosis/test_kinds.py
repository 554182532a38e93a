"""Of which kind a cause is, where three numbers can tell that."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from repro.diagnosis.findings import Restored, Trial
from repro.diagnosis.kinds import SMOOTHED, kind_of
from repro.diagnosis.sentences import of_kind
from repro.diagnosis.suspects import read_topics
from repro.engine.evaluator import Evaluator
from repro.engine.settings import EngineSettings

from .planted import as_published, planted

IMAGES, CLASSES = 20_000, 10
Floats = np.ndarray


def logits_and_labels() -> tuple[Floats, Floats]:
    """Draw what a classifier that is right most of the time may give."""
    random = np.random.default_rng(0)
    labels = random.integers(0, CLASSES, IMAGES)
    logits = random.normal(size=(IMAGES, CLASSES)) * 1.5
    logits[np.arange(IMAGES), labels] += 4
    return logits, labels


def numbers_of(logits: Floats, labels: Floats, smoothing: float = 0.0) -> list[float]:
    """Give top-1, top-5 and loss by their definitions."""
    order = np.argsort(-logits, axis=1)
    hits = order[:, :5] == labels[:, None]
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    own = -log_p[np.arange(len(labels)), labels]
    losses = (1 - smoothing) * own - smoothing * log_p.mean(axis=1)
    return [100 * hits[:, 0].mean(), 100 * hits.sum() / len(labels), losses.mean()]


LOGITS, LABELS = logits_and_labels()
MEASURED = numbers_of(LOGITS, LABELS)


DIGITS = (2, 2, 6)


def trials_of(
    published: list[float], error: float = 0.0, decimals: tuple[int, ...] = DIGITS
) -> list[Trial]:
    """Try smoothed labels where these numbers are published."""
    smoothed = numbers_of(LOGITS, LABELS, smoothing=0.1)
    pairs = zip(published, decimals, strict=True)
    digits = [f"{value:.{places}f}" for value, places in pairs]
    rows = zip(("top1", "top5", "loss"), digits, MEASURED, smoothed, strict=True)
    restored = tuple(
        Restored(
            metric=metric,
            published=text,
            measured=measured,
            value=value,
            error=error if metric == "loss" else 0.0,
            share=None,
            is_met=False,
        )
        for metric, text, measured, value in rows
    )
    return [
        Trial(
            suspect=SMOOTHED,
            topic="loss",
            instead="",
            images=IMAGES,
            compared=IMAGES,
            restored=restored,
            gained=0,
            lost=0,
            p=1.0,
            fit=-20.0,
            outcome="unexplained",
        )
    ]


def kind(published: list[float], error: float = 0.0) -> str:
    found = kind_of(trials_of(published, error), CLASSES, IMAGES)
    return found.name if found else ""


def test_the_suspect_that_kinds_are_told_by_is_one() -> None:
    assert SMOOTHED in [suspect.name for suspect in read_topics()["loss"].suspects]


@pytest.mark.parametrize("temperature", [0.5, 6.0])
def test_other_losses_of_the_same_decisions_are_arithmetic(temperature: float) -> None:
    assert kind(numbers_of(LOGITS * temperature, LABELS)) == "arithmetic"


def test_losses_that_moved_a_little_may_be_of_any_kind() -> None:
    top1, top5, loss = MEASURED
    assert kind([top1, top5, 1.03 * loss]) == ""


@pytest.mark.parametrize("share", [0.03, 0.1, 0.3])
def test_labels_that_were_exchanged_are_told_by_all_three_numbers(share: float) -> None:
    random = np.random.default_rng(1)
    wrong = (LABELS + random.integers(1, CLASSES, IMAGES)) % CLASSES
    labels = np.where(random.random(IMAGES) < share, wrong, LABELS)
    published = numbers_of(LOGITS, labels)
    assert kind(published) == "labels"
    # Where the loss of a label that is wrong is not known, nothing is said.
    assert kind(published, error=0.5) == ""
    found = kind_of(trials_of(published), CLASSES, IMAGES)
    assert found
    said = re.search(r"with about ([0-9.]+) %", of_kind(found, trials_of(published)))
    assert said
    assert float(said[1]) == pytest.approx(100 * share, rel=0.15)


@pytest.mark.parametrize("noise", [0.5, 1.0, 2.0])
def test_logits_that_are_noisier_are_no_wrong_labels(noise: float) -> None:
    random = np.random.default_rng(2)
    noisy = LOGITS + noise * random.normal(size=LOGITS.shape)
    assert kind(numbers_of(noisy, LABELS)) == ""


@pytest.mark.slow
def test_a_kind_is_said_in_place_of_looking_at_more_images(tmp_path: Path) -> None:
    numbers = {
        reference.metric: reference.published
        for reference in as_published("supervised/real/160").references
    }
    case = planted(
        "supervised/real/160",
        top1=f"{float(numbers['top1'].value) - 4:.2f}",
        top5=f"{float(numbers['top5'].value) - 3:.2f}",
        loss=numbers["loss"].digits,
    )
    settings = EngineSettings(cache=tmp_path, device="cpu", diagnose_share=0.03)
    engine = Evaluator(settings)
    _, predictions = engine.measure(case)
    found = engine.diagnose(case, predictions)
    assert (found.outcome, found.kind, found.cause) == (
        "unexplained",
        "bookkeeping",
        "",
    )
    assert "a matter of bookkeeping" in found.sentence
    assert "--repro-diagnose-share" not in found.advice


def test_counts_that_are_off_where_the_loss_is_met_are_bookkeeping() -> None:
    top1, top5, loss = MEASURED
    assert kind([top1 - 2, top5 - 1, loss]) == "bookkeeping"
    # A few images that another machine decides otherwise are not.
    assert kind([top1 - 0.02, top5, loss]) == ""
    assert kind_of([], CLASSES, IMAGES) is None


def test_numbers_of_few_digits_are_met_by_much_and_tell_nothing() -> None:
    top1, top5, loss = MEASURED
    counts = trials_of([top1 - 2, top5 - 1, loss], decimals=(2, 2, 2))
    assert kind_of(counts, CLASSES, IMAGES) is None
    warmer = numbers_of(LOGITS * 0.5, LABELS)
    assert kind_of(trials_of(warmer, decimals=(0, 0, 6)), CLASSES, IMAGES) is None
    assert kind_of(trials_of(warmer, decimals=(1, 1, 6)), CLASSES, IMAGES)
