"""The device that models compute on."""

from __future__ import annotations

import torch

from repro.errors import OptionError


def choose_device(name: str) -> torch.device:
    """Find the device that `--repro-device` names; `auto` is a GPU where there is one.

    Raises:
        OptionError: there is no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise OptionError(
            f"--repro-device is {name!r}; it must be auto, cpu, cuda or cuda:N"
        ) from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise OptionError(
            f"--repro-device is {name!r}, but torch finds no CUDA device here; "
            "use auto or cpu"
        )
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise OptionError(
            f"--repro-device is {name!r}, but torch finds "
            f"{torch.cuda.device_count()} CUDA devices, numbered from 0"
        )
    return device
