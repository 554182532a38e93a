"""How torch multiplies float32 numbers, whichever of its interfaces a process uses.

Torch has two: `allow_tf32` with `set_float32_matmul_precision`, and since 2.9
`fp32_precision`, for everything or for an operation. Where somebody used the newer one
in another way than the older can tell, torch raises a RuntimeError when that is asked.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch

_FLOAT32, _TF32 = "ieee", "tf32"


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
    changed: list[tuple[_Flag, Any]] = []
    chosen = [(flag, flag.read()) for flag in _new_flags()]
    try:
        for flag in _flags(as_tf32):
            before = flag.read()
            if before not in flag.wanted:
                changed.append((flag, before))
                flag.write(flag.wanted[0])
        yield
    finally:
        for flag, before in reversed(changed):
            flag.write(before)
        # The older interface writes down what nobody had chosen.
        for flag, before in chosen if changed else ():
            if flag.read() != before:
                flag.write(before)


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
