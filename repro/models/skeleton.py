"""Build models without initialising them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Collection, Iterator
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.overrides import TorchFunctionMode

from repro.errors import ExpectedError

#: Methods of tensors that initialise.
_FILLING = {
    "add_",
    "clamp_",
    "erfinv_",
    "fill_",
    "mul_",
    "normal_",
    "uniform_",
    "zero_",
}


def uninitialised(build: Callable[[], nn.Module]) -> nn.Module:
    """Build a model without initialising it, wherever it can be built so.

    Some compute with their parameters while they are built, or make buffers where
    their parameters are: these are built as they are.

    Raises:
        ExpectedError: it cannot be built in any way.
    """
    try:
        with skeleton():
            model = build()
    except ExpectedError:
        return build()
    return build() if any(buffer.is_meta for buffer in model.buffers()) else model


@contextlib.contextmanager
def skeleton() -> Iterator[None]:
    """Build modules whose parameters have a shape but no memory.

    Random initialisation, most of the time of building a model, then costs nothing.
    Buffers stay real: those that no checkpoint holds (an attention mask, say) are
    computed when the module is built.
    """
    builder = threading.get_ident()
    replaced: dict[int, tuple[nn.Parameter, nn.Parameter]] = {}

    def register_on_meta(
        module: nn.Module, name: str, parameter: nn.Parameter
    ) -> nn.Parameter | None:
        # The hook is that of all modules of the process, also of those that another
        # thread builds meanwhile.
        if parameter.is_meta or threading.get_ident() != builder:
            return None
        # Remembered with the original, so that tied parameters stay tied.
        _, replacement = replaced.setdefault(
            id(parameter),
            (parameter, nn.Parameter(parameter.to("meta"), requires_grad=False)),
        )
        return replacement

    # Its annotation knows no hook that returns the parameter to register instead.
    hook = register_module_parameter_registration_hook(
        register_on_meta  # type: ignore[arg-type]
    )
    try:
        with _Unfilled():
            yield
    finally:
        hook.remove()


class _Unfilled(TorchFunctionMode):
    """Leaves out what would fill parameters that have no memory; it is not free."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Collection[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Give back the tensor where only its values would change."""
        # Functions of torch.nn.init hand their tensor on by name.
        first = args[0] if args else (kwargs or {}).get("tensor")
        name = getattr(func, "__name__", "")
        if name in _FILLING and isinstance(first, Tensor) and first.is_meta:
            return first
        return func(*args, **(kwargs or {}))
