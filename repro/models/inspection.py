"""Say what a weights file holds, without running anything that is in it."""

from __future__ import annotations

import math
import zipfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from repro.errors import ExpectedError, WeightsError
from repro.models.architecture import (
    Architecture,
    count_outputs,
    infer_architecture,
    usual_models,
)
from repro.models.libraries import find_loader
from repro.models.state import WRAPPERS, common_prefix, read_contents
from repro.models.weights import check_complete
from repro.published import ModelSpec

if TYPE_CHECKING:
    from torch import Tensor


class Inspection(msgspec.Struct, frozen=True, kw_only=True):
    """What a weights file holds.

    `entry` is where the state dict stands, empty if the file is one; `others` are the
    entries beside it, and `rivals` those of them that hold tensors by name too.
    `prefix` is what all its names begin with; `shapes` are those of its tensors and
    `dtypes` counts them. `classes` is how many outputs a head has; `logit_scale` is the
    factor, not its logarithm.
    """

    path: Path
    size: int
    format: str
    entry: str
    others: tuple[str, ...]
    rivals: tuple[str, ...]
    prefix: str
    shapes: dict[str, tuple[int, ...]]
    parameters: int
    dtypes: dict[str, int]
    architecture: Architecture | None
    classes: int | None
    logit_scale: float | None


def inspect_weights(path: Path) -> Inspection:
    """Read the names, shapes and types of a file's tensors.

    Raises:
        WeightsError: it is damaged, holds no tensors, or needs more than tensors to be
            read, which could run code; the message says what.
    """
    try:
        check_complete(path)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from error
    contents = read_contents(path)
    entry, tensors = contents.usual()
    prefix = common_prefix(tensors, (*WRAPPERS, "model."))
    plain = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    shapes = {name: tuple(tensor.shape) for name, tensor in plain.items()}
    top = entry if entry in contents.saved else entry.partition(".")[0]
    return Inspection(
        path=path,
        size=path.stat().st_size,
        format=_format(path),
        entry=entry,
        others=tuple(str(name) for name in contents.saved if entry and name != top),
        rivals=tuple(name for name, _ in contents.states if name != entry),
        prefix=prefix,
        shapes={name: tuple(tensor.shape) for name, tensor in tensors.items()},
        parameters=sum(tensor.numel() for tensor in tensors.values()),
        dtypes=dict(
            Counter(str(t.dtype).removeprefix("torch.") for t in tensors.values())
        ),
        architecture=infer_architecture(shapes),
        classes=count_outputs(shapes),
        logit_scale=_logit_scale(plain),
    )


def fitting_model(found: Inspection) -> ModelSpec | None:
    """Find a usual model of a library that every name and shape of a file fits."""
    from repro.models.building import skeleton

    if found.architecture is None:
        return None
    for loader, name, options in usual_models(found.architecture):
        spec = ModelSpec(
            id="main",
            loader=loader,
            architecture=name,
            options=options,
            weights_key=found.entry,
        )
        try:
            with skeleton():
                model = find_loader(loader).build(spec, found.path.parent)
        except ExpectedError:  # The library has no model of that name.
            continue
        state = model.state_dict()
        if {name: tuple(t.shape) for name, t in state.items()} == found.shapes:
            return spec
    return None


def _format(path: Path) -> str:
    if path.suffix == ".safetensors":
        return "safetensors"
    return "torch zip" if zipfile.is_zipfile(path) else "torch pickle of before 1.6"


def _logit_scale(state: dict[str, Tensor]) -> float | None:
    stored = state.get("logit_scale")
    if stored is None or stored.numel() != 1 or stored.is_meta or stored.is_complex():
        return None
    try:
        return math.exp(float(stored))
    except OverflowError:
        return math.inf
