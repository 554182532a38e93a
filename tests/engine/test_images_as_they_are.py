"""Images that no resize touches: in colour, grey, padded, and of two sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from torch import Tensor, nn
from torchvision import transforms

from repro.cases import Case, list_cases
from repro.cli import cli
from repro.engine.evaluator import Evaluator
from repro.engine.settings import EngineSettings
from repro.errors import DatasetError, EvaluationError, ExpectedError
from repro.published import read_releases
from tests.releases import FAMILY, PLAIN, VALIDATION, release_toml, write_release

CODE = """
from torch import nn

def net(channels=3):
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(3),
        nn.Flatten(), nn.Linear(36, 2),
    )
"""
GREY = {"mean": [0.1307], "std": [0.3081]}
COLOUR = {"mean": [0.4914, 0.4822, 0.4465], "std": [0.2, 0.19, 0.2]}
PADDED = "grey|center_crop(32)"
#: Of each geometry: what a script does, and mean and std.
SCRIPTS: dict[str, tuple[list[Any], dict[str, list[float]]]] = {
    "rgb": ([], COLOUR),
    "grey": ([transforms.Grayscale()], GREY),
    PADDED: ([transforms.Grayscale(), transforms.Pad(2)], GREY),
}


def net(channels: int) -> nn.Module:
    names: dict[str, Any] = {}
    exec(CODE, names)
    torch.manual_seed(channels)
    model: nn.Module = names["net"](channels)
    return model.eval()


def write_images(folder: Path) -> None:
    """Write ten images of 28 x 28, half of them grey files."""
    random = np.random.default_rng(0)
    for number in range(10):
        shape = (28, 28, 3) if number % 2 else (28, 28)
        pixels = random.integers(0, 256, shape, dtype=np.uint8)
        place = folder / "val" / ("cat", "dog")[number // 5]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place / f"{number}.png")


def case_of(folder: Path, geometry: str, channels: int) -> Case:
    _, numbers = SCRIPTS[geometry]
    text = release_toml(
        dataset={"val": {**VALIDATION, "images": 10}},
        protocol={"plain": {**PLAIN, "geometry": geometry, **numbers}},
        model={
            "net": {
                "loader": "python",
                "code": "net.py",
                "architecture": "net",
                "options": {"channels": channels},
            }
        },
        family={"own": {**FAMILY, "model": "net"}},
    )
    file = write_release(folder / "expected", text)
    (file.parent / "net.py").write_text(CODE)
    (folder / "weights/own").mkdir(parents=True)
    torch.save(net(channels).state_dict(), folder / "weights/own/one.pt")
    write_images(folder / "data")
    (case,) = list_cases(read_releases([file]), checkpoints=folder / "weights")
    return case


def engine(folder: Path, cache: Path | None) -> Evaluator:
    return Evaluator(
        EngineSettings(
            data=folder / "data",
            checkpoints=folder / "weights",
            cache=cache,
            device="cpu",
            run_code=True,
            accelerate=(),
        )
    )


def plain_loop(folder: Path, geometry: str) -> dict[str, Tensor]:
    steps, numbers = SCRIPTS[geometry]
    transform = transforms.Compose(
        [*steps, transforms.ToTensor(), transforms.Normalize(**numbers)]
    )
    model = net(len(numbers["mean"]))
    with torch.inference_mode():
        return {
            str(file.relative_to(folder / "data/val")): model(
                transform(Image.open(file).convert("RGB"))[None]
            )[0]
            for file in (folder / "data/val").glob("*/*.png")
        }


@pytest.mark.parametrize("geometry", SCRIPTS)
@pytest.mark.parametrize("is_cached", [False, True])
def test_logits_are_those_of_a_plain_loop(
    geometry: str, is_cached: bool, tmp_path: Path
) -> None:
    case = case_of(tmp_path, geometry, len(SCRIPTS[geometry][1]["mean"]))
    one = engine(tmp_path, tmp_path / "cache" if is_cached else None)
    _, predictions = one.measure(case)
    wanted = plain_loop(tmp_path, geometry)
    dataset = one.dataset(case)
    for place, index in enumerate(predictions.indices.tolist()):
        logits = wanted[dataset.files[index]]
        assert predictions.classes[place, 0] == int(logits.argmax())
        loss = nn.functional.cross_entropy(logits, torch.tensor(dataset.labels[index]))
        assert predictions.losses[place] == pytest.approx(float(loss), abs=1e-5)
    assert len(predictions.indices) == 10


def test_images_of_another_size_are_a_sentence(tmp_path: Path) -> None:
    case = case_of(tmp_path, "rgb", 3)
    Image.new("RGB", (30, 28)).save(tmp_path / "data/val/cat/1.png")
    with pytest.raises(DatasetError, match=r"uses them as they are; write which resiz"):
        engine(tmp_path, None).measure(case)


def test_a_grey_model_is_not_given_three_channels(tmp_path: Path) -> None:
    case = case_of(tmp_path, "rgb", 1)
    with pytest.raises(EvaluationError, match="the model refuses images of 28 x 28"):
        engine(tmp_path, None).measure(case)


def test_three_numbers_are_not_those_of_a_grey_image(tmp_path: Path) -> None:
    protocol = {**PLAIN, "geometry": "grey", **COLOUR}
    file = write_release(tmp_path, release_toml(protocol={"plain": protocol}))
    with pytest.raises(ExpectedError, match="has one channel, so write one number"):
        read_releases([file])


def test_a_release_of_grey_images_begins_with_one_channel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case_of(tmp_path, "grey", 1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REPRO_CACHE", str(tmp_path / "cache"))
    (tmp_path / "made").mkdir()
    code = CODE.replace("channels=3", "channels=1")
    (tmp_path / "made/net.py").write_text(code)
    result = CliRunner().invoke(
        cli,
        [
            *("new", "own", "--weights=weights/own", "--images=data/val"),
            "--code=made/net.py",
        ],
    )
    assert result.exit_code == 0, result.output
    (release,) = read_releases([Path("expected/own")])
    (protocol,) = release.protocols.values()
    assert protocol.geometry == "grey"
    text = Path("expected/own/release.toml").read_text()
    assert len(set(protocol.mean)) == 1
    assert f"mean = [{protocol.mean[0]}]" in text
