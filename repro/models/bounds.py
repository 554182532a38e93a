"""Notice while a model is built that its weights file cannot fill it.

What builds it follows a release's options, which may ask for any number of layers of
any size: they would take as much time and memory as they like before names and shapes
are compared.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Collection, Iterator
from typing import Any, Never

import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks
from torch.overrides import TorchFunctionMode

from repro.errors import WeightsError
from repro.models.state import Contents
from repro.published import ModelSpec

#: What is built and replaced, or tied, counts more than once; and a file of another
#: model is better told by its names, as long as that costs nothing.
_TIMES, _MORE_VALUES, _MORE_TENSORS = 4, 2**28, 5_000
#: Modules to a tensor; and numbers in a row, which libraries walk through one by one.
_MODULES, _IN_A_ROW = 4, 2**22


@contextlib.contextmanager
def no_larger_than(contents: Contents, spec: ModelSpec) -> Iterator[None]:
    """Let a model be built as long as it is no larger than what a file holds.

    Raises:
        WeightsError: it is.
    """
    counter = _Counter(contents, spec)
    registered = (
        hooks.register_module_parameter_registration_hook(counter.add_tensor),
        hooks.register_module_buffer_registration_hook(counter.add_tensor),
        hooks.register_module_module_registration_hook(counter.add_module),
    )
    try:
        with _Measured(counter):
            yield
    finally:
        for hook in registered:
            hook.remove()


class _Counter:
    """Counts what one model gets while this thread builds it."""

    def __init__(self, contents: Contents, spec: ModelSpec) -> None:
        held = [state.tensors.values() for state in contents.states]
        self._held = max(
            (sum(t.values for t in tensors) for tensors in held), default=0
        )
        tensors = max(map(len, held), default=0)
        self._most_values = _TIMES * self._held + _MORE_VALUES
        self._most_tensors = _TIMES * tensors + _MORE_TENSORS
        self._values = self._tensors = self._modules = 0
        self._contents, self._spec = contents, spec
        # The hooks are those of all modules of the process, of other threads' too.
        self._builder = threading.get_ident()

    def add_tensor(self, module: nn.Module, name: str, tensor: Tensor | None) -> None:
        """Count a parameter or a buffer."""
        if tensor is None or threading.get_ident() != self._builder:
            return
        self._tensors += 1
        self._values += tensor.numel()
        if self._tensors > self._most_tensors:
            self._refuse(f"{self._most_tensors:,} tensors")
        self.check(self._values)

    def add_module(self, module: nn.Module, name: str, child: nn.Module | None) -> None:
        """Count a module, which may have nothing of its own."""
        if child is None or threading.get_ident() != self._builder:
            return
        self._modules += 1
        if self._modules > _MODULES * self._most_tensors:
            self._refuse(f"{_MODULES * self._most_tensors:,} modules")

    def check(self, values: int) -> None:
        """Refuse so many values at once, or in all."""
        if values > self._most_values:
            self._refuse(f"{self._most_values:,} values")

    def check_row(self, numbers: int) -> None:
        """Refuse so many numbers in a row, such as those of layers."""
        if numbers > _IN_A_ROW:
            self._refuse(f"{_IN_A_ROW:,} of something")

    def _refuse(self, what: str) -> Never:
        spec = self._spec
        raise WeightsError(
            f"{self._contents.path} holds {self._held:,} values, and the model "
            f"{spec.id!r} ({spec.architecture}) would have more than {what}; the "
            "file is of another model, or the options are wrong: correct them"
        )


class _Measured(TorchFunctionMode):
    """Looks at how large a new tensor is before it takes memory."""

    def __init__(self, counter: _Counter) -> None:
        super().__init__()
        self._counter = counter

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Collection[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Count what it makes, before it does."""
        named = kwargs or {}
        if func in _CHECKS:
            # What cannot be told so is refused, or fails, where it is made.
            with contextlib.suppress(RuntimeError, TypeError, NotImplementedError):
                made = func(*args, **{**named, "device": "meta"})
                _CHECKS[func](self._counter, made.numel())
        return func(*args, **named)


_CHECKS: dict[Callable[..., Any], Callable[[_Counter, int], None]] = {
    **dict.fromkeys((torch.arange, torch.linspace), _Counter.check_row),
    **dict.fromkeys(
        (torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn),
        _Counter.check,
    ),
}
