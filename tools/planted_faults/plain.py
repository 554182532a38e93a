"""A plain torchvision loop that can do one thing otherwise; no code of `repro`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as images_functional

Triple = tuple[float, float, float]
BATCH_SIZE = 50


@dataclass(frozen=True)
class Plain:
    """How a checkpoint is measured.

    `resize` is the short side in pixels, or height and width to squash the image to;
    `rows` are the outputs of the model to keep, in the order of the class folders;
    `crop_first` cuts out that share of the image's sides before all of it is resized to
    the crop's size, as TensorFlow's pipelines do, and `area` resizes by the areas that
    pixels cover, as OpenCV does; `flips` averages logits with those of the mirrored
    image, and `crops` those of five crops, or of ten with their mirror images;
    `twice` normalises twice and `unscaled` normalises pixels from 0 to 255;
    `smoothing` is that of the labels in the loss. `on_image`, `on_state`,
    `on_logits` and `on_labels` change whatever else.
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
    crop_first: float | None = None
    area: bool = False
    flips: bool = False
    crops: int = 0
    twice: bool = False
    unscaled: bool = False
    smoothing: float = 0.0
    on_image: Callable[[Any], Any] | None = None
    on_state: Callable[[dict[str, Tensor]], dict[str, Tensor]] | None = None
    on_logits: Callable[[Tensor], Tensor] | None = None
    on_labels: Callable[[Tensor], Tensor] | None = None


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
    if plain.on_logits:
        logits = plain.on_logits(logits)
    labels = torch.tensor(folder.targets)
    if plain.on_labels:
        labels = plain.on_labels(labels)
    hits = logits.topk(5, dim=1).indices == labels[:, None]
    loss = functional.cross_entropy(
        logits.double(), labels, label_smoothing=plain.smoothing
    )
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
    state = state[plain.weights_key] if plain.weights_key else state
    model.load_state_dict(plain.on_state(state) if plain.on_state else state)
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
    if plain.on_image:
        image = plain.on_image(image)
    if plain.crop_first:
        tensor = _cropped_first(plain, image, interpolation)
    elif plain.area:
        tensor = _resized_by_area(plain, image)
    elif plain.crops:
        small = transforms.Resize(size, interpolation)(image)
        cut = transforms.FiveCrop if plain.crops == 5 else transforms.TenCrop
        views = [transforms.ToTensor()(crop) for crop in cut(plain.crop)(small)]
        stacked = torch.stack(views)
        of_views: Tensor = transforms.Normalize(plain.mean, plain.std)(stacked)
        return of_views
    elif plain.antialias:
        image = transforms.Resize(size, interpolation)(image)
        tensor = transforms.ToTensor()(transforms.CenterCrop(plain.crop)(image))
    else:
        # What a pipeline on tensors does unless asked otherwise.
        whole = images_functional.pil_to_tensor(image)
        small = images_functional.resize(whole, size, interpolation, antialias=False)
        tensor = images_functional.center_crop(small, plain.crop).float() / 255
    if plain.bgr:
        tensor = tensor.flip(0)
    if plain.unscaled:
        tensor = tensor * 255
    normalise = transforms.Normalize(plain.mean, plain.std)
    normalised: Tensor = normalise(tensor)
    return normalise(normalised) if plain.twice else normalised


def _cropped_first(plain: Plain, image: Any, filter_: InterpolationMode) -> Tensor:
    """Cut out a share of both sides, then resize that to a square."""
    assert plain.crop_first is not None
    sides = [round(plain.crop_first * side) for side in (image.height, image.width)]
    cut = images_functional.center_crop(image, sides)
    small = images_functional.resize(cut, [plain.crop, plain.crop], filter_)
    tensor: Tensor = images_functional.to_tensor(small)
    return tensor


def _resized_by_area(plain: Plain, image: Any) -> Tensor:
    """Give each pixel the mean over the area that it covers, and cut out the middle.

    By doubling and averaging exactly: every pixel is repeated as often as the new side
    has pixels, and as many as the old side has are averaged.
    """
    assert isinstance(plain.resize, int)
    short = min(image.size)
    height, width = (
        int(plain.resize * side / short) for side in (image.height, image.width)
    )
    pixels = torch.from_numpy(np.array(image)).double()
    rows = pixels.repeat_interleave(height, 0)
    rows = rows.reshape(height, image.height, image.width, 3).mean(1)
    columns = rows.repeat_interleave(width, 1)
    columns = columns.reshape(height, width, image.width, 3).mean(2)
    whole = columns.round().permute(2, 0, 1) / 255
    middle: Tensor = images_functional.center_crop(whole.float(), [plain.crop] * 2)
    return middle


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
    if plain.crops:
        once = dataclasses.replace(plain, crops=0)
        each = [_logits(once, model, view, classes) for view in images.unbind(1)]
        return torch.stack(each).mean(dim=0)
    if plain.flips:
        once = dataclasses.replace(plain, flips=False)
        mirrored = _logits(once, model, images.flip(-1), classes)
        return (_logits(once, model, images, classes) + mirrored) / 2
    if classes is None:
        logits: Tensor = model(images)
        return logits
    features = functional.normalize(model.encode_image(images), dim=-1)
    scale = model.logit_scale.exp() if plain.scale is None else plain.scale
    product: Tensor = scale * features @ classes.t()
    return product
