"""Code of unseen.toml: what is done to photographs, weights, logits and labels."""

from __future__ import annotations

import re

import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageFilter
from torch import Tensor

State = dict[str, Tensor]


def sharpened(photograph: Image.Image) -> Image.Image:
    """Sharpen it."""
    return photograph.filter(ImageFilter.UnsharpMask(2, 150, 0))


def subsampled(photograph: Image.Image) -> Image.Image:
    """Keep a colour for four by four pixels."""
    light, *colours = photograph.convert("YCbCr").split()
    width, height = photograph.size
    small = [c.resize((max(1, width // 4), max(1, height // 4))) for c in colours]
    whole = [c.resize((width, height)) for c in small]
    return Image.merge("YCbCr", (light, *whole)).convert("RGB")


def of_a_palette(photograph: Image.Image) -> Image.Image:
    """Leave it sixteen colours."""
    return photograph.quantize(16).convert("RGB")


def cut_off(photograph: Image.Image) -> Image.Image:
    """Cut off its right and its lower eighth."""
    width, height = photograph.size
    return photograph.crop((0, 0, width * 7 // 8, height * 7 // 8))


def brighter(photograph: Image.Image) -> Image.Image:
    """Make it brighter by a quarter."""
    return ImageEnhance.Brightness(photograph).enhance(1.25)


def with_dead_pixels(photograph: Image.Image) -> Image.Image:
    """Make one pixel of fifty black."""
    levels = np.asarray(photograph).copy()
    random = np.random.default_rng(int(levels.sum()))
    levels[random.random(levels.shape[:2]) < 0.02] = 0
    return Image.fromarray(levels)


def of_an_exponent(state: State) -> State:
    """Keep floating point numbers of eight bits, three of the mantissa."""
    return {n: t.to(torch.float8_e4m3fn).to(t.dtype) for n, t in state.items()}


def with_holes(state: State) -> State:
    """Lose a tenth of each matrix."""
    random = torch.Generator().manual_seed(11)
    return {
        name: tensor * (torch.rand(tensor.shape, generator=random) >= 0.1)
        if tensor.ndim > 1
        else tensor
        for name, tensor in state.items()
    }


def with_moved_positions(state: State) -> State:
    """Take positions in the image for those of the patch before."""
    return {
        name: torch.cat([t[..., :1, :], t[..., 1:, :].roll(1, dims=-2)], dim=-2)
        if re.search("pos_embed|visual.positional_embedding", name)
        else t
        for name, t in state.items()
    }


def without_last_block(state: State) -> State:
    """Let the last block of images add nothing."""
    block = r"^(?:visual\.transformer\.res)?blocks\.(\d+)\."
    found = (re.match(block, name) for name in state)
    last = max(int(match[1]) for match in found if match)
    ends = r"(attn\.proj|attn\.out_proj|mlp\.fc2|mlp\.c_proj)\."
    return {
        name: tensor * (not re.match(block.replace(r"(\d+)", str(last)) + ends, name))
        for name, tensor in state.items()
    }


def in_bfloat16(logits: Tensor) -> Tensor:
    """Keep two digits of a logit."""
    return logits.bfloat16().float()


def a_fifth_warmer(logits: Tensor) -> Tensor:
    """Make logits a fifth less certain."""
    return 0.8 * logits


def cut_at_three(logits: Tensor) -> Tensor:
    """Let no logit be further than three from the mean of an image."""
    return (logits - logits.mean(dim=1, keepdim=True)).clamp(-3, 3)


def of_square_roots(logits: Tensor) -> Tensor:
    """Take the square roots of logits, with their signs."""
    return logits.sign() * logits.abs().sqrt()


def sevens_as_ones(labels: Tensor) -> Tensor:
    """Call each seven a one."""
    return torch.where(labels == 7, 1, labels)


def next_class(labels: Tensor) -> Tensor:
    """Call a tenth of the images what the next class is."""
    return torch.where(_drawn(labels, 0.1), (labels + 1) % 10, labels)


def a_hundredth_wrong(labels: Tensor) -> Tensor:
    """Exchange a hundredth of the labels for any other."""
    return _exchanged(labels, 0.01)


def half_wrong(labels: Tensor) -> Tensor:
    """Exchange half of the labels for any other."""
    return _exchanged(labels, 0.5)


def _drawn(labels: Tensor, share: float) -> Tensor:
    random = torch.Generator().manual_seed(21)
    return torch.rand(len(labels), generator=random) < share


def _exchanged(labels: Tensor, share: float) -> Tensor:
    random = torch.Generator().manual_seed(22)
    others = labels + torch.randint(1, 10, labels.shape, generator=random)
    return torch.where(_drawn(labels, share), others % 10, labels)
