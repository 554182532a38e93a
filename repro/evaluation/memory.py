"""Memory of a processor, kept from one batch for the next.

glibc gives large pieces of memory back to the system as soon as they are free, and the
system gives them anew, filled with zeros, one page after the other: for the activations
of an EfficientNet-B0 that was two fifths of the time of a batch (docs/performance.md).
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch

#: Parameters of `mallopt`, as <malloc.h> numbers them.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
#: What is in force but in here: glibc's own choice once it has seen large pieces.
_TRIM_AT, _MMAPS = 2**26, 2**16
#: With one of these somebody has chosen otherwise.
_CHOSEN = ("MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD")


@contextmanager
def keeping_memory(device: torch.device) -> Iterator[None]:
    """Let batches use the memory of those before, on a processor with glibc.

    What is free at the end is given back. No result depends on it.

    Args:
        device: that computes the batches.
    """
    glibc = _glibc() if device.type == "cpu" else None
    if glibc is None or any(name.startswith(_CHOSEN) for name in os.environ):
        yield
        return
    glibc.mallopt(_TRIM_THRESHOLD, -1)
    glibc.mallopt(_MMAP_MAX, 0)
    try:
        yield
    finally:
        glibc.mallopt(_MMAP_MAX, _MMAPS)
        glibc.mallopt(_TRIM_THRESHOLD, _TRIM_AT)
        glibc.malloc_trim(0)


@cache
def _glibc() -> Any:
    """Give the C library, if it is glibc: others have nothing of the kind."""
    try:
        library = ctypes.CDLL(None)
        _ = library.gnu_get_libc_version, library.mallopt, library.malloc_trim
    except (OSError, TypeError, AttributeError):
        return None
    return library
