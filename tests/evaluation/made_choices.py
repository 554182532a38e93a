"""How torch multiplies, as a process may have chosen it, and what is left of that."""

from __future__ import annotations

from typing import Any

import torch

from repro.evaluation.precision import multiplying_float32

#: What a conftest may have done.
SETTINGS = {
    "nothing": "pass",
    "high": 'torch.set_float32_matmul_precision("high")',
    "medium": 'torch.set_float32_matmul_precision("medium")',
    "old flags": "backends.cuda.matmul.allow_tf32 = True; "
    "backends.cudnn.allow_tf32 = False",
    "everything ieee": 'backends.fp32_precision = "ieee"',
    "everything tf32": 'backends.fp32_precision = "tf32"',
    "a product": 'backends.cuda.matmul.fp32_precision = "tf32"',
    "a convolution": 'backends.cudnn.conv.fp32_precision = "ieee"',
    "a processor's": 'backends.mkldnn.conv.fp32_precision = "bf16"',
}
BACKENDS: Any = torch.backends
#: The widest last, from which others follow.
CHOICES: tuple[Any, ...] = (
    BACKENDS.cuda.matmul,
    BACKENDS.cudnn.conv,
    BACKENDS.mkldnn.matmul,
    BACKENDS.mkldnn.conv,
    BACKENDS.cudnn.rnn,
    BACKENDS.mkldnn.rnn,
    BACKENDS.cudnn,
    BACKENDS.mkldnn,
    BACKENDS,
)


def chosen() -> list[Any]:
    """Read every choice by both interfaces."""
    said = [one.fp32_precision for one in CHOICES]
    for read in (
        lambda: BACKENDS.cuda.matmul.allow_tf32,
        lambda: BACKENDS.cudnn.allow_tf32,
        torch.get_float32_matmul_precision,
    ):
        try:
            said.append(read())
        except RuntimeError:
            said.append("mixed")
    return said


def check_setting(setting: str) -> None:
    exec(setting, {"torch": torch, "backends": torch.backends})
    before = chosen()
    for as_tf32 in (False, True):
        with multiplying_float32(as_tf32=as_tf32):
            inside = chosen()
        wanted = {"tf32"} if as_tf32 else {"ieee", "none"}
        assert set(inside[:2]) <= wanted
        assert as_tf32 or set(inside[2:4]) <= wanted
        assert chosen() == before
