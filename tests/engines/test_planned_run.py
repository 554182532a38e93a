"""A planned run decodes each photograph once, for all geometries that it will want."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from repro.cases import Case, list_cases
from repro.data import geometry
from repro.engines import local
from repro.engines.local import LocalEngine
from repro.engines.settings import EngineSettings
from repro.published import CenterCrop, Geometry, read_releases

GEOMETRIES = 12
IMAGES = 30
HEAD = """
[release]
id = "ID"
title = "R"
[source.s]
title = "S"
url = "https://example.org"
[dataset.d]
title = "D"
folder = "val"
classes = ["a", "b"]
images = 30
[model.m]
loader = "timm"
architecture = "test_resnet"
options = { num_classes = 2 }
[family.ID]
model = "m"
training_data = "none"
protocols = ["p0"]
datasets = ["d"]
"""
PART = """
[protocol.pNUMBER]
geometry = "rgb|resize(SIZE,bilinear)|center_crop(32)"
mean = [0.5, 0.5, 0.5]
std = [0.5, 0.5, 0.5]
source = "s"
[[reference]]
family = "ID"
checkpoint = "w"
dataset = "d"
protocol = "pNUMBER"
source = "s"
top1 = "50"
"""


@pytest.fixture
def cases(tmp_path: Path) -> list[Case]:
    """Two releases on the same images, six geometries each."""
    random = np.random.default_rng(0)
    for number in range(IMAGES):
        file = tmp_path / "val" / "ab"[number % 2] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (40, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(file)
    torch.manual_seed(0)
    state = timm.create_model("test_resnet", num_classes=2).state_dict()
    for name, numbers in (("x", range(6)), ("y", range(6, GEOMETRIES))):
        (tmp_path / name).mkdir()
        torch.save(state, tmp_path / name / "w.pt")
        parts = [PART.replace("SIZE", str(33 + n)) for n in numbers]
        text = HEAD + "".join(
            part.replace("NUMBER", str(n)) for n, part in enumerate(parts)
        )
        (tmp_path / f"{name}.toml").write_text(text.replace("ID", name))
    return list_cases(read_releases([tmp_path / "x.toml", tmp_path / "y.toml"]))


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Note every photograph that is decoded."""
    seen: list[Path] = []
    decode = geometry.decode

    def noted(path: Path) -> Image.Image:
        seen.append(path)
        return decode(path)

    monkeypatch.setattr(geometry, "decode", noted)
    return seen


def losses(cases: list[Case], folder: Path, cache: Path | None) -> list[float]:
    settings = EngineSettings(
        data=folder, checkpoints=folder, cache=cache, device="cpu", batch_size=16
    )
    engine = LocalEngine(settings, cases)
    return [engine.measure(case)[0].metrics.loss for case in cases]


def test_twelve_geometries_of_two_releases_cost_one_decode_of_each_photograph(
    tmp_path: Path, cases: list[Case], decoded: list[Path]
) -> None:
    assert len({case.protocol.geometry for case in cases}) == GEOMETRIES
    found = losses(cases, tmp_path, tmp_path / "cache")
    assert len(decoded) == len(set(decoded)) == IMAGES
    assert len(set(found)) == GEOMETRIES
    assert found == losses(cases, tmp_path, None)


def test_what_has_no_memory_is_decoded_again_and_gives_the_same(
    tmp_path: Path,
    cases: list[Case],
    decoded: list[Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = losses(cases, tmp_path, tmp_path / "roomy")
    decoded.clear()
    monkeypatch.setattr(local, "DECODED_AT_ONCE", 0)
    assert losses(cases, tmp_path, tmp_path / "narrow") == found
    assert len(decoded) == IMAGES * GEOMETRIES


def test_the_size_of_pixels_is_what_the_array_takes() -> None:
    parsed = Geometry((CenterCrop(20, 30),))
    assert local.stored_bytes(parsed, 7) == np.empty((7, 3, 20, 30), np.uint8).nbytes
