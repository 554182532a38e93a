"""Say what a weights file holds, without running anything that is in it."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import msgspec

from repro.models.architecture import (
    Architecture,
    architectures_named,
    count_outputs,
    infer_architecture,
)
from repro.models.containers import check_complete, parts_of
from repro.models.state import Contents, Reading, State, read_contents
from repro.stored.onnx import Graph
from repro.stored.tensors import StoredTensor


class Inspection(msgspec.Struct, frozen=True, kw_only=True):
    """What a weights file holds.

    `entry` is where the state dict stands, empty if the file is one; `others` are the
    entries beside it, and `rivals` those of them that hold tensors by name too.
    `prefix` is what all its names begin with, and `done` what else is done to read it;
    `shapes` are those of its tensors, without the prefix, and `dtypes` counts them.
    `classes` is how many outputs a head has; `logit_scale` is the factor, not its
    logarithm. `graph` is there where the file brings its architecture.
    """

    path: Path
    size: int
    format: str
    entry: str
    others: tuple[str, ...]
    rivals: tuple[str, ...]
    prefix: str
    done: tuple[str, ...]
    shapes: dict[str, tuple[int, ...]]
    parameters: int
    dtypes: dict[str, int]
    architecture: Architecture | None
    classes: int | None
    logit_scale: float | None
    graph: Graph | None = None


def inspect_weights(path: Path) -> Inspection:
    """Read the names, shapes and types of a file's tensors.

    Raises:
        WeightsError: it is damaged, holds no tensors, or needs more than tensors to be
            read; the message says what.
        NotAvailableError: a package that reads it is not installed.
    """
    check_complete(path)
    contents = read_contents(path)
    if contents.container.graph is not None:
        return _of_graph(path, contents.container.graph)
    state = contents.usual()
    reading = _understood(contents, state)
    tensors = reading.tensors.values()
    top = (
        state.entry
        if state.entry in contents.entries
        else state.entry.partition(".")[0]
    )
    return Inspection(
        path=path,
        size=sum(part.stat().st_size for part in parts_of(path)),
        format=contents.container.format,
        entry=state.entry,
        others=tuple(n for n in contents.entries if state.entry and n != top),
        rivals=tuple(s.entry for s in contents.chosen("") if s.entry != state.entry),
        prefix=reading.prefix,
        done=reading.done,
        shapes=reading.shapes,
        parameters=sum(tensor.values for tensor in tensors),
        dtypes=dict(Counter(tensor.kind or tensor.dtype for tensor in tensors)),
        architecture=infer_architecture(reading.shapes),
        classes=count_outputs(reading.shapes),
        logit_scale=_logit_scale(reading.tensors.get("logit_scale")),
    )


def _of_graph(path: Path, graph: Graph) -> Inspection:
    """Describe a model of ONNX, which has no entries, and its names no prefix."""
    tensors = graph.tensors.values()
    sizes = [size for one in graph.inputs if len(one.shape) == 4 for size in one.shape]
    # Height and width are the sizes that are no numbers of images or channels.
    side = next((size for size in sizes[1:] if size and size > 4), None)
    return Inspection(
        path=path,
        size=sum(part.stat().st_size for part in (path, *graph.files)),
        format=f"ONNX, {graph.producer}",
        entry="",
        others=(),
        rivals=(),
        prefix="",
        done=(),
        shapes={name: tensor.shape for name, tensor in graph.tensors.items()},
        parameters=sum(t.values for t in tensors if t.dtype.startswith("float")),
        dtypes=dict(Counter(tensor.dtype for tensor in tensors)),
        architecture=Architecture(
            kind="supervised",
            library="onnx",
            family="in the file itself",
            facts={"image size": side} if side else {},
        ),
        classes=graph.classes,
        logit_scale=None,
        graph=graph,
    )


def _understood(contents: Contents, state: State) -> Reading:
    """Choose the reading whose architecture is known, else the barest."""
    readings = list(contents.readings(state))
    known = (
        one
        for one in readings
        if infer_architecture(one.shapes) or architectures_named(one.shapes)
    )
    return next(known, max(readings, key=lambda one: len(one.prefix)))


def _logit_scale(stored: StoredTensor | None) -> float | None:
    if stored is None or stored.values != 1 or stored.special:
        return None
    value = stored.read()
    try:
        return None if value.is_complex() else math.exp(float(value))
    except OverflowError:
        return math.inf
