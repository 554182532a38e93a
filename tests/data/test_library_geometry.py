"""Pixels and tensors equal those of each library's own evaluation transform."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import timm
import torch
import torchvision
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from timm.data import create_transform, resolve_data_config
from torch import Tensor, nn
from torchvision.datasets.folder import default_loader

from repro.data.geometry import planar_pixels
from repro.evaluation.classifier import Classifier
from repro.importing.preprocessing import (
    Preprocessing,
    open_clip_preprocessing,
    timm_preprocessing,
    torchvision_preprocessing,
)
from repro.machine import available_cores
from repro.published import parse_geometry

from ..conftest import Often

#: Width and height; smaller than any crop, as large, larger, and thin.
SIZES = (
    *((500, 375), (375, 500), (333, 500), (224, 224), (256, 256), (255, 257)),
    *((257, 255), (288, 384), (97, 61), (61, 97), (31, 33), (640, 97), (97, 640)),
)
SAVED = (
    *(("RGB", "jpg"), ("L", "jpg"), ("CMYK", "jpg"), ("RGBA", "png"), ("P", "png")),
    *(("LA", "png"), ("1", "png"), ("I;16", "png")),
)

Transform = Callable[[Any], Tensor]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """52 files: every size, in four of the modes each."""
    folder = tmp_path_factory.mktemp("photographs")
    random = np.random.default_rng(0)
    files: list[Path] = []
    for number, (width, height) in enumerate(SIZES):
        for mode, suffix in np.roll(np.array(SAVED), number * 3, axis=0)[:4].tolist():
            coarse = random.integers(0, 256, (height // 9 + 2, width // 9 + 2, 3))
            image = Image.fromarray(coarse.astype(np.uint8)).resize((width, height), 3)
            grain = random.integers(0, 60, (height, width, 3))
            image = Image.fromarray((np.asarray(image) // 2 + grain).astype(np.uint8))
            if mode == "I;16":
                grey = np.asarray(image.convert("L"), dtype=np.uint16) * 257
                image = Image.fromarray(grey)
            elif mode in ("RGBA", "LA"):
                image.putalpha(Image.fromarray(grain[..., 0].astype(np.uint8) * 4))
                image = image.convert(mode)
            else:
                image = image.convert(mode)
            files.append(folder / f"{number}-{mode.replace(';', '')}.{suffix}")
            image.save(files[-1])
    return files


def assert_equal(
    photographs: Iterable[Path],
    transforms: Collection[tuple[Preprocessing, Transform]],
) -> None:
    """Compare each tensor with that of the library's own loader and transform.

    All geometries are made from one decode, as in a run.
    """
    geometries = [parse_geometry(g) for g in {ours.geometry for ours, _ in transforms}]

    def compare(path: Path) -> None:
        pixels = {g: np.empty((3, *g.output_size), np.uint8) for g in geometries}
        planar_pixels(path, list(pixels), list(pixels.values()))
        image = default_loader(str(path))
        for ours, transform in transforms:
            own = torch.from_numpy(pixels[parse_geometry(ours.geometry)])
            classifier = Classifier(nn.Identity(), ours.mean, ours.std, CPU)
            tensor = classifier.normalise(own[None])[0]
            wanted = transform(image.copy())
            assert torch.equal(tensor, wanted), f"{path.name} in {ours}"

    with ThreadPoolExecutor(available_cores()) as pool:
        list(pool.map(compare, photographs))


def distinct(
    transforms: Iterable[tuple[Preprocessing, Transform]],
) -> dict[str, tuple[Preprocessing, Transform]]:
    return {str(ours): (ours, transform) for ours, transform in transforms}


def of_torchvision() -> dict[str, tuple[Preprocessing, Transform]]:
    entries = [
        entry
        for name in torchvision.models.list_models(module=torchvision.models)
        for entry in torchvision.models.get_model_weights(name)
    ]
    assert len(entries) == 115
    presets = [entry.transforms() for entry in entries]
    return distinct((torchvision_preprocessing(preset), preset) for preset in presets)


def of_timm() -> dict[str, tuple[Preprocessing, Transform]]:
    found: dict[str, tuple[Preprocessing, Transform]] = {}
    for name in timm.list_pretrained():
        cfg = timm.get_pretrained_cfg(name).to_dict()
        for test_size in (False, True):
            config = resolve_data_config(pretrained_cfg=cfg, use_test_size=test_size)
            if config["input_size"][0] == 3:
                ours = timm_preprocessing(config)
                if str(ours) not in found:
                    found[str(ours)] = ours, create_transform(**config)
    return found


def of_open_clip() -> dict[str, tuple[Preprocessing, Transform]]:
    found: dict[str, tuple[Preprocessing, Transform]] = {}
    for name, tag in open_clip.list_pretrained():
        size = open_clip.get_model_config(name)["vision_cfg"]["image_size"]
        known = PreprocessCfg.__dataclass_fields__
        cfg = open_clip.get_pretrained_cfg(name, tag) | {"size": size}
        config = {key: value for key, value in cfg.items() if key in known}
        found |= one_of_open_clip(**config)
    return found


def one_of_open_clip(**config: Any) -> dict[str, tuple[Preprocessing, Transform]]:
    cfg = PreprocessCfg(**config)
    ours = open_clip_preprocessing(vars(cfg))
    return {str(ours): (ours, image_transform_v2(cfg, is_train=False))}


TIMM_MODES = [
    {"crop_mode": "center", "crop_pct": 0.875},
    {"crop_mode": "center", "crop_pct": 0.95, "interpolation": "bicubic"},
    {"crop_mode": "center", "crop_pct": 1.15, "interpolation": "nearest"},
    {"crop_mode": "squash", "crop_pct": 0.9, "interpolation": "lanczos"},
    {"crop_mode": "squash", "crop_pct": 1.0, "interpolation": "bicubic"},
    {"crop_mode": "border", "crop_pct": 0.9, "interpolation": "bicubic"},
    {"crop_mode": "border", "crop_pct": 1.0, "mean": (0.5, 0.5, 0.5)},
    # Until 1.0.30 timm resized by its default for a crop that is not square.
    {
        "crop_mode": "center",
        "crop_pct": 0.9,
        "input_size": (3, 96, 128),
        "interpolation": "bilinear",
    },
    {"crop_mode": "squash", "crop_pct": 0.9, "input_size": (3, 128, 96)},
    {"crop_mode": "border", "crop_pct": 0.965, "input_size": (3, 128, 96)},
]


@pytest.mark.parametrize(
    "args", TIMM_MODES, ids=lambda a: "-".join(map(str, a.values()))
)
def test_every_crop_mode_of_timm_gives_the_same_tensors(
    photographs: list[Path], args: dict[str, Any]
) -> None:
    size = {"input_size": (3, 112, 112)}
    config = resolve_data_config(size | args)
    ours = timm_preprocessing(config)
    assert_equal(photographs, [(ours, create_transform(**config))])


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear", "random"])
@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("size", [112, (96, 128)], ids=str)
def test_every_resize_mode_of_open_clip_gives_the_same_tensors(
    photographs: list[Path], size: Any, mode: str, interpolation: str
) -> None:
    one = one_of_open_clip(
        size=size, resize_mode=mode, interpolation=interpolation, fill_color=7
    )
    assert_equal(photographs[::3], one.values())


@pytest.mark.slow
def test_every_preset_of_torchvision_gives_the_same_tensors_for_a_few_photographs(
    photographs: list[Path],
) -> None:
    assert_equal(photographs[::13], of_torchvision().values())


@pytest.mark.slow
@pytest.mark.parametrize("library", [of_torchvision, of_timm, of_open_clip])
def test_every_published_preprocessing_gives_the_same_tensors(
    photographs: list[Path],
    library: Callable[[], dict[str, tuple[Preprocessing, Transform]]],
    often: Often,
) -> None:
    # One of each size, and every mode among them, or all.
    step = len(photographs) // often(52, 13)
    assert_equal(photographs[::step], library().values())


def test_the_padding_of_timms_border_mode_has_the_colour_of_the_mean() -> None:
    config = resolve_data_config({"crop_mode": "border", "input_size": (3, 20, 20)})
    ours = parse_geometry(timm_preprocessing(config).geometry)
    assert str(ours) == "rgb|contain(22,bicubic)|center_crop(20,124,116,104)"


def test_an_image_thinner_than_a_pixel_keeps_one(tmp_path: Path) -> None:
    Image.new("RGB", (1, 500), "white").save(tmp_path / "thin.png")
    pixels = np.empty((3, 20, 20), np.uint8)
    geometry = parse_geometry("rgb|contain(20,bicubic)|center_crop(20)")
    planar_pixels(tmp_path / "thin.png", [geometry], [pixels])
    assert pixels.sum() == 3 * 20 * 255


@pytest.mark.parametrize(
    ("read", "config", "message"),
    [
        (timm_preprocessing, {"crop_mode": "corner"}, "timm's crop mode 'corner'"),
        (timm_preprocessing, {"interpolation": "random"}, "interpolation 'random'"),
        (open_clip_preprocessing, {"resize_mode": "area"}, "resize mode 'area'"),
    ],
)
def test_what_no_geometry_expresses_is_refused(
    read: Callable[[Any], Preprocessing], config: dict[str, str], message: str
) -> None:
    base = vars(PreprocessCfg()) | resolve_data_config({"input_size": (3, 20, 20)})
    with pytest.raises(ValueError, match=message):
        read(base | config)
