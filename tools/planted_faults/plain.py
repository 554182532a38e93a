"""A plain torchvision loop that can do one thing otherwise; no code of `repro`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import open_clip
import timm
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as images_functional

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

Triple = tuple[float, float, float]
BATCH_SIZE = 50


@dataclass(frozen=True)
class Plain:
    """How a checkpoint is measured.

    `resize` is the short side in pixels, or height and width to squash the image to;
    `rows` are the outputs of the model to keep, in the order of the class folders.
    """

    architecture: str
    options: dict[str, Any]
    resize: int | tuple[int, int]
    crop: int
    interpolation: str
    mean: Triple
    std: Triple
    names: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()
    merges: Path | None = None
    scale: float | None = None
    antialias: bool = True
    bgr: bool = False
    activation: str = ""
    pool: str = ""
    epsilon: float | None = None
    autocast: torch.dtype | None = None
    weights_key: str = ""
    rows: tuple[int, ...] = ()


def measure(plain: Plain, weights: Path, images: Path) -> dict[str, str]:
    """Measure a checkpoint: percent, percent and nats, as they are printed."""
    model = _load(plain, weights)
    classes = _encode_classes(plain, model) if plain.templates else None
    folder = ImageFolder(images, lambda image: _pixels(plain, image))
    collected = []
    with torch.no_grad():
        for batch, _ in DataLoader(folder, BATCH_SIZE):
            with torch.autocast("cpu", plain.autocast, enabled=bool(plain.autocast)):
                collected.append(_logits(plain, model, batch, classes))
    logits = torch.cat(collected).float()
    if plain.rows:
        logits = logits[:, list(plain.rows)]
    labels = torch.tensor(folder.targets)
    hits = logits.topk(5, dim=1).indices == labels[:, None]
    loss = functional.cross_entropy(logits.double(), labels)
    return {
        "top1": f"{100 * hits[:, 0].sum().item() / len(labels):.2f}",
        "top5": f"{100 * hits.sum().item() / len(labels):.2f}",
        "loss": f"{loss.item():.6f}",
    }


def _load(plain: Plain, weights: Path) -> nn.Module:
    model: nn.Module
    if plain.templates:
        model = open_clip.CLIP(**plain.options)
    else:
        model = timm.create_model(plain.architecture, **plain.options)
    state = torch.load(weights, map_location="cpu", weights_only=True)
    model.load_state_dict(state[plain.weights_key] if plain.weights_key else state)
    if plain.activation:
        _replace_activations(model, plain.activation)
    if plain.pool:
        tower = model.visual if plain.templates else model
        setattr(tower, "pool_type" if plain.templates else "global_pool", plain.pool)
    for module in model.modules():
        if plain.epsilon is not None and isinstance(module, nn.LayerNorm):
            module.eps = plain.epsilon
    return model.eval()


def _replace_activations(model: nn.Module, activation: str) -> None:
    makers: dict[str, Callable[[], nn.Module]] = {
        "gelu": nn.GELU,
        "quick_gelu": open_clip.transformer.QuickGELU,
    }
    for module in model.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.GELU | open_clip.transformer.QuickGELU):
                setattr(module, name, makers[activation]())


def _pixels(plain: Plain, image: Any) -> Tensor:
    interpolation = InterpolationMode(plain.interpolation)
    size = list(plain.resize) if isinstance(plain.resize, tuple) else plain.resize
    if plain.antialias:
        image = transforms.Resize(size, interpolation)(image)
        tensor = transforms.ToTensor()(transforms.CenterCrop(plain.crop)(image))
    else:
        # What a pipeline on tensors does unless asked otherwise.
        whole = images_functional.pil_to_tensor(image)
        small = images_functional.resize(whole, size, interpolation, antialias=False)
        tensor = images_functional.center_crop(small, plain.crop).float() / 255
    if plain.bgr:
        tensor = tensor.flip(0)
    normalised: Tensor = transforms.Normalize(plain.mean, plain.std)(tensor)
    return normalised


@torch.no_grad()
def _encode_classes(plain: Plain, model: Any) -> Tensor:
    tokenizer = open_clip.SimpleTokenizer(
        bpe_path=str(plain.merges),
        context_length=plain.options["text_cfg"]["context_length"],
    )
    classes = []
    for name in plain.names:
        prompts = tokenizer([template.format(name) for template in plain.templates])
        features = functional.normalize(model.encode_text(prompts), dim=-1)
        classes.append(functional.normalize(features.mean(dim=0), dim=-1))
    return torch.stack(classes)


def _logits(plain: Plain, model: Any, images: Tensor, classes: Tensor | None) -> Tensor:
    if classes is None:
        logits: Tensor = model(images)
        return logits
    features = functional.normalize(model.encode_image(images), dim=-1)
    scale = model.logit_scale.exp() if plain.scale is None else plain.scale
    product: Tensor = scale * features @ classes.t()
    return product
