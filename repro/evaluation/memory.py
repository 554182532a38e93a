"""Memory that runs out: how that is known, what is given back, what is said."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterator

import torch

from repro.errors import EvaluationError

#: Torch's allocators of GPUs have a type of exception. Those of the processor and of
#: MPS only have words, and so have the driver, cuBLAS and cuDNN.
_WORDS = ("out of memory", "can't allocate memory", "_ALLOC_FAILED")
#: What cuDNN's callers say where no algorithm fits into memory, or none is known.
_NO_ALGORITHM = ("unable to find an engine", "Unable to find a valid cuDNN algorithm")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, on whatever device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    said = str(error)
    return isinstance(error, RuntimeError) and any(words in said for words in _WORDS)


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
