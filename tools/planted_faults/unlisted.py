"""Code of unlisted.toml: what is done to photographs, weights, logits and labels."""

from __future__ import annotations

import io

import torch
from PIL import Image, ImageEnhance, ImageFilter
from torch import Tensor

State = dict[str, Tensor]


def blurred(photograph: Image.Image) -> Image.Image:
    """Blur it a little."""
    return photograph.filter(ImageFilter.GaussianBlur(0.7))


def encoded_again(photograph: Image.Image) -> Image.Image:
    """Encode it as a JPEG of low quality."""
    content = io.BytesIO()
    photograph.save(content, "JPEG", quality=30)
    return Image.open(content).convert("RGB")


def paler(photograph: Image.Image) -> Image.Image:
    """Take away a fifth of its contrast."""
    return ImageEnhance.Contrast(photograph).enhance(0.8)


def rotated(photograph: Image.Image) -> Image.Image:
    """Rotate it by five degrees."""
    return photograph.rotate(5)


def grey(photograph: Image.Image) -> Image.Image:
    """Take away its colours."""
    return photograph.convert("L").convert("RGB")


def noisy(state: State) -> State:
    """Add noise to all weights."""
    return _with_noise(state, 0.02)


def hardly_noisy(state: State) -> State:
    """Add little noise to all weights."""
    return _with_noise(state, 0.006)


def colder(logits: Tensor) -> Tensor:
    """Make logits more certain."""
    return 1.7 * logits


def warmer(logits: Tensor) -> Tensor:
    """Make logits less certain."""
    return 0.6 * logits


def a_twentieth_wrong(labels: Tensor) -> Tensor:
    """Exchange a twentieth of the labels."""
    return _exchanged(labels, 0.05)


def a_seventh_wrong(labels: Tensor) -> Tensor:
    """Exchange a seventh of the labels."""
    return _exchanged(labels, 1 / 7)


def _with_noise(state: State, size: float) -> State:
    random = torch.Generator().manual_seed(3)
    return {
        name: tensor + size * torch.randn(tensor.shape, generator=random)
        for name, tensor in state.items()
    }


def _exchanged(labels: Tensor, share: float) -> Tensor:
    """Exchange some of the labels for any other of the ten."""
    random = torch.Generator().manual_seed(1)
    is_wrong = torch.rand(len(labels), generator=random) < share
    others = labels + torch.randint(1, 10, labels.shape, generator=random)
    return torch.where(is_wrong, others % 10, labels)
