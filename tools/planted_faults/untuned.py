"""Code of untuned.toml: what is done to photographs, weights, logits and labels."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image, ImageChops, ImageEnhance, ImageFilter, ImageOps
from torch import Tensor

State = dict[str, Tensor]


def median(photograph: Image.Image) -> Image.Image:
    """Smooth it by a median."""
    return photograph.filter(ImageFilter.MedianFilter(3))


def grained(photograph: Image.Image) -> Image.Image:
    """Add grain to it."""
    levels = np.asarray(photograph).astype(float)
    grain = np.random.default_rng(int(levels.sum())).normal(0, 20, levels.shape)
    return Image.fromarray((levels + grain).clip(0, 255).astype(np.uint8))


def of_few_levels(photograph: Image.Image) -> Image.Image:
    """Leave it four levels of each colour."""
    return ImageOps.posterize(photograph, 2)


def dull(photograph: Image.Image) -> Image.Image:
    """Take away most of its colours."""
    return ImageEnhance.Color(photograph).enhance(0.3)


def dark(photograph: Image.Image) -> Image.Image:
    """Show it with a gamma of 1.8."""
    return photograph.point(lambda level: round(255 * (level / 255) ** 1.8))


def moved(photograph: Image.Image) -> Image.Image:
    """Move it to the right, around the border."""
    return ImageChops.offset(photograph, 3, 0)


def bordered(photograph: Image.Image) -> Image.Image:
    """Put a black border around it."""
    return ImageOps.expand(photograph, 2)


def halved(photograph: Image.Image) -> Image.Image:
    """Make it half as large, and as large again."""
    width, height = photograph.size
    return photograph.resize((width // 2, height // 2)).resize((width, height))


def equalised(photograph: Image.Image) -> Image.Image:
    """Equalise its histogram."""
    return ImageOps.equalize(photograph)


def stretched(photograph: Image.Image) -> Image.Image:
    """Make it a fifth wider."""
    width, height = photograph.size
    return photograph.resize((width * 6 // 5, height))


def of_eight_bits(state: State) -> State:
    """Round each tensor to 31 levels."""
    return {name: _rounded(tensor, 31) for name, tensor in state.items()}


def pruned(state: State) -> State:
    """Take away the smaller half of each matrix."""
    return {
        name: tensor * (tensor.abs() > tensor.abs().median())
        if tensor.ndim > 1
        else tensor
        for name, tensor in state.items()
    }


def without_biases(state: State) -> State:
    """Take away the biases of linear layers."""
    return {
        name: tensor * (not name.endswith("bias") or "norm" in name or "ln" in name)
        for name, tensor in state.items()
    }


def shrunk(state: State) -> State:
    """Make all matrices smaller, as much decay would."""
    return {n: 0.9 * t if t.ndim > 1 else t for n, t in state.items()}


def capped(logits: Tensor) -> Tensor:
    """Let no logit be larger than four."""
    return 4 * (logits / 4).tanh()


def coarse(logits: Tensor) -> Tensor:
    """Round logits to halves."""
    return (2 * logits).round() / 2


def a_bit_colder(logits: Tensor) -> Tensor:
    """Make logits a bit more certain."""
    return 1.3 * logits


def neighbours(labels: Tensor) -> Tensor:
    """Take a third of some digits for those that look like them."""
    alike = torch.tensor([0, 7, 2, 8, 9, 5, 6, 7, 8, 9])
    return torch.where(_drawn(labels, 1 / 3), alike[labels], labels)


def two_swapped(labels: Tensor) -> Tensor:
    """Swap two classes."""
    swapped = torch.tensor([0, 1, 2, 3, 4, 6, 5, 7, 8, 9])
    return swapped[labels]


def some_wrong(labels: Tensor) -> Tensor:
    """Exchange a few labels for any other."""
    return _exchanged(labels, 0.03)


def many_wrong(labels: Tensor) -> Tensor:
    """Exchange a quarter of the labels for any other."""
    return _exchanged(labels, 0.25)


def _rounded(tensor: Tensor, levels: int) -> Tensor:
    scale = tensor.abs().max() / (levels // 2)
    return (tensor / scale).round() * scale if scale > 0 else tensor


def _drawn(labels: Tensor, share: float) -> Tensor:
    random = torch.Generator().manual_seed(5)
    return torch.rand(len(labels), generator=random) < share


def _exchanged(labels: Tensor, share: float) -> Tensor:
    random = torch.Generator().manual_seed(6)
    others = labels + torch.randint(1, 10, labels.shape, generator=random)
    return torch.where(_drawn(labels, share), others % 10, labels)
