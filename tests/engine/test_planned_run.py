"""A planned run decodes each photograph once, for all geometries that it will want."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from benchmarks.catalogue import make_catalogue, run_planned
from repro.cases import Case, list_cases
from repro.data import geometry
from repro.data.housekeeping import list_stores
from repro.data.layout import stored_bytes
from repro.engine import sources
from repro.engine.evaluator import Evaluator
from repro.engine.settings import EngineSettings
from repro.published import CenterCrop, Geometry, read_releases

from ..conftest import Often
from ..releases import FAMILY, PLAIN, VALIDATION, release_toml, write_release

GEOMETRIES = 12
IMAGES = 30
#: Bytes on disk of a store of all images; its records take some.
ONE_STORE = IMAGES * 3 * 32 * 32 + 8000


def six_geometries(name: str, sizes: Sequence[int]) -> str:
    """Write a release of one checkpoint that resizes images to each of these sizes."""
    protocols = {
        f"p{size}": {
            **PLAIN,
            "geometry": f"rgb|resize({size},bilinear)|center_crop(32)",
        }
        for size in sizes
    }
    row = {"family": name, "checkpoint": "w", "dataset": "val", "source": "paper"}
    return release_toml(
        release={"id": name, "title": "R"},
        dataset={"val": {**VALIDATION, "classes": ["a", "b"], "images": IMAGES}},
        protocol=protocols,
        model={
            "vit": {
                "loader": "timm",
                "architecture": "test_resnet",
                "options": {"num_classes": 2},
            }
        },
        family={name: {**FAMILY, "protocols": ["p33" if name == "x" else "p39"]}},
        reference=[{**row, "protocol": name, "top1": "50"} for name in protocols],
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of images, weights and releases."""
    return tmp_path_factory.mktemp("planned")


@pytest.fixture(scope="module")
def cases(folder: Path) -> list[Case]:
    """Two releases on the same images, six geometries each."""
    random = np.random.default_rng(0)
    for number in range(IMAGES):
        file = folder / "val" / "ab"[number % 2] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (40, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(file)
    torch.manual_seed(0)
    state = timm.create_model("test_resnet", num_classes=2).state_dict()
    for name, numbers in (("x", range(6)), ("y", range(6, GEOMETRIES))):
        (folder / name).mkdir()
        torch.save(state, folder / name / "w.pt")
        content = six_geometries(name, [33 + n for n in numbers])
        write_release(folder, content, f"{name}.toml")
    return list_cases(read_releases([folder / "x.toml", folder / "y.toml"]))


@pytest.fixture(scope="module")
def plain(cases: list[Case]) -> list[float]:
    """Measure each case alone, without a cache."""
    return losses(cases, None)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Note every photograph that is decoded."""
    seen: list[Path] = []
    decode = geometry.decode

    def noted(path: Path, digest: str | None = None) -> Image.Image:
        seen.append(path)
        return decode(path, digest)

    monkeypatch.setattr(geometry, "decode", noted)
    return seen


def settings_of(folder: Path, cache: Path | None, **more: Any) -> EngineSettings:
    return EngineSettings(
        data=folder,
        checkpoints=folder,
        cache=cache,
        device="cpu",
        batch_size=16,
        workers=2,  # With half of the threads: the models are small.
        **more,
    )


def losses(cases: list[Case], cache: Path | None, **more: Any) -> list[float]:
    folder = cases[0].release.location
    engine = Evaluator(settings_of(folder, cache, **more), cases)
    return [engine.measure(case)[0].metrics.loss for case in cases]


@pytest.mark.slow
def test_twelve_geometries_of_two_releases_cost_one_decode_of_each_photograph(
    cases: list[Case], plain: list[float], decoded: list[Path], tmp_path: Path
) -> None:
    assert len({case.protocol.geometry for case in cases}) == GEOMETRIES
    found = losses(cases, tmp_path / "cache")
    assert len(decoded) == len(set(decoded)) == IMAGES
    assert len(set(found)) == GEOMETRIES
    assert found == plain


@pytest.mark.slow
def test_what_has_no_memory_is_decoded_again_and_gives_the_same(
    cases: list[Case],
    decoded: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = losses(cases, tmp_path / "roomy")
    decoded.clear()
    monkeypatch.setattr(sources, "DECODED_AT_ONCE", 0)
    assert losses(cases, tmp_path / "narrow") == found
    assert len(decoded) == IMAGES * GEOMETRIES


@pytest.mark.slow
def test_within_a_limit_stores_take_turns_and_go_when_their_last_case_is_done(
    folder: Path,
    cases: list[Case],
    plain: list[float],
    decoded: list[Path],
    tmp_path: Path,
) -> None:
    cache, limit = tmp_path / "narrow", 4 * ONE_STORE
    engine = Evaluator(settings_of(folder, cache, cache_limit=limit), cases)
    found, there = [], []
    for case in cases:
        found.append(engine.measure(case)[0].metrics.loss)
        stores = list_stores(cache)
        assert sum(store.size for store in stores) <= limit
        there.append({store.identity.geometry for store in stores})
    order = [case.protocol.geometry for case in cases]
    assert there == [set(order[n : n + 4]) for n in (0, 4, 8) for _ in range(4)]
    assert len(decoded) == 3 * IMAGES
    assert found == plain


def run_within(limit: int, cache: Path, cases: list[Case]) -> list[float]:
    return losses(cases, cache, cache_limit=limit)


@pytest.mark.slow
def test_two_processes_within_a_limit_do_not_take_stores_from_each_other(
    cases: list[Case], plain: list[float], tmp_path: Path
) -> None:
    """Each gets every second case; together their stores are larger than the limit."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, context) as pool:
        jobs = [
            pool.submit(run_within, 2 * ONE_STORE, tmp_path, cases[n::2])
            for n in range(2)
        ]
        found = [job.result() for job in jobs]
    assert found == [plain[0::2], plain[1::2]]


@pytest.mark.slow
def test_a_catalogue_of_models_decodes_each_photograph_once(
    tmp_path: Path, often: Often
) -> None:
    models, images = often(200, 24), often(500, 100)
    sizes = [f"rgb|resize({32 + n},bilinear)|center_crop(32)" for n in range(12)]
    cases = make_catalogue(
        tmp_path,
        models=models,
        images=images,
        architectures=["test_resnet", "test_efficientnet"],
        geometries=sizes,
        photograph=(64, 48),
    )
    assert len(cases) == models
    assert {case.protocol.geometry for case in cases} == set(sizes)
    decodes = run_planned(settings_of(tmp_path, tmp_path / "cache"), cases)
    assert len(decodes) == images
    assert set(decodes.values()) == {1}


def test_the_size_of_pixels_is_what_the_array_takes() -> None:
    parsed = Geometry((CenterCrop(20, 30),))
    assert (
        stored_bytes(parsed.output_size, 7) == np.empty((7, 3, 20, 30), np.uint8).nbytes
    )
