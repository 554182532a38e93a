"""Of which kind a cause is: what its numbers tell, and what other cases do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest

from repro.cases import Case, published_cases
from repro.diagnosis.accounts import Number, number_of, values_of
from repro.diagnosis.findings import Trial
from repro.diagnosis.kinds import kind_of, shares_of
from repro.diagnosis.moves import SMOOTHED, Moved
from repro.diagnosis.sentences import of_kind
from repro.diagnosis.suspects import KINDS, read_topics
from repro.diagnosis.trials import judge_trial, targets_of
from repro.engine.evaluator import Evaluator
from repro.engine.settings import EngineSettings
from repro.evaluation.predictions import Predictions

from .planted import as_published, planted

IMAGES, CLASSES = 20_000, 10
Floats = np.ndarray
SUPERVISED, CLIP = "supervised/real/320", "clip/real/640"


def logits_and_labels() -> tuple[Floats, Floats]:
    """Draw what a classifier that is right most of the time may give."""
    random = np.random.default_rng(0)
    labels = np.sort(random.integers(0, CLASSES, IMAGES))
    logits = random.normal(size=(IMAGES, CLASSES)) * 1.5
    logits[np.arange(IMAGES), labels] += 4
    return logits, labels


def predictions_of(
    logits: Floats, labels: Floats, smoothing: float = 0.0
) -> Predictions:
    """Read predictions by their definitions."""
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    own = -log_p[np.arange(len(labels)), labels]
    return Predictions(
        indices=np.arange(len(labels)),
        labels=labels,
        classes=np.argsort(-logits, axis=1)[:, :5].astype(np.int32),
        losses=(1 - smoothing) * own - smoothing * log_p.mean(axis=1),
        total=len(labels),
        confidences=np.exp(log_p.max(axis=1)).astype(np.float32),
    )


LOGITS, LABELS = logits_and_labels()
NOISE = np.random.default_rng(2).normal(size=LOGITS.shape)
RUN = predictions_of(LOGITS, LABELS)
#: By topic and name what suspects predict, as those of suspects.toml may.
SUSPECTS = {
    ("loss", SMOOTHED): predictions_of(LOGITS, LABELS, 0.1),
    ("logit scale", "a logit scale of 1"): predictions_of(0.1 * LOGITS, LABELS),
    ("normalisation", "ImageNet mean/std"): predictions_of(LOGITS + NOISE, LABELS),
    ("interpolation", "bicubic interpolation"): predictions_of(
        LOGITS + 0.2 * NOISE[:, ::-1], LABELS
    ),
}

DIGITS = (2, 2, 6)
Values = Sequence[float]


def numbers_of(predictions: Predictions) -> list[float]:
    found = predictions.metrics()
    return [found.percent("top1"), found.percent("top5"), found.loss]


MEASURED = numbers_of(RUN)


def case_of(name: str, published: Values, decimals: Values = DIGITS) -> Case:
    metrics = ("top1", "top5", "loss")
    rows = zip(metrics, published, decimals, strict=True)
    return planted(name, **{m: f"{value:.{places}f}" for m, value, places in rows})


def tried(case: Case) -> tuple[list[Number], list[Trial]]:
    """Set numbers beside what was measured, and try all suspects."""
    sizes = np.bincount(LABELS, minlength=CLASSES)
    targets = targets_of(case.references, RUN, sizes, 1)
    each = values_of(RUN)
    trials = [
        judge_trial(RUN, found, targets, suspect=name, topic=topic, instead="")
        for (topic, name), found in SUSPECTS.items()
    ]
    return [number_of(RUN, target, each) for target in targets], trials


def kind(
    published: Values,
    decimals: Values = DIGITS,
    name: str = SUPERVISED,
    met: dict[str, bool] | None = None,
) -> str:
    case = case_of(name, published, decimals)
    numbers, trials = tried(case)
    found = kind_of(case, numbers, RUN, trials, met or {})
    return found.name if found else ""


def others(case: Case, diverges: str) -> dict[str, bool]:
    """Let those cases diverge whose id begins so, and all others be met."""
    return {
        other.id: not (diverges and other.id.startswith(diverges))
        for other in published_cases(case.release)
        if other.id != case.id
    }


def test_each_topic_has_a_kind_and_one_suspect_tells_the_loss_of_any_label() -> None:
    topics = read_topics()
    assert {topic.kind for topic in topics.values()} <= set(KINDS)
    assert SMOOTHED in [suspect.name for suspect in topics["loss"].suspects]


@pytest.mark.parametrize("temperature", [0.5, 6.0])
def test_other_losses_of_the_same_decisions_are_arithmetic(temperature: float) -> None:
    warmer = numbers_of(predictions_of(LOGITS * temperature, LABELS))
    assert kind(warmer) == "arithmetic"


def test_what_moves_little_leaves_whole_percents_as_they_are_whatever_it_is() -> None:
    warmer = numbers_of(predictions_of(LOGITS * 0.95, LABELS))
    assert abs(warmer[2] / MEASURED[2] - 1) < 0.05
    assert kind(warmer, decimals=(0, 0, 6)) == ""


def test_a_loss_that_is_off_in_one_row_alone_was_written_down_otherwise() -> None:
    case = case_of(SUPERVISED, MEASURED)
    published = [*MEASURED[:2], 1.6 * MEASURED[2]]
    assert kind(published, met=others(case, "supervised/")) == "arithmetic"
    assert kind(published, met=others(case, "")) == "bookkeeping"


@pytest.mark.parametrize("share", [0.03, 0.1, 0.3])
def test_labels_that_were_exchanged_are_told_by_all_three_numbers(share: float) -> None:
    random = np.random.default_rng(1)
    wrong = (LABELS + random.integers(1, CLASSES, IMAGES)) % CLASSES
    labels = np.where(random.random(IMAGES) < share, wrong, LABELS)
    case = case_of(SUPERVISED, numbers_of(predictions_of(LOGITS, labels)))
    numbers, trials = tried(case)
    found = kind_of(case, numbers, RUN, trials, {})
    assert found
    assert found.name == "labels"
    said = re.search(r"with about ([0-9.]+) %", of_kind(found, trials))
    assert said
    assert float(said[1]) == pytest.approx(100 * share, rel=0.15)


@pytest.mark.parametrize("metrics", [("top1",), ("top1", "top5")])
def test_labels_that_were_exchanged_are_looked_for_without_a_published_loss(
    metrics: tuple[str, ...],
) -> None:
    random = np.random.default_rng(1)
    labels = np.where(random.random(IMAGES) < 0.1, (LABELS + 1) % CLASSES, LABELS)
    case = case_of(SUPERVISED, numbers_of(predictions_of(LOGITS, labels)))
    numbered = tuple(r for r in case.references if r.metric in metrics)
    case = msgspec.structs.replace(case, references=numbered)
    numbers, trials = tried(case)
    assert ("loss", SMOOTHED) in [(trial.topic, trial.suspect) for trial in trials]
    kind_of(case, numbers, RUN, trials, {})


@pytest.mark.parametrize("noise", [0.5, 1.0, 2.0])
def test_what_noise_does_tells_no_kind_but_whom_it_hits_does(noise: float) -> None:
    random = np.random.default_rng(3)
    noisy = LOGITS + noise * random.normal(size=LOGITS.shape)
    published = numbers_of(predictions_of(noisy, LABELS))
    assert kind(published) in ("", "pixels or weights")
    case = case_of(SUPERVISED, published)
    assert kind(published, met=others(case, "")) == "weights"
    assert kind(published, met=others(case, "supervised/")) == "pixels"
    # Nothing but its text is the same for all checkpoints of CLIP, or its pixels.
    clip = kind(published, name=CLIP, met=others(case_of(CLIP, published), "clip/"))
    assert set(clip.split(" or ")) <= {"pixels", "text"}


def test_what_other_cases_do_is_said_and_counted() -> None:
    noisy = LOGITS + np.random.default_rng(3).normal(size=LOGITS.shape)
    case = case_of(SUPERVISED, numbers_of(predictions_of(noisy, LABELS)))
    numbers, trials = tried(case)
    alone = kind_of(case, numbers, RUN, trials, others(case, ""))
    every = kind_of(case, numbers, RUN, trials, others(case, "supervised/"))
    assert alone
    assert every
    assert "all of 29 other cases are met" in of_kind(alone, trials)
    assert (
        "all of 11 other cases with this geometry and normalisation diverge too, and "
        "all of 18 other cases without it are met"
    ) in of_kind(every, trials)


def test_of_two_kinds_the_likelier_is_said_first_and_how_probable_each_is() -> None:
    noisy = LOGITS + 0.5 * np.random.default_rng(3).normal(size=LOGITS.shape)
    case = case_of(CLIP, numbers_of(predictions_of(noisy, LABELS)))
    numbers, trials = tried(case)
    met = others(case, "clip/")
    found = kind_of(case, numbers, RUN, trials, met)
    assert found
    moved = Moved(numbers, RUN, trials, CLASSES)
    share = shares_of(case, moved, met)
    first, second = sorted(share, key=lambda kind: -share[kind])[:2]
    assert found.name == f"{first} or {second}"
    assert (
        f"a matter of {first} ({100 * share[first]:.0f} %) or {second} "
        f"({100 * share[second]:.0f} %): "
    ) in of_kind(found, trials)


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
    # A few images that another machine decides otherwise are not: nothing is.
    numbers, trials = tried(case_of(SUPERVISED, MEASURED))
    assert all(number.is_met for number in numbers)
    assert trials
