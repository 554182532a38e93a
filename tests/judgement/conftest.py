"""Real predictions: some checkpoints of the embedded release, evaluated once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from repro.cases import Case, list_cases
from repro.evaluation.predictions import Predictions
from repro.published import EMBEDDED, Reference, printed, read_releases

#: From bad to nearly perfect, both kinds.
CHECKPOINTS = (
    "supervised/synthetic/40",
    "supervised/real/160",
    "clip/synthetic/640",
    "clip/real/1280",
)


@pytest.fixture(scope="session")
def cases() -> dict[str, Case]:
    """The cases of the embedded release by checkpoint (`family/name`)."""
    listed = list_cases(read_releases([EMBEDDED]))
    return {case.id.partition("@")[0]: case for case in listed}


@pytest.fixture(scope="session")
def real_predictions(
    cases: dict[str, Case], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Predictions]:
    """Predictions of 500 images, 50 of each of 10 classes, by checkpoint."""
    from repro.engine.evaluator import Evaluator
    from repro.engine.settings import EngineSettings

    cache: Path = tmp_path_factory.mktemp("cache")
    engine = Evaluator(EngineSettings(cache=cache, device="cpu"))
    return {name: engine.measure(cases[name])[1] for name in CHECKPOINTS}


def reference(published: str, metric: str = "top1", **fields: Any) -> Reference:
    """Make a published number of no checkpoint."""
    values: dict[str, Any] = {
        "families": ("f",),
        "checkpoint": "c",
        "dataset": "d",
        "protocol": "p",
        "source": "s",
    }
    return Reference(
        metric=metric,
        published=printed(published),
        **(values | fields),
    )


def drawn(
    values: npt.NDArray[np.generic], per_class: int, random: np.random.Generator
) -> npt.NDArray[np.generic]:
    """Draw a stratified sample without replacement: `[C, n]` to `[C * per_class]`."""
    order = np.argsort(random.random(values.shape), axis=1)[:, :per_class]
    return np.take_along_axis(values, order, axis=1).ravel()


def by_class(
    predictions: Predictions, values: npt.NDArray[np.generic]
) -> npt.NDArray[np.generic]:
    """Arrange values of images by class: `[C, n]`, for classes of equal size."""
    order = np.argsort(predictions.labels, kind="stable")
    return values[order].reshape(len(np.unique(predictions.labels)), -1)
