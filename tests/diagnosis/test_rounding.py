"""What another machine may round otherwise: nothing is tried, nothing is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from repro.diagnosis.accounts import may_be_rounding, number_of, values_of
from repro.diagnosis.trials import targets_of
from repro.engine.evaluator import Evaluator
from repro.engine.settings import EngineSettings
from repro.evaluation.predictions import Predictions

from .planted import planted

IMAGES = 500


def run_with_undecided(count: int) -> Predictions:
    """Predict all rightly, but for images whose two best classes are as likely."""
    labels = np.arange(IMAGES) % 10
    is_tied = np.arange(IMAGES) < count
    classes = (labels[:, None] + np.arange(5)) % 10
    classes[is_tied, :2] = classes[is_tied, 1::-1]
    return Predictions(
        indices=np.arange(IMAGES),
        labels=labels,
        classes=classes.astype(np.int32),
        losses=np.where(is_tied, np.log(2), 0.1),
        total=IMAGES,
        confidences=np.where(is_tied, 0.5, np.exp(-0.1)).astype(np.float32),
    )


@pytest.mark.parametrize(
    ("undecided", "top1", "off", "expected"),
    [
        (4, "99.40", 0.0, True),
        (4, "100.00", 0.0, True),
        # More images than are undecided, or a loss that says they were not alone.
        (4, "98.60", 0.0, False),
        (1, "100.00", 0.001, False),
    ],
)
def test_rounding_gives_as_many_images_as_are_undecided_where_the_loss_is_met(
    undecided: int, top1: str, off: float, *, expected: bool
) -> None:
    run = run_with_undecided(undecided)
    loss = f"{run.metrics().loss + off:.6f}"
    case = planted("supervised/real/320", top1=top1, top5="100.00", loss=loss)
    targets = targets_of(case.references, run, np.full(10, IMAGES // 10), 1)
    each = values_of(run)
    numbers = [number_of(run, target, each) for target in targets]
    assert may_be_rounding(numbers, run) is expected


def test_nothing_is_evaluated_again_where_rounding_will_do(tmp_path: Path) -> None:
    engine = Evaluator(EngineSettings(cache=tmp_path, device="cpu"))
    own = planted("supervised/real/320", top1="91.60", top5="99.20", loss="0.325822")
    _, run = engine.measure(own)
    wrong = int(np.flatnonzero(run.classes[:, 0] != run.labels)[0])
    assert run.confidences is not None
    # One image whose second class, the right one, is as likely as the first.
    run.classes[wrong, 1], run.losses[wrong] = run.labels[wrong], np.log(2)
    run.confidences[wrong] = 0.5
    found = run.metrics()
    case = planted(
        "supervised/real/320",
        top1=f"{found.percent('top1') + 100 / len(run.labels):.2f}",
        top5=f"{found.percent('top5'):.2f}",
        loss=f"{found.loss:.6f}",
    )
    diagnosis = engine.diagnose(case, run)
    assert (diagnosis.outcome, diagnosis.cause, diagnosis.kind) == (
        "unexplained",
        "",
        "",
    )
    assert "another machine may have rounded otherwise" in diagnosis.sentence
    assert (diagnosis.images, diagnosis.trials) == (0, ())
