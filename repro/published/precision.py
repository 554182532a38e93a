"""Arithmetic that numbers are published in and measured in."""

from __future__ import annotations

from typing import Literal, get_args

#: `amp-` is automatic mixed precision, which keeps in float32 what torch's lists say;
#: without it the whole model and its input are of that type.
Precision = Literal["fp32", "tf32", "amp-fp16", "amp-bf16", "fp16", "bf16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


def is_same_arithmetic(first: str, second: str, device: str) -> bool:
    """Tell whether two precisions compute the same on a device, such as `cuda:0`.

    TF32 is a format of CUDA devices: anywhere else it is float32.
    """
    if first == second:
        return True
    return {first, second} == {"fp32", "tf32"} and not device.startswith("cuda")
