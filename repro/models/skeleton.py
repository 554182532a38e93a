"""Build models without initialising them, and find the one that some tensors are of."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, Never

import msgspec
import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks
from torch.overrides import TorchFunctionMode

from repro.errors import ExpectedError, WeightsError
from repro.models.inspection import (
    architectures_named,
    infer_architecture,
    usual_models,
)
from repro.models.libraries import find_loader
from repro.models.names import Faults, Shapes, find_faults
from repro.models.state import Contents
from repro.published import ModelSpec

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
#: Arguments of a function that take the number of classes.
_CLASSES = ("num_classes", "n_classes", "classes")
#: What is built and replaced, or tied, counts more than once; and a file of another
#: model is better told by its names, as long as that costs nothing.
_TIMES, _MORE_VALUES, _MORE_TENSORS = 4, 2**28, 5_000
#: Modules to a tensor; and numbers in a row, which libraries walk through one by one.
_MODULES, _IN_A_ROW = 4, 2**22


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
    hook = hooks.register_module_parameter_registration_hook(
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


def fitting_model(shapes: Shapes, weights_key: str = "") -> ModelSpec | None:
    """Find a model of a library that every name and shape fits, the most usual."""
    return next(fitting_models(shapes, weights_key), None)


def fitting_models(shapes: Shapes, weights_key: str = "") -> Iterator[ModelSpec]:
    """List the models of libraries that every name and shape fits.

    Several differ in what no tensor tells, such as padding. What two libraries call the
    same is listed once.
    """
    seen: set[str] = set()
    for loader, name, options in _candidates(shapes):
        spec = ModelSpec(
            id="main",
            loader=loader,
            architecture=name,
            options=options,
            weights_key=weights_key,
        )
        if name not in seen and (fitting := _fitted(spec, shapes)):
            seen.add(name)
            yield fitting


def _candidates(shapes: Shapes) -> Iterator[tuple[str, str, dict[str, int]]]:
    """List loader, name and options of what shapes tell of, then of what names do.

    Each comes once: with the options that shapes tell it fits, or with none.
    """
    architecture = infer_architecture(shapes)
    told = [*usual_models(architecture)] if architecture else []
    told += [(loader, name, {}) for loader, name in architectures_named(shapes)]
    listed: set[tuple[str, str]] = set()
    for loader, name, options in told:
        if (loader, name) not in listed:
            listed.add((loader, name))
            yield loader, name, options


def _fitted(spec: ModelSpec, shapes: Shapes) -> ModelSpec | None:
    """Give a model the number of classes that some tensors have, if it is theirs."""
    faults = _faults(spec, Path(), shapes)
    if faults is None or faults.missing or faults.unknown:
        return None
    if not faults.number:
        return spec
    outputs = [*{shape[0] for name in faults.reshaped if (shape := shapes[name])}]
    if len(outputs) != 1 or "num_classes" in spec.options:
        return None
    options = {**spec.options, "num_classes": outputs[0]}
    return _fitted(msgspec.structs.replace(spec, options=options), shapes)


def fitting_code(
    shapes: Shapes, code: Path, classes: int, weights_key: str = "", prefix: str = ""
) -> ModelSpec | None:
    """Find what in a file of Python builds a model that every name and shape fits.

    Runs the file, and calls what it defines.

    Args:
        shapes: of the tensors of a weights file.
        code: the file of Python.
        classes: what is tried for an argument `num_classes`.
        weights_key: the entry of the weights file that they are in.
        prefix: what was taken off all their names; a part of it may be the model's.

    Raises:
        ExpectedError: the file cannot be run.
    """
    steps = prefix.split(".")[:-1]
    tails = ["".join(f"{step}." for step in steps[n:]) for n in range(len(steps) + 1)]
    named = [{f"{tail}{name}": s for name, s in shapes.items()} for tail in tails]
    for name, options in _calls(code, classes):
        spec = ModelSpec(
            id="main",
            loader="python",
            architecture=name,
            code=code.name,
            options=options,
            weights_key=weights_key,
        )
        found = [_faults(spec, code.parent, names) for names in named]
        if any(faults is not None and not faults.number for faults in found):
            return spec
    return None


def _calls(code: Path, classes: int) -> Iterator[tuple[str, dict[str, int]]]:
    """List how the functions and classes of a file can be called."""
    from repro.models.libraries import makers, parameters_of

    for name, make in makers(code).items():
        parameters = parameters_of(make)
        needed = {one for one, is_needed in parameters.items() if is_needed}
        if not needed:
            yield name, {}
        if needed <= set(_CLASSES):
            yield from ((name, {one: classes}) for one in _CLASSES if one in parameters)


def _faults(spec: ModelSpec, location: Path, shapes: Shapes) -> Faults | None:
    """Compare some tensors with a model's; None if there is none of that name."""
    try:
        loader = find_loader(spec.loader)
        model = uninitialised(lambda: loader.build(spec, location))
    except ExpectedError:
        return None
    wanted = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    return find_faults(shapes, wanted)


def options_text(spec: ModelSpec) -> str:
    """Write the options of a model as they are said behind its name."""
    return "".join(f", {key} = {value}" for key, value in spec.options.items())


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
