"""The device that models compute on."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from repro.cases import Case
from repro.engine.settings import EngineSettings
from repro.errors import OptionError
from repro.evaluation.batching import BatchSize
from repro.published import Precision
from repro.records.environment import describe_environment
from repro.records.identity import digest_of


def choose_device(name: str) -> torch.device:
    """Find the device that `--repro-device` names; `auto` is a GPU where there is one.

    That is one of CUDA or ROCm, which torch calls `cuda` too. Other kinds (`xpu`,
    `mps`) have to be named, since they are tried less.

    Raises:
        OptionError: there is no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise OptionError(
            f"--repro-device is {name!r}; it must be auto, cpu, cuda, cuda:N, or "
            "another kind of device that torch computes on here"
        ) from error
    if device.type == "cpu":
        return device
    # What torch was built for need not be here.
    found = torch.accelerator.current_accelerator(check_available=True)
    kind = found.type if found else "none"
    if device.type != kind:
        raise OptionError(
            f"--repro-device is {name!r}, but torch finds no {_called(device.type)} "
            f"device here; use auto or cpu{f', or {kind}' if found else ''}"
        )
    number = torch.accelerator.device_count()
    if (device.index or 0) >= number:
        raise OptionError(
            f"--repro-device is {name!r}, but torch finds {number} "
            f"{_called(kind)} devices, numbered from 0{_chosen()}"
        )
    return device


def _called(kind: str) -> str:
    return {"cuda": "CUDA", "mps": "MPS", "xpu": "XPU"}.get(kind, kind)


def _chosen() -> str:
    """Say what hides devices, where something does."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return ""
    return (
        f" (CUDA_VISIBLE_DEVICES is {visible!r}; workers of xdist that choose for "
        "themselves see one each: name the device for all of them, not in a marker)"
    )


class BatchSizes:
    """Gives the batch size for a case; what was found for one counts for others.

    Args:
        settings: whether it is given, and where it is kept.
        device: that computes.
    """

    def __init__(self, settings: EngineSettings, device: torch.device) -> None:
        self._settings = settings
        self._device = device
        self._known: dict[str, BatchSize] = {}

    @property
    def fixed(self) -> int | None:
        """The size that was asked for; None to find it."""
        size = self._settings.batch_size
        return None if size == "remembered" else size

    def of(self, case: Case, precision: Precision) -> BatchSize:
        """Give the size for a case that is computed in some precision."""
        # What decides about memory: the model, its pixels, the classes, the arithmetic.
        needs = digest_of((case.model, case.protocol, case.dataset, precision))
        if needs not in self._known:
            is_kept = self._settings.batch_size == "remembered"
            self._known[needs] = BatchSize(
                self._device.type, self.fixed, self._file(needs) if is_kept else None
            )
        return self._known[needs]

    def _file(self, needs: str) -> Path | None:
        """Name the file of a size that is the fastest with all that is as it is now."""
        settings, found = self._settings, describe_environment(str(self._device))
        share = torch.get_num_threads(), settings.accelerate
        here = digest_of((needs, found.device, found.packages.get("torch"), share))
        return settings.cache and settings.cache / "batch-sizes" / f"{here}.size"
