"""Cores, memory and GPUs of this machine; needs nothing but the standard library."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

#: Memory of a process with torch, a CLIP ViT-B/16 and a stratum of pixels, rounded up.
WORKER_BYTES = 3 * 2**30


def available_cores() -> int:
    """Count the processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def available_memory() -> int | None:
    """Count the bytes of memory that can be had without swapping; None if unknown."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    found = dict(line.split(":", 1) for line in lines)
    return int(found["MemAvailable"].split()[0]) * 1024


def visible_gpus(
    environment: Mapping[str, str],
    installed: Path = Path("/proc/driver/nvidia/gpus"),
) -> list[str]:
    """List the GPUs that CUDA may use, without starting CUDA.

    A list in `CUDA_VISIBLE_DEVICES` (numbers, UUIDs or MIG instances) is the caller's
    choice; CUDA ignores what follows an invalid entry.
    """
    chosen = environment.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        found = sum(1 for _ in installed.iterdir()) if installed.is_dir() else 0
        return [str(number) for number in range(found)]
    entries = [entry.strip() for entry in chosen.split(",")]
    for place, entry in enumerate(entries):
        if not entry or entry.startswith("-"):
            return entries[:place]
    return entries
