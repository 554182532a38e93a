"""Arithmetic of a model: float32 unless asked otherwise."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from repro.published import Precision

_REDUCED = {"bf16": torch.bfloat16, "fp16": torch.float16}


@contextlib.contextmanager
def arithmetic(precision: Precision, device: torch.device) -> Iterator[None]:
    """Compute in this precision, and leave the process as it was found.

    `fp32` and `tf32` differ in the matrix products and convolutions of CUDA devices
    since Ampere; `bf16` and `fp16` are automatic mixed precision.
    """
    matmul = torch.backends.cuda.matmul.allow_tf32
    convolution = torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    try:
        with torch.autocast(
            device.type, dtype=_REDUCED.get(precision), enabled=precision in _REDUCED
        ):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = matmul
        torch.backends.cudnn.allow_tf32 = convolution
