"""What several test modules build: photographs, datasets, small models."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from repro.data.dataset import Dataset, index_dataset
from repro.models.state import StateDict, read_contents
from repro.published import DatasetSpec, ModelSpec

if TYPE_CHECKING:
    from torch import nn

Random = np.random.Generator


def photograph(seed: int, width: int, height: int) -> Image.Image:
    """Draw an RGB picture with what photographs have: shades, edges, grain, text."""
    random = np.random.default_rng(seed)
    image = Image.fromarray(_shades(random, width, height))
    draw = ImageDraw.Draw(image)
    for _ in range(random.integers(2, 9)):
        left, top = random.uniform(-0.2, 0.9, 2) * (width, height)
        right, bottom = (left, top) + random.uniform(0.1, 0.6, 2) * (width, height)
        colour = tuple(random.integers(0, 256, 3).tolist())
        shape: Callable[..., None] = (
            draw.rectangle if random.random() < 0.5 else draw.ellipse
        )
        shape((left, top, right, bottom), fill=colour, outline="black")
    for _ in range(3):
        place = tuple((random.random(2) * (width, height)).tolist())
        draw.text(place, f"photograph {seed}", fill="white")
    grain = random.normal(0, random.uniform(0, 20), (height, width, 1))
    return Image.fromarray(np.uint8((np.asarray(image) + grain).clip(0, 255)))


def _shades(random: Random, width: int, height: int) -> npt.NDArray[np.uint8]:
    down, across = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    frequency = random.uniform(0.5, 12, (2, 3))
    waves = np.sin(
        down[..., None] * frequency[0] + across[..., None] * frequency[1] * 3
    )
    shades: npt.NDArray[np.uint8] = (127.5 + 127.5 * waves).astype(np.uint8)
    return shades


def make_photographs(
    folder: Path,
    classes: Sequence[str],
    per_class: int | Sequence[int],
    size: tuple[int, int] = (96, 72),
) -> None:
    """Write JPEG files of about that size into `folder/<class>/`, all different."""
    counts = [per_class] * len(classes) if isinstance(per_class, int) else per_class
    random = np.random.default_rng(len(classes))
    seed = 0
    for name, count in zip(classes, counts, strict=True):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            width, height = (np.array(size) * random.uniform(0.6, 1.6, 2)).astype(int)
            image = photograph(seed, int(width), int(height))
            image.save(folder / name / f"{number:03d}.jpg", quality=85)
            seed += 1


def dataset_spec(classes: Sequence[str], images: int, **more: object) -> DatasetSpec:
    """Describe a dataset in the folder `val`."""
    return DatasetSpec(
        id="photographs",
        title="generated photographs",
        folder="val",
        classes=tuple(classes),
        images=images,
        **more,  # type: ignore[arg-type]
    )


def photograph_dataset(
    data: Path,
    classes: Sequence[str] = ("ant", "bee", "cat"),
    per_class: int = 4,
    size: tuple[int, int] = (96, 72),
) -> Dataset:
    """Make photographs below `data/val` and index them."""
    make_photographs(data / "val", classes, per_class, size)
    return index_dataset(dataset_spec(classes, len(classes) * per_class), data)


CLIP_CONFIG = {
    "embed_dim": 16,
    "quick_gelu": True,
    "vision_cfg": {
        "image_size": 32,
        "patch_size": 8,
        "width": 24,
        "head_width": 12,
        "layers": 2,
    },
    "text_cfg": {
        "context_length": 77,
        "vocab_size": 49408,
        "width": 32,
        "heads": 4,
        "layers": 3,
    },
}


def small_clip(
    folder: Path, options: dict[str, Any] | None = None, **text: Any
) -> nn.Module:
    """Build an open_clip model with random weights, the same ones every time.

    Args:
        folder: gets its configuration.
        options: of `open_clip.create_model`.
        text: what else the configuration says of the text tower.
    """
    import torch

    from repro.models.libraries import find_loader

    config = CLIP_CONFIG | {"text_cfg": {**CLIP_CONFIG["text_cfg"], **text}}  # type: ignore[dict-item]
    (folder / "small-clip.json").write_text(json.dumps(config))
    spec = ModelSpec(
        id="small-clip",
        loader="open_clip",
        architecture="small-clip",
        config="small-clip.json",
        options=options or {},
    )
    torch.manual_seed(0)
    model = find_loader("open_clip").build(spec, folder)
    model.eval().requires_grad_(requires_grad=False)
    for name, parameter in model.named_parameters():
        if "ln_" in name or "bias" in name or "embedding" in name:
            # As large as after training, so that all of them matter.
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def read_state_dict(path: Path, weights_key: str = "") -> StateDict:
    """Read the tensors of a weights file, of an entry where it holds several."""
    contents = read_contents(path)
    return contents.read(contents.only(weights_key).tensors)
