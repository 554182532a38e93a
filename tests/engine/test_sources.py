"""The files of a case are found and hashed once, and again where they may be others."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from repro.cases import list_cases
from repro.engine.evaluator import Evaluator
from repro.engine.protocol import find_engine
from repro.engine.settings import EngineSettings
from repro.errors import NotAvailableError, WeightsError
from repro.models.weights import WeightsFile, verify_weights
from repro.published import EMBEDDED, read_releases

CASE = next(c for c in list_cases(read_releases([EMBEDDED])) if c.kind == "supervised")


def engine_of(checkpoints: Path | None = None) -> Evaluator:
    return Evaluator(EngineSettings(checkpoints=checkpoints, device="cpu", limit=50))


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """List the weights files that are hashed."""
    found: list[Path] = []

    def watched(path: Path, cache: Path | None) -> WeightsFile:
        found.append(path)
        return verify_weights(path, cache)

    monkeypatch.setattr("repro.engine.sources.verify_weights", watched)
    return found


def test_a_key_and_the_measurement_after_it_hash_the_weights_once(
    hashed: list[Path],
) -> None:
    engine = engine_of()
    key = engine.key(CASE)
    measurement, _ = engine.measure(CASE)
    assert measurement.key == key.digest
    assert len(hashed) == 1


def test_weights_that_were_replaced_after_a_measurement_have_another_key(
    tmp_path: Path, hashed: list[Path]
) -> None:
    folder = tmp_path / CASE.family.id
    shutil.copytree(EMBEDDED / "checkpoints" / CASE.family.id, folder)
    own = folder / f"{CASE.checkpoint}.pt"
    engine = engine_of(tmp_path)
    before = engine.key(CASE)
    engine.measure(CASE)
    own.write_bytes(own.read_bytes()[:-4])
    with pytest.raises(WeightsError):
        engine.key(CASE)
    shutil.copy(EMBEDDED / "checkpoints" / CASE.family.id / own.name, own)
    assert engine.key(CASE).weights_sha256 == before.weights_sha256
    assert len(hashed) == 3


def test_a_local_engine_misses_weights_before_it_makes_an_evaluator(
    tmp_path: Path,
) -> None:
    # Such a device is refused by whoever makes an evaluator.
    settings = EngineSettings(checkpoints=tmp_path, device="no such device")
    with pytest.raises(NotAvailableError, match="no weights"):
        find_engine("local")(settings).key(CASE)
