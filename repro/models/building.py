"""Build a model and give it the tensors of a file, without initialising it first."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.overrides import TorchFunctionMode

from repro.errors import WeightsError
from repro.models.libraries import Loader, find_loader
from repro.models.state import StateDict, read_state_dict
from repro.published import ModelSpec
from repro.words import counted_names

#: Archives of NumPy arrays, as models that were trained with JAX are published.
_ARRAYS = {".npz", ".npy"}

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


def load_model(
    spec: ModelSpec, location: Path, weights: Path, device: torch.device
) -> nn.Module:
    """Load a checkpoint into its architecture: float32, for inference, strictly.

    Args:
        spec: the architecture.
        location: folder of the TOML file, for files that the spec names.
        weights: the checkpoint.
        device: where the model goes.

    Raises:
        WeightsError: the file is damaged or holds another architecture.
        ExpectedError: the spec names a loader or an architecture that does not exist.
    """
    loader = find_loader(spec.loader)
    model: nn.Module | None
    if weights.suffix in _ARRAYS:
        model = _load_arrays(loader, spec, weights)
    else:
        # Read here for every loader, so that none can take another entry.
        state = read_state_dict(weights, spec.weights_key)
        with _named(weights):
            model = loader.load(spec, state)
        if model is None:
            model = _fill(loader, spec, location, weights, state)
    return model.requires_grad_(False).to(device).eval()


def _load_arrays(loader: Loader, spec: ModelSpec, weights: Path) -> nn.Module:
    """Have a library read an archive of NumPy arrays, which has no entries."""
    if spec.weights_key:
        raise WeightsError(
            f"{weights} holds arrays, which have no entry {spec.weights_key!r}; leave "
            f"weights_key of the model {spec.id!r} out"
        )
    with _named(weights):
        model = loader.load_arrays(spec, weights)
    if model is None:
        raise WeightsError(
            f"{weights} holds arrays, which loader {spec.loader} does not read for "
            f"{spec.architecture!r}; give a file of torch or safetensors"
        )
    return model


@contextlib.contextmanager
def _named(weights: Path) -> Iterator[None]:
    """Name the file in what a loader says of its tensors."""
    try:
        yield
    except WeightsError as error:
        raise WeightsError(f"{weights} {error}") from error


def _fill(
    loader: Loader, spec: ModelSpec, location: Path, weights: Path, state: StateDict
) -> nn.Module:
    """Build an architecture without initialising it and give it the tensors."""
    with skeleton():
        model = loader.build(spec, location)
    if any(buffer.is_meta for buffer in model.buffers()):
        # Buffers that are computed where the parameters are need real ones.
        model = loader.build(spec, location)
    wanted = model.state_dict()
    _check_fit(spec, weights, state, wanted)
    _assign(model, state, wanted)
    return model


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


def _assign(model: nn.Module, state: StateDict, wanted: Mapping[str, Tensor]) -> None:
    """Give a skeleton its tensors, in the model's own types, as copying them would."""
    tied: dict[int, list[tuple[nn.Module, str]]] = {}
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                tied.setdefault(id(parameter), []).append((module, name))
    converted = {name: tensor.to(wanted[name].dtype) for name, tensor in state.items()}
    model.load_state_dict(converted, strict=True, assign=True)
    for places in tied.values():
        # The entry that is copied last is the one that counts.
        module, name = places[-1]
        for other, other_name in places[:-1]:
            setattr(other, other_name, getattr(module, name))


def _check_fit(
    spec: ModelSpec, weights: Path, state: StateDict, wanted: Mapping[str, Tensor]
) -> None:
    missing = [name for name in wanted if name not in state]
    unknown = [name for name in state if name not in wanted]
    reshaped = [
        f"{name} {list(state[name].shape)} instead of {list(wanted[name].shape)}"
        for name in wanted
        if name in state and state[name].shape != wanted[name].shape
    ]
    if missing or unknown or reshaped:
        faults = [
            counted_names(missing, "key is missing", "keys are missing"),
            counted_names(unknown, "key is unknown", "keys are unknown"),
            counted_names(reshaped, "has another shape", "have another shape"),
        ]
        raise WeightsError(
            f"{weights} does not fit {spec.loader} {spec.architecture}: "
            f"{', '.join(filter(None, faults))}. It holds another architecture, or the "
            f"model {spec.id!r} is described wrongly"
        )
