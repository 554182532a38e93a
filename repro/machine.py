"""Cores, memory and GPUs of this machine; needs nothing but the standard library."""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import NamedTuple

#: Memory of a process with torch, a CLIP ViT-B/16 and a stratum of pixels, rounded up.
WORKER_BYTES = 3 * 2**30


def available_cores() -> int:
    """Count the processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def let_threads_sleep(environment: MutableMapping[str, str]) -> None:
    """Keep waiting threads of torch from taking the core of the one they wait for.

    For what will import torch: its OpenMP reads these variables once, when it is
    loaded. What the user has set is left alone.

    Args:
        environment: of this process, usually `os.environ`.
    """
    # GNU OpenMP lets a thread spin for about a millisecond at the end of each parallel
    # loop. On a core that something else wants too, the thread that still has work gets
    # no time meanwhile: beside twelve busy processes on two cores, six cases of the
    # embedded release took 313 s, and 42 with this. A thousand turns bridge short
    # gaps: with both cores to itself only a tiny network of 32 pixels became slower.
    if "OMP_WAIT_POLICY" not in environment:
        environment.setdefault("GOMP_SPINCOUNT", "1000")


def available_memory() -> int | None:
    """Count the bytes of memory that can be had without swapping; None if unknown."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    found = dict(line.split(":", 1) for line in lines)
    # Not what is free: most memory of a machine holds files, and is given back for
    # this.
    return int(found["MemAvailable"].split()[0]) * 1024


class Drivers(NamedTuple):
    """Where drivers list GPUs: one folder for each of NVIDIA's, one a node of AMD's.

    A container may see that list and have been given the devices of some alone.
    """

    nvidia: Path = Path("/proc/driver/nvidia/gpus")
    amd: Path = Path("/sys/class/kfd/kfd/topology/nodes")
    devices: Path = Path("/dev")

    def installed(self, environment: Mapping[str, str]) -> int | None:
        """Count the GPUs that there are to choose from; None if unknown."""
        if self.nvidia.is_dir():
            listed = sum(1 for _ in self.nvidia.iterdir())
            given = sum(1 for _ in self.devices.glob("nvidia[0-9]*"))
            # There is none before the driver is first used.
            return min(listed, given) if given else listed
        if not self.amd.is_dir():
            return None
        # What this leaves is numbered from 0 again, before the others are read.
        if left := environment.get("ROCR_VISIBLE_DEVICES"):
            return len(left.split(","))
        return sum(_is_gpu(node) for node in self.amd.iterdir())

    def variable(self, environment: Mapping[str, str]) -> str:
        """Name what chooses among them; ROCm reads its own before that of CUDA."""
        own = "HIP_VISIBLE_DEVICES"
        is_amd = not self.nvidia.is_dir() and own in environment
        return own if is_amd else "CUDA_VISIBLE_DEVICES"


DRIVERS = Drivers()


def _is_gpu(node: Path) -> bool:
    """Whether a node of AMD's driver is a GPU: processors are nodes too."""
    try:
        return int((node / "gpu_id").read_text(encoding="ascii")) != 0
    except (OSError, ValueError):
        return False


#: What the names of GPUs and of their parts begin with.
_NAMES = "GPU-", "MIG-"


def visible_gpus(
    environment: Mapping[str, str], drivers: Drivers = DRIVERS
) -> list[str]:
    """List the GPUs that CUDA or ROCm may use, without starting them.

    A list in `CUDA_VISIBLE_DEVICES` (numbers, UUIDs or MIG instances) is the caller's
    choice; what follows an invalid entry is ignored.
    """
    chosen = environment.get(drivers.variable(environment))
    there = drivers.installed(environment)
    if chosen is None:
        return [str(number) for number in range(there or 0)]
    entries = [entry.strip() for entry in chosen.split(",")]
    for place, entry in enumerate(entries):
        is_beyond = there is not None and entry.isdigit() and int(entry) >= there
        # Slurm writes `NoDevFiles` for a job that was given none.
        if not (entry.isdigit() or entry.startswith(_NAMES)) or is_beyond:
            return entries[:place]
    return entries


def gpus_for(device: str, environment: Mapping[str, str]) -> list[str]:
    """List the GPUs that processes compute on in turn, by what `--repro-device` says.

    A number is that of a GPU among the visible ones, for all processes.
    """
    visible = visible_gpus(environment)
    if device in ("auto", "cuda"):
        return visible
    number = device.removeprefix("cuda:")
    return visible[int(number) :][:1] if number.isdigit() else []
