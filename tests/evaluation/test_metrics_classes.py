"""Accuracy by class and with restricted classes agrees with torchmetrics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional
from torchmetrics.functional.classification import multiclass_accuracy

from repro.evaluation.classifier import Classifier
from repro.evaluation.predictions import (
    class_accuracy,
    join,
    load_predictions,
    save_predictions,
)

from .made_predictions import predictions_of, random_logits


@given(st.integers(1, 200), st.integers(2, 12), st.integers(0, 2**31))
@settings(max_examples=25)
def test_accuracy_by_class_agrees_with_torchmetrics(
    images: int, classes: int, seed: int
) -> None:
    logits, labels = random_logits(images, classes, seed)
    theirs = multiclass_accuracy(logits, labels, classes, average=None).numpy()
    ours = class_accuracy(predictions_of(logits, labels), classes)
    there = np.bincount(labels.numpy(), minlength=classes) > 0
    assert ours[there] == pytest.approx(100 * theirs[there], abs=1e-3)
    assert np.isnan(ours[~there]).all()


@given(st.integers(2, 12), st.integers(0, 2**31), st.data())
@settings(max_examples=25)
def test_restricted_classes_are_the_others_made_impossible(
    classes: int, seed: int, data: st.DataObject
) -> None:
    columns = data.draw(
        st.lists(st.integers(0, classes - 1), min_size=1, unique=True), "columns"
    )
    logits, _ = random_logits(50, classes, seed)
    classifier = Classifier(
        lambda images: logits,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        device=torch.device("cpu"),
        columns=columns,
    )
    labels = torch.arange(50) % len(columns)
    ours = predictions_of(
        classifier(torch.zeros(50, 3, 2, 2, dtype=torch.uint8)), labels
    ).metrics()
    impossible = torch.full_like(logits, -torch.inf)
    impossible[:, columns] = logits[:, columns]
    wanted = torch.tensor(columns)[labels]
    accuracy = multiclass_accuracy(impossible, wanted, classes, average="micro")
    assert ours.top1 == round(50 * float(accuracy))
    loss = functional.cross_entropy(impossible.double(), wanted)
    assert ours.loss == pytest.approx(float(loss))


def test_confidences_are_kept_in_order_and_on_disk(tmp_path: Path) -> None:
    logits, labels = random_logits(10, 4, 1)
    whole = predictions_of(logits, labels)
    parts = [predictions_of(logits[half], labels[half]) for half in _HALVES]
    for part, half in zip(parts, _HALVES, strict=True):
        part.indices[:] = np.arange(10)[half]
    joined = join(parts)
    save_predictions(joined, tmp_path / "kept.npz")
    kept = load_predictions(tmp_path / "kept.npz")
    assert kept.confidences is not None
    assert whole.confidences is not None
    assert np.array_equal(kept.confidences, whole.confidences)


_HALVES = (slice(1, None, 2), slice(0, None, 2))
