"""Measure the published values: a plain torchvision loop, without code of `repro`.

It follows what the evaluation scripts of "Scaling Laws of Synthetic Images" do
(github.com/google-research/syn-rep-learn, Scaling/), in float32 on the CPU, so that
a comparison with what `repro` measures means something.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder

from embedded_release.recipes import CLASS_NAMES, TEMPLATES, Loader, build_model

if TYPE_CHECKING:
    from pathlib import Path

    import open_clip
    from torch import Tensor, nn

    from embedded_release.recipes import Protocol

BATCH_SIZE = 100


class Published(NamedTuple):
    """Percent, percent and nats, as they are printed."""

    top1: str
    top5: str
    loss: str


def open_validation(folder: Path, protocol: Protocol) -> DataLoader[Tensor]:
    """Open the validation images, preprocessed as the protocol says."""
    return DataLoader(ImageFolder(folder, protocol.transform()), BATCH_SIZE)


def load(loader: Loader, checkpoint: Path) -> nn.Module:
    """Load a checkpoint's weights into a float32 model."""
    model = build_model(loader)
    weights = torch.load(checkpoint, map_location="cpu", weights_only=True)
    model.load_state_dict(weights, strict=True)
    return model.eval()


@torch.no_grad()
def encode_classes(
    model: open_clip.CLIP, tokenizer: open_clip.SimpleTokenizer
) -> Tensor:
    """Give each class the normalised mean of its prompts, `[classes, width]`."""
    classes = []
    for name in CLASS_NAMES:
        prompts = tokenizer([template.format(name) for template in TEMPLATES])
        features = functional.normalize(model.encode_text(prompts), dim=-1)
        classes.append(functional.normalize(features.mean(dim=0), dim=-1))
    return torch.stack(classes)


@torch.no_grad()
def measure_supervised(model: nn.Module, validation: DataLoader[Tensor]) -> Published:
    """Measure a classifier over the validation images."""
    logits = [model(images) for images, _ in validation]
    return score(torch.cat(logits), all_labels(validation))


@torch.no_grad()
def measure_clip(
    model: open_clip.CLIP,
    tokenizer: open_clip.SimpleTokenizer,
    validation: DataLoader[Tensor],
) -> Published:
    """Measure zero-shot classification over the validation images."""
    classes = encode_classes(model, tokenizer)
    logit_scale = np.exp(model.logit_scale.item())
    logits = []
    for images, _ in validation:
        features = functional.normalize(model.encode_image(images), dim=-1)
        logits.append(logit_scale * (features @ classes.t()))
    return score(torch.cat(logits), all_labels(validation))


def all_labels(validation: DataLoader[Tensor]) -> Tensor:
    """Give the labels in the loader's order, `[N]`."""
    return torch.tensor(validation.dataset.targets)  # type: ignore[attr-defined]


def score(logits: Tensor, labels: Tensor) -> Published:
    """Count top-1 and top-5 hits and average the cross-entropy; `[N, classes]`."""
    hits = logits.topk(5, dim=1).indices == labels[:, None]
    loss = functional.cross_entropy(logits, labels, reduction="none")
    return Published(
        top1=f"{100 * hits[:, 0].sum().item() / len(labels):.2f}",
        top5=f"{100 * hits.sum().item() / len(labels):.2f}",
        loss=f"{loss.double().mean().item():.6f}",
    )
