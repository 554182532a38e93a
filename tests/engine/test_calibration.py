from __future__ import annotations

import numpy as np
import pytest

from repro.cases import list_cases
from repro.engine.evaluator import Evaluator
from repro.engine.settings import EngineSettings
from repro.published import EMBEDDED, read_releases


def test_a_measurement_has_the_calibration_error_of_its_predictions() -> None:
    case = list_cases(read_releases([EMBEDDED]))[0]
    measurement, predictions = Evaluator(EngineSettings(device="cpu")).measure(case)
    assert predictions.confidences is not None
    right = predictions.classes[:, 0] == predictions.labels
    gaps = 0.0
    for number in range(20):
        low, high = number / 20, (number + 1) / 20
        inside = (predictions.confidences > low) & (predictions.confidences <= high)
        if inside.any():
            gap = right[inside].mean() - predictions.confidences[inside].mean()
            gaps += abs(float(gap)) * np.count_nonzero(inside)
    assert measurement.calibration_error == pytest.approx(gaps / 500, rel=1e-5)
    assert gaps > 0
