"""Claims are checked with what earlier runs measured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from repro.cli import cli
from repro.evaluation.predictions import Predictions
from repro.records.git import GitState
from repro.records.ledger import Ledger

from ..made_results import measurement, result

CASE = "supervised/real/{}@digits-supervised"


def write_run(folder: Path, losses: Mapping[str, float], **fields: Any) -> None:
    """Record a run in which supervised checkpoints have these mean losses."""
    with Ledger(folder, create=True) as ledger:
        uid = f"run {len(ledger.runs())}"
        run = ledger.begin(uid, len(losses), [], GitState())
        for checkpoint, loss in losses.items():
            found = predictions(loss)
            measured = measurement(found.metrics(), **fields)
            made = result(
                checkpoint,
                id=CASE.format(checkpoint),
                release="embedded",
                measurement=measured,
            )
            ledger.record(run, made, found)


def predictions(loss: float, images: int = 200) -> Predictions:
    hardness = np.random.default_rng(0).gamma(2.0, size=images)
    return Predictions(
        indices=np.arange(images),
        labels=np.zeros(images, dtype=np.int64),
        classes=np.zeros((images, 5), dtype=np.int32),
        losses=loss * hardness / hardness.mean(),
        total=images,
    )


def claim(folder: Path, name: str) -> dict[str, Any]:
    command = ["claims", "--expected", "embedded", "--ledger", str(folder), "--json"]
    output = CliRunner().invoke(cli, command, catch_exceptions=False).output
    found: dict[str, Any] = {c["id"]: c for c in json.loads(output)}[name]
    return found


SIZES = ("40", "80", "160", "320", "640", "1280")


def power_law(exponent: float) -> dict[str, float]:
    return {name: 40 * float(name) ** -exponent for name in SIZES}


def test_the_newest_measurements_count_with_their_predictions(tmp_path: Path) -> None:
    write_run(tmp_path, power_law(0.5))
    assert claim(tmp_path, "exponent-supervised-real")["verdict"] == "fails"
    write_run(tmp_path, power_law(0.78))
    found = claim(tmp_path, "exponent-supervised-real")
    assert found["verdict"] == "holds"
    assert found["findings"][0]["value"] == pytest.approx(0.78)
    assert found["findings"][0]["origin"] == "fit and images resampled"


def test_a_checkpoint_without_numbers_is_found_in_the_ledger(tmp_path: Path) -> None:
    write_run(tmp_path, power_law(0.78) | {"100": 40 * 100**-0.78})
    found = claim(tmp_path, "exponent-supervised-real")
    assert [p["images"] for p in found["curves"][0]["fit"]["points"]] == [
        *(40, 80, 100, 160, 320, 640, 1280)
    ]


def test_what_no_run_measured_is_missing(tmp_path: Path) -> None:
    losses = power_law(0.78)
    del losses["160"]
    write_run(tmp_path, losses)
    found = claim(tmp_path, "exponent-supervised-real")
    assert found["verdict"] == "missing"
    assert found["missing"] == [CASE.format("160")]


def test_a_part_of_the_images_is_no_measurement_of_all(tmp_path: Path) -> None:
    write_run(tmp_path, power_law(0.78))
    write_run(tmp_path, power_law(0.1), total=500)
    found = claim(tmp_path, "exponent-supervised-real")
    assert found["findings"][0]["value"] == pytest.approx(0.78)
