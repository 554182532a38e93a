"""What nothing can be faster than: decoding alone, computing alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision import transforms

from benchmarks.timing import seconds

CHUNK = 16


def decode(path: Path) -> Image.Image:
    """Decode a photograph, and nothing else."""
    with Image.open(path) as image:
        return image.convert("RGB")


def decoding(
    paths: Sequence[Path],
    threads: int,
    geometry: Sequence[Callable[[Image.Image], Image.Image]] = (),
) -> None:
    """Decode photographs on all cores, apply a geometry, and drop the result."""
    apply = transforms.Compose(geometry)

    def decode_chunk(start: int) -> None:
        for path in paths[start : start + CHUNK]:
            np.asarray(apply(decode(path)))

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(decode_chunk, range(0, len(paths), CHUNK)))


@torch.inference_mode()
def forward(model: nn.Module, images: Tensor, batch_size: int) -> None:
    """Compute logits of normalised images that are on the device already."""
    for batch in torch.split(images, batch_size):
        model(batch)
    if images.is_cuda:
        torch.cuda.synchronize(images.device)


def operations(model: nn.Module, size: int = 224) -> int:
    """Count the floating point operations of one image."""
    device = next(model.parameters()).device
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, size, size, device=device))
    return int(counter.get_total_flops())


def matrix_peak(device: torch.device, dtype: torch.dtype = torch.float32) -> float:
    """Measure operations a second in the product of two large matrices."""
    size = 8192 if device.type == "cuda" else 2048
    left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in "ab")

    def multiply() -> None:
        torch.matmul(left, right)
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    multiply()
    return 2 * size**3 / min(seconds(multiply) for _ in range(5))
