"""Arithmetic of a model: that of the published number unless asked otherwise."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from repro.errors import EvaluationError
from repro.published import Precision

_MIXED: dict[Precision, torch.dtype] = {
    "amp-fp16": torch.float16,
    "amp-bf16": torch.bfloat16,
}
_WHOLE: dict[Precision, torch.dtype] = {"fp16": torch.float16, "bf16": torch.bfloat16}


def input_type(precision: Precision) -> torch.dtype:
    """Give the type of parameters and normalised images."""
    return _WHOLE.get(precision, torch.float32)


def in_type_of(precision: Precision, model: nn.Module) -> nn.Module:
    """Give a model whose parameters have the type that a precision asks for.

    That is the model itself, changed in place.
    """
    return model.to(_WHOLE[precision]) if precision in _WHOLE else model


#: What does nothing with a weight, by its name, but multiply it by what autocast casts.
#: Of a subclass nobody knows.
_MULTIPLYING = {
    nn.Linear: "weight",
    nn.Conv2d: "weight",
    NonDynamicallyQuantizableLinear: "weight",
    nn.MultiheadAttention: "in_proj_weight",
}


class CastOnce:
    """A forward pass in mixed precision, for which weights are cast once.

    Autocast casts each weight for each batch: it keeps casts only of parameters with a
    gradient. The bits of the result are the same. Between calls the model has
    its own weights.

    Args:
        model: that `forward` computes, in float32.
        forward: from normalised images to logits.
        precision: a mixed one.
    """

    def __init__(
        self,
        model: nn.Module,
        forward: Callable[[Tensor], Tensor],
        precision: Precision,
    ) -> None:
        self._forward = forward
        self._others: list[tuple[nn.Module, str, Any]] = []
        for module in model.modules():
            name = _MULTIPLYING.get(type(module), "")
            weight = getattr(module, name, None)
            if isinstance(weight, nn.Parameter):
                cast = weight.to(_MIXED[precision])
                other = nn.Parameter(cast, requires_grad=False)
                self._others.append((module, name, other))

    def __call__(self, images: Tensor) -> Tensor:
        """Compute logits of normalised images, inside of `arithmetic`."""
        self._exchange()
        try:
            return self._forward(images)
        finally:
            self._exchange()

    def _exchange(self) -> None:
        for place, (module, name, weight) in enumerate(self._others):
            self._others[place] = module, name, getattr(module, name)
            setattr(module, name, weight)


@contextlib.contextmanager
def torch_as_it_begins() -> Iterator[None]:
    """Make tensors of float32 on the processor where nothing else is said.

    A conftest may have set another type or device for the tests of its project.
    """
    dtype, device = torch.get_default_dtype(), torch.get_default_device()
    # To name a device costs something with each call of torch.
    moved = torch.device("cpu") if device.type != "cpu" else contextlib.nullcontext()
    torch.set_default_dtype(torch.float32)
    try:
        with moved:
            yield
    finally:
        torch.set_default_dtype(dtype)


@contextlib.contextmanager
def arithmetic(precision: Precision, device: torch.device) -> Iterator[None]:
    """Compute in this precision, and leave the process as it was found.

    `fp32` and `tf32` differ in the matrix products and convolutions of CUDA devices
    since Ampere; `amp-fp16` and `amp-bf16` are automatic mixed precision; `fp16` and
    `bf16` need a model and images of that type, see `in_type_of`. What a process has
    chosen of CUDA's products and convolutions counts for nothing.

    Raises:
        EvaluationError: the device cannot compute that.
    """
    mixed = _MIXED.get(precision)
    autocast = torch.autocast(device.type, dtype=mixed, enabled=mixed is not None)
    try:
        is_cuda = device.type == "cuda"
        # Some processors round to TF32 too, where they are let.
        as_tf32 = is_cuda and precision == "tf32"
        own = _changed(_of_cuda()) if is_cuda else contextlib.nullcontext()
        with (
            torch_as_it_begins(),
            multiplying_float32(as_tf32=as_tf32),
            own,
            autocast,
        ):
            # Torch only warns where it does not know how.
            if mixed and not torch.is_autocast_enabled(device.type):
                raise EvaluationError(_cannot(precision, device))
            yield
    except RuntimeError as error:
        if "not implemented for" not in str(error) or precision in ("fp32", "tf32"):
            raise
        line = str(error).partition("\n")[0]
        raise EvaluationError(f"{_cannot(precision, device)}: {line}") from error


def _cannot(precision: Precision, device: torch.device) -> str:
    return (
        f"torch {torch.__version__} cannot compute this model in {precision} on "
        f"{device.type}; use another --repro-device, or --repro-precision fp32, which "
        "tells what it scores but settles no number that was published otherwise"
    )


_FLOAT32, _TF32 = "ieee", "tf32"


# Torch has two interfaces to how it multiplies float32: `allow_tf32` with
# `set_float32_matmul_precision`, and since 2.9 `fp32_precision`, for everything or for
# an operation. Where somebody used the newer one in another way than the older can
# tell, torch raises a RuntimeError when that is asked.


class _Flag(NamedTuple):
    """A choice that torch keeps for the whole process: what it should be."""

    read: Callable[[], Any]
    write: Callable[[Any], object]
    wanted: tuple[Any, ...]


@contextlib.contextmanager
def multiplying_float32(*, as_tf32: bool) -> Iterator[None]:
    """Multiply in float32, or in TF32 on CUDA devices; then put back what was changed.

    A processor computes in float32 either way: oneDNN's own shortcuts are left out.
    """
    chosen = [(flag, flag.read()) for flag in _new_flags()]
    try:
        with _changed(_flags(as_tf32)):
            yield
    finally:
        # The older interface writes down what nobody had chosen.
        for flag, before in chosen:
            if flag.read() != before:
                flag.write(before)


@contextlib.contextmanager
def _changed(flags: Iterable[_Flag]) -> Iterator[None]:
    """Choose what is wanted, and put back what was changed."""
    changed: list[tuple[_Flag, Any]] = []
    try:
        for flag in flags:
            before = flag.read()
            if before not in flag.wanted:
                changed.append((flag, before))
                flag.write(flag.wanted[0])
        yield
    finally:
        for flag, before in reversed(changed):
            flag.write(before)


def _of_cuda() -> Iterator[_Flag]:
    """Yield what torch begins with, so that numbers are those of anybody's process."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    # Algorithms that are chosen by a clock are others in the next run.
    yield _attribute(cudnn, "benchmark", wanted=False)
    yield _attribute(matmul, "allow_fp16_accumulation", wanted=False)
    for kind in ("fp16", "bf16"):
        yield _reductions(matmul, f"allow_{kind}_reduced_precision_reduction")


def _attribute(owner: object, name: str, *, wanted: bool) -> _Flag:
    def write(value: bool) -> None:
        setattr(owner, name, value)

    return _Flag(lambda: getattr(owner, name), write, (wanted,))


def _reductions(matmul: object, name: str) -> _Flag:
    """Give whether sums may be rounded to 16 bits, and products split along them."""

    def read() -> tuple[bool, bool]:
        return getattr(matmul, name), getattr(matmul, f"{name}_split_k", True)

    return _Flag(read, lambda pair: setattr(matmul, name, pair), ((True, True),))


def _flags(as_tf32: bool) -> Iterator[_Flag]:
    on_cuda = (_TF32,) if as_tf32 else (_FLOAT32, "none")
    on_processor = (_FLOAT32, "none")
    backends = torch.backends
    if _is_new_interface_used():
        yield from _new_flags(on_cuda, on_processor)
        return
    yield _Flag(
        torch.get_float32_matmul_precision,
        torch.set_float32_matmul_precision,
        ("high",) if as_tf32 else ("highest",),
    )
    yield _Flag(
        lambda: backends.cudnn.allow_tf32,
        lambda value: setattr(backends.cudnn, "allow_tf32", value),
        (as_tf32,),
    )


def _new_flags(
    on_cuda: tuple[str, ...] = (), on_processor: tuple[str, ...] = ()
) -> Iterator[_Flag]:
    """Yield the flags of the newer interface."""
    backends: Any = torch.backends
    for backend in (backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn):
        yield _new(backend, on_cuda)
    for name in ("matmul", "conv", "rnn"):
        yield _new(getattr(backends.mkldnn, name), on_processor)


def _new(backend: Any, wanted: tuple[str, ...]) -> _Flag:
    def write(value: str) -> None:
        # What follows from a wider choice goes on following from it.
        backend.fp32_precision = "none"
        if backend.fp32_precision != value:
            backend.fp32_precision = value

    return _Flag(lambda: backend.fp32_precision, write, wanted)


def _is_new_interface_used() -> bool:
    backends: Any = torch.backends
    # What the older interface has no word for.
    only_new = [backends, backends.cudnn, backends.mkldnn]
    only_new += [backends.mkldnn.conv, backends.mkldnn.rnn]
    if any(backend.fp32_precision != "none" for backend in only_new):
        return True
    try:
        torch.get_float32_matmul_precision()
        _ = torch.backends.cudnn.allow_tf32
    except RuntimeError:
        return True
    return False
