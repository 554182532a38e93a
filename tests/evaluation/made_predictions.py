"""Predictions made from random logits, and the logits."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from repro.evaluation.predictions import Predictions


def random_logits(images: int, classes: int, seed: int) -> tuple[Tensor, Tensor]:
    """Draw logits `[N, C]` of varied sharpness, and labels `[N]` that they favour."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (images,), generator=generator)
    sharpness = 4 * torch.rand(images, 1, generator=generator)
    logits = torch.randn(images, classes, generator=generator) * sharpness
    # A float32 probability of exactly 1 has a bin of its own in torchmetrics, and of
    # equal logits every library takes another one.
    logits = 7 * torch.tanh(logits / 7)
    logits[torch.arange(images), labels] += 1.5
    return logits, labels


def predictions_of(logits: Tensor, labels: Tensor) -> Predictions:
    probabilities = logits.double().softmax(dim=1)
    confidences, _ = probabilities.max(dim=1)
    picked = probabilities[torch.arange(len(labels)), labels]
    return Predictions(
        indices=np.arange(len(labels)),
        labels=labels.numpy(),
        classes=logits.topk(min(5, logits.shape[1]), dim=1).indices.int().numpy(),
        losses=-picked.log().numpy(),
        total=len(labels),
        confidences=confidences.float().numpy(),
    )
