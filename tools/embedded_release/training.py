"""Train the small models for a fixed number of steps; nothing looks at validation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from embedded_release.recipes import (
    CLASS_NAMES,
    TEMPLATES,
    Loader,
    Protocol,
    build_model,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import open_clip
    from torch import Tensor, nn

BATCH_SIZE = 64
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 0.05
WARMUP_STEPS = 100
LABEL_SMOOTHING = 0.1
SHIFT = 2


def train(
    loader: Loader,
    pixels: Tensor,
    labels: Tensor,
    protocol: Protocol,
    tokenizer: open_clip.SimpleTokenizer,
    steps: int,
    seed: int,
) -> dict[str, Tensor]:
    """Train a model from scratch and give its weights in half precision.

    Args:
        loader: which library builds the model, and so which loss it is trained with.
        pixels: training images after the protocol's geometry, uint8 `[N, 3, 28, 28]`.
        labels: `[N]`.
        protocol: gives mean and standard deviation.
        tokenizer: turns captions into `[B, context_length]`; for CLIP only.
        steps: number of batches.
        seed: of initial weights, batches, shifts and captions.
    """
    torch.manual_seed(seed)
    model = build_model(loader).train()
    loss_of = supervised_loss if loader == "timm" else make_clip_loss(tokenizer)
    optimizer = torch.optim.AdamW(
        group_by_decay(model),
        lr=LEARNING_RATE,
        betas=(0.9, 0.98),
        weight_decay=WEIGHT_DECAY,
    )
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: warmup_and_cosine(step, steps)
    )
    mean = torch.tensor(protocol.mean).view(3, 1, 1)
    std = torch.tensor(protocol.std).view(3, 1, 1)
    for _ in range(steps):
        batch = torch.randint(len(labels), (BATCH_SIZE,))
        images = (shift_randomly(pixels[batch]) / 255 - mean) / std
        loss = loss_of(model, images, labels[batch])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
    return {name: weight.half() for name, weight in model.state_dict().items()}


def group_by_decay(model: nn.Module) -> list[dict[str, Any]]:
    """Group the weights so that only matrices are decayed, not biases or scales."""
    decayed = [weight for weight in model.parameters() if weight.ndim > 1]
    others = [weight for weight in model.parameters() if weight.ndim <= 1]
    return [{"params": decayed}, {"params": others, "weight_decay": 0.0}]


def warmup_and_cosine(step: int, steps: int) -> float:
    """Give the learning rate of a step as a fraction of the highest one."""
    if step < WARMUP_STEPS:
        return (step + 1) / WARMUP_STEPS
    progress = (step - WARMUP_STEPS) / max(1, steps - WARMUP_STEPS)
    return 0.5 * (1 + math.cos(math.pi * progress))


def shift_randomly(images: Tensor) -> Tensor:
    """Move each image of `[B, 3, H, W]` by up to two pixels, repeating its border."""
    count, _, height, width = images.shape
    down, right = torch.randint(-SHIFT, SHIFT + 1, (2, count, 1))
    rows = (torch.arange(height) + down).clamp(0, height - 1)
    columns = (torch.arange(width) + right).clamp(0, width - 1)
    image = torch.arange(count).view(-1, 1, 1)
    # Indices on both sides of the channels' slice put the channels last.
    return images[image, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def supervised_loss(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Give the mean cross-entropy with smoothed labels, in nats."""
    return functional.cross_entropy(
        model(images), labels, label_smoothing=LABEL_SMOOTHING
    )


def make_clip_loss(
    tokenizer: open_clip.SimpleTokenizer,
) -> Callable[[nn.Module, Tensor, Tensor], Tensor]:
    """Give a contrastive loss between images and captions drawn at random.

    A batch holds each of the ten digits several times, and all captions of a digit
    describe all its images. The usual loss, with one right caption for an image,
    would push these apart; here the target is shared among all of them.
    """
    captions = [template.format(name) for name in CLASS_NAMES for template in TEMPLATES]
    tokens = tokenizer(captions)

    def clip_loss(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        drawn = labels * len(TEMPLATES) + torch.randint(len(TEMPLATES), labels.shape)
        # Captions repeat in a batch: each is encoded once.
        distinct, position = torch.unique(drawn, return_inverse=True)
        image_features, text_features, scale = model(images, tokens[distinct])
        logits = scale * (image_features @ text_features[position].t())
        same_digit = (labels[:, None] == labels[None, :]).float()
        target = same_digit / same_digit.sum(dim=1, keepdim=True)
        return (
            functional.cross_entropy(logits, target, label_smoothing=LABEL_SMOOTHING)
            + functional.cross_entropy(
                logits.t(), target, label_smoothing=LABEL_SMOOTHING
            )
        ) / 2

    return clip_loss
