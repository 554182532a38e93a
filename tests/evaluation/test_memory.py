"""Memory that runs out is known by what allocators say, and given back at once."""

from __future__ import annotations

import weakref
from collections.abc import Callable

import numpy as np
import pytest
import torch

from repro.errors import EvaluationError
from repro.evaluation.batching import (
    give_back,
    is_failure,
    is_out_of_memory,
    may_fit_in_parts,
    telling_failures,
    within_memory,
)

CPU = torch.device("cpu")
#: More than any machine has, as torch and numpy are asked for it.
TOO_MUCH: dict[str, Callable[[], object]] = {
    "torch on a processor": lambda: torch.empty(2**56, dtype=torch.uint8),
    "numpy": lambda: np.empty(2**56, dtype=np.uint8),
}


@pytest.mark.parametrize("allocate", TOO_MUCH.values(), ids=TOO_MUCH.keys())
def test_what_an_allocator_really_raises_is_known(
    allocate: Callable[[], object],
) -> None:
    with pytest.raises((RuntimeError, MemoryError)) as raised:
        allocate()
    assert is_out_of_memory(raised.value)


def test_other_errors_of_torch_are_none_of_memory() -> None:
    with pytest.raises(RuntimeError) as raised:
        torch.zeros(2, 3) @ torch.zeros(2, 3)
    assert not is_out_of_memory(raised.value)


@pytest.mark.parametrize(
    "said",
    [
        "GET was unable to find an engine to execute this computation",
        "Unable to find a valid cuDNN algorithm to run convolution",
    ],
)
def test_a_convolution_without_an_algorithm_is_tried_with_fewer_images(
    said: str,
) -> None:
    error = RuntimeError(said)
    assert may_fit_in_parts(error, 2)
    # Of one image it is no matter of memory, and said as it is.
    assert not may_fit_in_parts(error, 1)
    assert not is_out_of_memory(error)
    assert may_fit_in_parts(RuntimeError("CUDA out of memory"), 1)


@pytest.mark.parametrize(
    "said",
    [
        "CUDA out of memory. Tried to allocate 2.00 GiB.",
        "CUDA error: out of memory",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
        "MPS backend out of memory (MPS allocated: 17.00 GB)",
    ],
)
def test_what_drivers_and_their_libraries_say_of_memory_is_known(said: str) -> None:
    assert is_out_of_memory(RuntimeError(said))
    assert not is_failure(RuntimeError(said))


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (
            torch.AcceleratorError("CUDA error: device-side assert triggered\nSearch"),
            r"device-side assert triggered\): this process can compute nothing more",
        ),
        (
            torch.AcceleratorError(
                "CUDA error: no kernel image is available for execution on the device"
            ),
            "this build of torch has no code for it",
        ),
        (
            torch.AcceleratorError(
                "CUDA error: CUDA-capable device(s) is/are busy or unavailable"
            ),
            "another process may have it for itself",
        ),
        (
            RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
            "look at nvidia-smi",
        ),
        (
            RuntimeError("Cannot re-initialize CUDA in forked subprocess. To use CUDA"),
            "before this process was forked",
        ),
    ],
)
def test_a_device_that_fails_is_one_sentence(error: RuntimeError, advice: str) -> None:
    with (
        pytest.raises(EvaluationError, match=r"^cuda:1 failed \(.*" + advice),
        telling_failures(torch.device("cuda", 1)),
    ):
        raise error


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError(
            "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"
        ),
        MemoryError(),
    ],
)
def test_no_room_for_anything_is_one_sentence_on_whatever_device(
    error: Exception,
) -> None:
    message = "^what this case needs does not fit into the memory of cpu; free"
    with pytest.raises(EvaluationError, match=message), telling_failures(CPU):
        raise error


def test_what_is_wrong_with_a_model_is_no_failure_of_a_device() -> None:
    with pytest.raises(RuntimeError, match="mat1 and mat2"), telling_failures(CPU):
        torch.zeros(2, 3) @ torch.zeros(2, 3)


def test_what_the_failure_held_is_free_while_the_error_is_still_there() -> None:
    held: list[weakref.ref[torch.Tensor]] = []

    def forward() -> None:
        activations = torch.ones(1000)
        held.append(weakref.ref(activations))
        torch.empty(2**56, dtype=torch.uint8)

    with pytest.raises(RuntimeError) as raised:
        forward()
    assert held[0]() is not None
    give_back(raised.value, CPU)
    assert held[0]() is None


def test_what_another_way_held_before_is_free_too() -> None:
    held: list[weakref.ref[torch.Tensor]] = []

    def first() -> None:
        activations = torch.ones(1000)
        held.append(weakref.ref(activations))
        raise RuntimeError("this kernel does not support it")

    def forward() -> None:
        try:
            first()
        except RuntimeError:
            torch.empty(2**56, dtype=torch.uint8)

    with pytest.raises(RuntimeError) as raised:
        forward()
    assert is_out_of_memory(raised.value)
    assert held[0]() is not None
    give_back(raised.value, CPU)
    assert held[0]() is None


def test_it_is_one_sentence_and_the_error_holds_nothing() -> None:
    held: list[weakref.ref[torch.Tensor]] = []

    def load() -> None:
        weights = torch.ones(1000)
        held.append(weakref.ref(weights))
        torch.empty(2**56, dtype=torch.uint8)

    message = "the checkpoint a.pt does not fit into the memory of cpu; free memory"
    with (
        pytest.raises(EvaluationError, match=message),
        within_memory(CPU, "the checkpoint a.pt"),
    ):
        load()
    assert held[0]() is None


def test_another_error_stays_what_it_is() -> None:
    with pytest.raises(RuntimeError, match="mat1"), within_memory(CPU, "a model"):
        torch.zeros(2, 3) @ torch.zeros(2, 3)
