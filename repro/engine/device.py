"""The device that models compute on."""

from __future__ import annotations

import os

import torch

from repro.errors import OptionError


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
