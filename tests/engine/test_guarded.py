"""Guarded precision of a model on images, against float32 of the same."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from PIL import Image

from repro.cases import Case, list_cases
from repro.engine import guarding
from repro.engine.evaluator import Evaluator
from repro.engine.settings import EngineSettings
from repro.evaluation.classifier import Classifier
from repro.evaluation.evaluate import evaluate
from repro.evaluation.predictions import Predictions
from repro.judgement import guarded
from repro.judgement.verdict import Verdict
from repro.published import GUARDED, METRICS, printed, read_releases
from repro.records.predictions import RunFolder, decode_predictions, encode_predictions
from repro.records.result import Measurement, judge
from tests.made_releases import reference
from tests.releases import FAMILY, PLAIN, VALIDATION, release_toml, write_release

CODE = """
from torch import nn

def net():
    return nn.Sequential(
        nn.Conv2d(3, 32, 5, stride=3), nn.GELU(), nn.Flatten(), nn.Linear(512, 256),
        nn.GELU(), nn.Linear(256, 256), nn.GELU(), nn.Linear(256, 8),
    )
"""
CLASSES = tuple(f"class{number}" for number in range(8))
IMAGES = 2400


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a release of one checkpoint whose classes are told apart, mostly."""
    folder = tmp_path_factory.mktemp("guarded")
    random = np.random.default_rng(0)
    kinds = random.integers(40, 216, (len(CLASSES), 4, 4, 3))
    for number in range(IMAGES):
        kind = number % len(CLASSES)
        shades = kinds[kind].repeat(4, 0).repeat(4, 1)
        pixels = shades + random.normal(0, 250, (16, 16, 3))
        place = folder / "data/val" / CLASSES[kind]
        place.mkdir(parents=True, exist_ok=True)
        found = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
        found.save(place / f"{number}.png")
    file = write_release(
        folder / "expected",
        release_toml(
            dataset={"val": {**VALIDATION, "classes": CLASSES, "images": IMAGES}},
            protocol={"plain": {**PLAIN, "geometry": "rgb|center_crop(16)"}},
            model={
                "net": {"loader": "python", "code": "net.py", "architecture": "net"}
            },
            family={"own": {**FAMILY, "model": "net"}},
        ),
    )
    (file.parent / "net.py").write_text(CODE)
    (folder / "weights/own").mkdir(parents=True)
    torch.save(_fitted(folder / "data/val"), folder / "weights/own/one.pt")
    return folder


def _fitted(images: Path) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    names: dict[str, object] = {}
    exec(CODE, names)
    net = names["net"]()  # type: ignore[operator]
    files = sorted(images.rglob("*.png"))[::4]
    read = np.stack([np.asarray(Image.open(file)) for file in files])
    pixels = torch.from_numpy(read).permute(0, 3, 1, 2).float() / 255
    labels = torch.tensor([CLASSES.index(file.parent.name) for file in files])
    optimiser = torch.optim.AdamW(net.parameters(), 1e-3)
    for _ in range(12):
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(net((pixels - 0.5) / 0.5), labels)
        torch.autograd.backward([loss])
        optimiser.step()
    with torch.no_grad():
        net[-1].weight.mul_(3)
    weights: dict[str, torch.Tensor] = net.state_dict()
    return weights


@pytest.fixture
def case(folder: Path) -> Case:
    """The checkpoint, with no published number."""
    release = read_releases([folder / "expected"])
    (case,) = list_cases(release, checkpoints=folder / "weights")
    return msgspec.structs.replace(case, references=())


@pytest.fixture
def forced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guard whatever is slow here, and few images."""
    monkeypatch.setattr(guarding, "LEAST_IMAGES", 0)
    monkeypatch.setattr(guarding, "PAYS", float("inf"))


def engine(folder: Path, precision: str | None, **more: object) -> Evaluator:
    settings = EngineSettings(
        data=folder / "data",
        checkpoints=folder / "weights",
        cache=folder / "cache",
        device="cpu",
        run_code=True,
        precision=precision,  # type: ignore[arg-type]
    )
    return Evaluator(msgspec.structs.replace(settings, **more))


def measured(
    folder: Path, case: Case, precision: str | None, **more: object
) -> tuple[Measurement, Predictions]:
    return engine(folder, precision, **more).measure(case)


def differing(first: Predictions, second: Predictions) -> list[int]:
    return [
        int((METRICS[name].each(first) != METRICS[name].each(second)).sum())
        for name in ("top1", "top5")
    ]


@pytest.mark.usefixtures("forced")
def test_a_bar_is_not_full_before_the_last_image_is_computed_again(
    folder: Path, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = [0]
    exact: list[int] = []

    def watched(*arguments: object, **more: object) -> Predictions:
        if getattr(arguments[0], "precision", None) == "fp32":
            exact.append(shown[-1])
        return evaluate(*arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(guarding, "evaluate", watched)
    engine(folder, GUARDED).measure(case, lambda n: shown.append(shown[-1] + n))
    assert exact
    assert max(exact) < IMAGES
    assert max(shown) == shown[-1] == IMAGES


@pytest.mark.usefixtures("forced")
def test_decisions_are_those_of_float32_where_cheap_ones_are_not(
    folder: Path, case: Case
) -> None:
    exact, expected = measured(folder, case, None)
    found, predictions = measured(folder, case, GUARDED)
    _, cheap = measured(folder, case, "amp-bf16")
    assert sum(differing(cheap, expected)) > 0
    assert differing(predictions, expected) == [0, 0]
    assert 0.3 < exact.metrics.top1 / IMAGES < 0.97
    assert found.metrics.loss == pytest.approx(exact.metrics.loss, abs=2e-3)
    said = found.guarded
    assert said
    assert said.cheap == "amp-bf16"
    assert said.recomputed < IMAGES
    assert predictions.recomputed is not None
    assert said.recomputed == predictions.recomputed.sum()
    again = predictions.recomputed
    assert predictions.losses[again] == pytest.approx(expected.losses[again], abs=1e-5)
    assert found.precision == "fp32"
    assert found.calibration_error is None
    assert found.key != exact.key
    kept = decode_predictions(encode_predictions(predictions))
    assert kept.recomputed is not None
    assert np.array_equal(kept.recomputed, again)


@pytest.mark.usefixtures("forced")
def test_decisions_are_the_same_whatever_the_size_of_batches(
    folder: Path, case: Case
) -> None:
    _, first = measured(folder, case, GUARDED, batch_size=7)
    _, second = measured(folder, case, GUARDED, batch_size=64)
    assert differing(first, second) == [0, 0]


def test_where_it_does_not_pay_it_is_the_measurement_of_float32(
    folder: Path, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact, expected = measured(folder, case, None)
    monkeypatch.setattr(guarding, "LEAST_IMAGES", IMAGES + 1)
    found, predictions = measured(folder, case, GUARDED)
    assert "2,400 images are too few" in found.arithmetic
    monkeypatch.setattr(guarding, "LEAST_IMAGES", 0)
    monkeypatch.setattr(guarding, "PAYS", 0.0)
    slow, _ = measured(folder, case, GUARDED)
    assert "guarded does not pay here: amp-bf16 takes" in slow.arithmetic
    unkept, _ = measured(folder, case, GUARDED, cache=None)
    assert "decoded several times" in unkept.arithmetic
    assert exact.key == found.key == slow.key == unkept.key
    assert differing(predictions, expected) == [0, 0]
    assert predictions.recomputed is None


def test_where_weights_of_both_do_not_fit_it_is_the_measurement_of_float32(
    folder: Path, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        Classifier, "computed_in", lambda self, precision: torch.empty(2**56)
    )
    found, predictions = measured(folder, case, GUARDED)
    assert "the memory of cpu is too small for weights in both" in found.arithmetic
    assert predictions.recomputed is None


@pytest.mark.usefixtures("forced")
def test_a_measurement_in_float32_serves_whoever_asks_for_a_guarded_one(
    folder: Path, case: Case, tmp_path: Path
) -> None:
    run = RunFolder(tmp_path / "run-1")
    plain, mixed = engine(folder, None), engine(folder, GUARDED)
    first, _ = run.measure_once(plain.key(case), lambda: plain.measure(case))
    taken, _ = run.measure_once(mixed.key(case), pytest.fail)
    assert taken.key == first.key
    # But not the other way round.
    other = RunFolder(tmp_path / "run-2")
    once, _ = other.measure_once(mixed.key(case), lambda: mixed.measure(case))
    again, _ = other.measure_once(plain.key(case), lambda: plain.measure(case))
    assert once.key != again.key == first.key
    kept, predictions = other.measure_once(mixed.key(case), pytest.fail)
    assert kept.guarded == once.guarded or kept.key == first.key
    assert predictions.margins is None


@pytest.mark.usefixtures("forced")
def test_a_hopeless_case_ends_where_it_ends_in_float32(
    folder: Path, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarded, "LEAST_SAMPLE", 120)
    monkeypatch.setattr(guarded, "MOST", 1.0)
    number = msgspec.structs.replace(reference("own"), published=printed("3.0"))
    hopeless = msgspec.structs.replace(case, references=(number,))
    exact, expected = measured(folder, hopeless, None, early_stop=True)
    found, predictions = measured(folder, hopeless, GUARDED, early_stop=True)
    assert exact.stopped_early
    assert found.stopped_early
    assert found.is_guarded
    assert np.array_equal(predictions.indices, expected.indices)
    assert differing(predictions, expected) == [0, 0]


@pytest.mark.usefixtures("forced")
def test_a_loss_that_is_not_known_well_enough_settles_nothing(
    folder: Path, case: Case
) -> None:
    number = reference("own", metric="loss")
    found, _ = measured(folder, case, GUARDED)
    assert judge(number, case.release, found).verdict is Verdict.INCONCLUSIVE
    wanted = msgspec.structs.replace(case, references=(number,))
    settled, _ = measured(folder, wanted, GUARDED)
    assert judge(number, case.release, settled).verdict.is_divergence


@pytest.mark.usefixtures("forced")
def test_what_was_published_in_another_precision_is_computed_in_it(
    folder: Path, case: Case
) -> None:
    protocol = msgspec.structs.replace(case.protocol, precision="amp-bf16")
    mixed = msgspec.structs.replace(case, protocol=protocol)
    found, _ = measured(folder, mixed, GUARDED)
    assert found.precision == "amp-bf16"
    assert found.guarded is None
