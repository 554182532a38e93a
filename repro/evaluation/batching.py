"""Batches of images on a device: how many, what is copied, what if memory runs out.

The best size is measured. What goes to a device and comes back from it does so while it
computes something else.
"""

from __future__ import annotations

import contextlib
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from repro.errors import EvaluationError
from repro.files import keep, kept, made_once

CANDIDATES = {"cpu": (8, 16, 32, 64), "cuda": (64, 128, 256, 512)}
# The first batch of a size pays for memory and for choosing kernels.
TRIES = 2


class BatchSize:
    """A batch size that is fixed, or found by timing the first batches of real work.

    Args:
        device: `cpu` or `cuda`.
        fixed: images a batch; None to find it.
        file: where the size that was found is kept and taken from; None to find it
            again. It is not there yet the first time.
    """

    def __init__(
        self, device: str, fixed: int | None = None, file: Path | None = None
    ) -> None:
        candidates = CANDIDATES.get(device, CANDIDATES["cuda"])
        self._limit = fixed or max(candidates)
        self._untried = [] if fixed else [c for c in candidates for _ in range(TRIES)]
        self._best = fixed or min(candidates)
        self._seconds: dict[int, float] = {}
        self._file = file

    @property
    def current(self) -> int:
        """How many images the next batch has."""
        return min(self._untried[0] if self._untried else self._best, self._limit)

    @property
    def is_searching(self) -> bool:
        """Whether the next batch is timed."""
        return bool(self._untried)

    @property
    def has_to_be_known(self) -> bool:
        """Whether later runs are to have the same size, which is not known yet."""
        return self._file is not None and self.is_searching

    @contextmanager
    def remembering(self) -> Iterator[None]:
        """Take the size that is kept, or keep the one that is found inside.

        Other processes wait for it meanwhile: two that measure disturb each other.
        """
        assert self._file is not None
        with made_once(self._file):
            if size := int(kept(self._file) or 0):
                self._limit = self._best = size
                self._untried = []
                yield
                return
            yield
            keep(self._file, str(self.current).encode())

    def try_no_more_than(self, images: int) -> None:
        """Leave out sizes that no batch will have: strata have that many images."""
        self._untried = [size for size in self._untried if size <= images]

    @contextmanager
    def timed(self, images: int) -> Iterator[None]:
        """Time one batch of that many images."""
        start = time.perf_counter()
        yield
        if self._untried and self._untried[0] == images:
            self._untried.pop(0)
            # The first batch of a size pays for allocation; the quickest one counts.
            seconds = (time.perf_counter() - start) / images
            self._seconds[images] = min(seconds, self._seconds.get(images, seconds))
            self._best = min(self._seconds, key=lambda size: self._seconds[size])

    def halve(self) -> bool:
        """Make batches smaller after memory ran out; False when one image is left."""
        half = self.current // 2
        if half:
            # What is untried is not smaller than what failed.
            self._limit, self._untried = half, []
        return bool(half)


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
    is computed, and the next batch for the copy. Other devices than CUDA's are waited
    for: what they copy later may be memory that has something else by then.
    """
    if device.type != "cuda" or values.is_cuda:
        return values.to(device)
    # From other memory the driver copies while everybody waits.
    pinned = values.pin_memory()
    computing = torch.cuda.current_stream(device)
    # A device without a number is the current one, which may be another one later.
    copying = _copying(computing.device)
    with torch.cuda.stream(copying):
        there = pinned.to(computing.device, non_blocking=True)
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


#: Torch's allocators of GPUs have a type of exception. Those of the processor and of
#: MPS only have words, and so have the driver, cuBLAS and cuDNN.
_WORDS = (
    "out of memory",
    "can't allocate memory",
    "_ALLOC_FAILED",
    "_ALLOCATION_FAILED",
)
#: What cuDNN's callers say where no algorithm fits into memory, or none is known.
_NO_ALGORITHM = ("unable to find an engine", "Unable to find a valid cuDNN algorithm")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, on whatever device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    said = str(error)
    return isinstance(error, RuntimeError) and any(words in said for words in _WORDS)


#: What torch begins with where a device, or a library that computes on it, fails.
_FAILURES = (
    "CUDA error",
    "CUDA driver error",
    "cuDNN error",
    "HIP error",
    "Cannot re-initialize CUDA",
)
#: What is known to be behind some of them.
_KNOWN = {
    "no kernel image": "this build of torch has no code for it; install one that has",
    "busy or unavailable": "another process may have it for itself; wait for that one",
    "re-initialize": "CUDA was asked something before this process was forked; set "
    "PYTORCH_NVML_BASED_CUDA_CHECK=1, or leave out what forks",
}
_UNKNOWN = (
    "this process can compute nothing more there; run it again, and look at nvidia-smi "
    "and the log of the kernel where it fails again"
)


def is_failure(error: BaseException) -> bool:
    """Whether an exception says that a device failed, and not for want of memory."""
    if is_out_of_memory(error) or not isinstance(error, RuntimeError):
        return False
    return isinstance(error, torch.AcceleratorError) or (
        str(error).startswith(_FAILURES)
    )


@contextlib.contextmanager
def telling_failures(device: torch.device) -> Iterator[None]:
    """Say in a sentence that a device failed, or has no room for anything.

    Raises:
        EvaluationError: it did.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            give_back(error, device)
            raise too_little(device, "what this case needs") from None
        if not is_failure(error):
            raise
        said = str(error).strip().partition("\n")[0]
        advice = next((a for words, a in _KNOWN.items() if words in said), _UNKNOWN)
        raise EvaluationError(
            f"{device} failed ({said:.200}): {advice}, or choose another device with "
            "--repro-device"
        ) from error


def may_fit_in_parts(error: BaseException, images: int) -> bool:
    """Whether what failed for some images may be had from fewer of them at once."""
    said = str(error)
    return is_out_of_memory(error) or (
        images > 1 and any(words in said for words in _NO_ALGORITHM)
    )


def give_back(error: BaseException, device: torch.device) -> None:
    """Free what a failed computation still holds, so that a smaller one can be tried.

    The frames of its traceback hold the activations, and so do those of what was being
    handled when it was raised, as where a library's other way runs out of memory too:
    as long as they do, emptying the device's cache frees nothing.
    """
    for failed in _chain(error):
        traceback.clear_frames(failed.__traceback__)
    if device.type != "cpu" and torch.accelerator.is_available():
        torch.accelerator.empty_cache()


def _chain(error: BaseException) -> list[BaseException]:
    """List an exception, and all that it was raised from or beside."""
    chain, ahead = [], [error]
    while ahead:
        failed = ahead.pop()
        if failed not in chain:
            chain.append(failed)
            ahead += [e for e in (failed.__cause__, failed.__context__) if e]
    return chain


@contextlib.contextmanager
def within_memory(device: torch.device, what: str) -> Iterator[None]:
    """Say in a sentence that memory ran out where no smaller batch can help.

    Args:
        device: whose memory.
        what: was computed, as in "the checkpoint does not fit".

    Raises:
        EvaluationError: it ran out.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        give_back(error, device)
        raise too_little(device, what) from None


def too_little(device: torch.device, what: str) -> EvaluationError:
    """Make the error that says what does not fit."""
    return EvaluationError(
        f"{what} does not fit into the memory of {device}; free memory there, start "
        "fewer workers with -n, or choose another device with --repro-device"
    )
