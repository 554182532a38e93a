"""What goes to a device and comes back from it, while it computes something else."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import cache

import torch
from torch import Tensor

#: Batches that a device is given before it has computed them: it goes on with the next
#: one at once, and neither side keeps pixels of more.
AHEAD = 2


def as_current(device: torch.device) -> AbstractContextManager[object]:
    """Make a device the current one.

    Pinned memory belongs to the current one, and would take some of another GPU's.
    """
    index = None if device.type == "cpu" else device.index
    return torch.accelerator.device_index(index)


def send(values: Tensor, device: torch.device) -> Tensor:
    """Copy to a device what it needs, beside what it computes now.

    A GPU does all of one stream in turn: there the copy would wait for the batch that
    is computed, and the next batch for the copy.
    """
    if device.type != "cuda" or values.is_cuda:
        return values.to(device, non_blocking=True)
    # From other memory the driver copies while everybody waits.
    pinned = values.pin_memory()
    computing, copying = torch.cuda.current_stream(device), _copying(device)
    with torch.cuda.stream(copying):
        there = pinned.to(device, non_blocking=True)
    computing.wait_stream(copying)
    # Else its memory could be given to the next copy before it is read.
    there.record_stream(computing)
    return there


@cache
def _copying(device: torch.device) -> torch.cuda.Stream:
    """Give the stream of copies, one a device: each keeps memory of its own."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


def fetch(values: Sequence[Tensor]) -> tuple[tuple[Tensor, ...], Callable[[], object]]:
    """Begin to copy from a device what was found there; give what waits for it.

    A plain copy would wait on the stream for all that the device was given since.
    """
    device = values[0].device
    # Torch takes pinned memory for what it need not wait for.
    not_waiting = device.type == "cuda"
    here = tuple(value.to("cpu", non_blocking=not_waiting) for value in values)
    return here, mark(device)


def mark(device: torch.device) -> Callable[[], object]:
    """Give what waits until a device has done all that it was given so far."""
    if device.type != "cuda":
        return lambda: None
    # Decoding needs the core that waiting in a loop would take.
    event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
    event.record(torch.cuda.current_stream(device))
    return event.synchronize


class Ahead:
    """The batches that a device was given, of which it has perhaps computed none."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._given: deque[Callable[[], object]] = deque()

    def wait(self) -> None:
        """Wait until the device may be given another one."""
        while len(self._given) >= AHEAD:
            self._given.popleft()()

    def note(self) -> None:
        """Remember that the device was given one."""
        self._given.append(mark(self._device))


def wait_for(device: torch.device) -> None:
    """Wait until a device has computed all that it was given."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
