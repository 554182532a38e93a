"""The plain loop that a user would run instead, in the way of the release's scripts.

Once per checkpoint: build the model and load the weights, encode every prompt with its
padding, a class at a time, decode every photograph with torchvision's transforms.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import open_clip
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder
from torchvision.transforms import InterpolationMode

BATCH_SIZE = 128
IMAGENET = {"mean": [0.5] * 3, "std": [0.5] * 3}
CLIP = {
    "mean": [0.48145466, 0.4578275, 0.40821073],
    "std": [0.26862954, 0.26130258, 0.27577711],
}
SUPERVISED_GEOMETRY = [transforms.Resize(256), transforms.CenterCrop(224)]
CLIP_GEOMETRY = [
    transforms.Resize(224, interpolation=InterpolationMode.BICUBIC),
    transforms.CenterCrop(224),
]


def load_supervised(architecture: str, weights: Path, classes: int) -> nn.Module:
    """Build a model with random weights and replace them."""
    model: nn.Module = timm.create_model(architecture, num_classes=classes)
    model.load_state_dict(torch.load(weights, map_location="cpu"))
    model.eval()
    return model


def load_clip(config: dict[str, Any], weights: Path) -> nn.Module:
    """Build a CLIP with random weights and replace them."""
    model: nn.Module = open_clip.CLIP(**config)
    model.load_state_dict(torch.load(weights, map_location="cpu"))
    return model.eval()


def photographs(folder: Path, workers: int) -> DataLoader[Any]:
    """Decode a folder of photographs for a CLIP."""
    steps = [*CLIP_GEOMETRY, transforms.ToTensor(), transforms.Normalize(**CLIP)]
    images = ImageFolder(str(folder), transforms.Compose(steps))
    return DataLoader(images, BATCH_SIZE, num_workers=workers)


@torch.no_grad()
def encode_classes(model: Any, tokenizer: Any, names: Sequence[str]) -> Tensor:
    """Encode class by class, 80 prompts of 77 tokens at a time: `[C, D]`."""
    rows = []
    for name in names:
        prompts = [fill(name) for fill in open_clip.OPENAI_IMAGENET_TEMPLATES]
        embeddings = functional.normalize(model.encode_text(tokenizer(prompts)), dim=-1)
        mean = embeddings.mean(dim=0)
        rows.append(mean / mean.norm())
    return torch.stack(rows)


class Evaluated(NamedTuple):
    """Images that are right, mean loss in nats, and seconds that the text took."""

    right: int
    loss: float
    text_seconds: float


@torch.no_grad()
def evaluate_clip(
    config: dict[str, Any],
    weights: Path,
    folder: Path,
    names: Sequence[str],
    workers: int,
) -> Evaluated:
    """Evaluate one checkpoint from its files."""
    model: Any = load_clip(config, weights)
    start = time.perf_counter()
    text = encode_classes(model, open_clip.get_tokenizer("ViT-B-16"), names)
    text_seconds = time.perf_counter() - start
    right, loss, seen = 0, 0.0, 0
    for images, labels in photographs(folder, workers):
        features = functional.normalize(model.encode_image(images), dim=-1)
        logits = model.logit_scale.exp() * features @ text.T
        right += int((logits.argmax(dim=1) == labels).sum().item())
        loss += functional.cross_entropy(logits, labels).item() * len(labels)
        seen += len(labels)
    return Evaluated(right, loss / seen, text_seconds)
