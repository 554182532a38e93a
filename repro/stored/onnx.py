"""ONNX models as they lie in files: described, and never run.

Read with the package `onnx`, which knows the format and computes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from repro.errors import NotAvailableError, WeightsError
from repro.stored.tensors import StoredTensor, refuse_elsewhere
from repro.words import counted, listed

EXTRA = "pip install 'pytest-repro[onnx]'"
#: Operators that every runtime has; others come as libraries of machine code.
_STANDARD = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft"}


class ValuesElsewhereError(WeightsError):
    """A model some of whose values are in a file that is not beside it."""

    def __init__(self, path: Path, name: str) -> None:
        super().__init__(
            f"{path} keeps values in {name:.100}, which is not beside it; get that "
            "file into the same folder, with its name unchanged"
        )


class Port(msgspec.Struct, frozen=True):
    """What goes into a model or comes out: type and shape, None where any size goes."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        """Write it as inspect shows it."""
        sizes = ", ".join("any" if size is None else str(size) for size in self.shape)
        return f"{self.name}: {self.dtype} [{sizes}]"


class Graph(msgspec.Struct, frozen=True, kw_only=True):
    """A model of ONNX.

    Attributes:
        producer: what wrote it, and the version of the operators.
        inputs: what it is given, without what the file has values for.
        outputs: what it gives.
        tensors: its values by name, described only.
        probabilities: outputs that are those of a softmax.
        files: the files beside it that hold some of its values.
    """

    producer: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    tensors: Mapping[str, StoredTensor]
    probabilities: frozenset[str]
    files: tuple[Path, ...]

    @property
    def classes(self) -> int | None:
        """How many outputs there are for an image, if it says so."""
        shape = self.outputs[0].shape if len(self.outputs) == 1 else ()
        return shape[-1] if len(shape) == 2 else None


def read_graph(path: Path) -> Graph:
    """Describe a model.

    Raises:
        NotAvailableError: the package that reads such files is not installed.
        ValueError: it is damaged.
        WeightsError: it needs operators of its own, or files elsewhere.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise NotAvailableError(
            f"{path} is an ONNX model, which is read with onnx and onnxruntime; run "
            f"{EXTRA}",
            "the packages that read ONNX",
            EXTRA,
        ) from error
    try:
        model: Any = onnx.load_model(str(path), load_external_data=False)
    except DecodeError as error:
        raise ValueError("it cannot be read as ONNX, and may be cut off") from error
    if not model.graph.node:
        raise ValueError("it is an ONNX model without a graph")
    _check_operators(path, model)
    graph, given = model.graph, {one.name for one in model.graph.initializer}
    opset = next((o.version for o in model.opset_import if o.domain in _STANDARD), 0)
    return Graph(
        producer=f"opset {opset}, of {model.producer_name or 'an unnamed exporter'}",
        inputs=tuple(_port(one) for one in graph.input if one.name not in given),
        outputs=tuple(_port(one) for one in graph.output),
        tensors={one.name: _tensor(one) for one in graph.initializer},
        probabilities=frozenset(
            output
            for node in graph.node
            for output in node.output
            if node.op_type == "Softmax" and not node.domain
        ),
        files=_files_beside(path, model),
    )


def _port(value: Any) -> Port:
    import onnx

    kind = value.type.tensor_type
    sizes = (one.dim_value if one.dim_value > 0 else None for one in kind.shape.dim)
    return Port(value.name, _dtype(onnx, kind.elem_type), tuple(sizes))


def _tensor(stored: Any) -> StoredTensor:
    import onnx

    return StoredTensor(_dtype(onnx, stored.data_type), tuple(stored.dims))


def _dtype(onnx: Any, number: int) -> str:
    """Give torch's name of a type."""
    if number not in onnx.TensorProto.DataType.values():
        return "no tensor"
    name: str = onnx.TensorProto.DataType.Name(number).lower()
    return {"float": "float32", "double": "float64"}.get(name, name)


def _check_operators(path: Path, model: Any) -> None:
    own = {(function.domain, function.name) for function in model.functions}
    foreign = Counter(
        f"{node.domain}.{node.op_type}"
        for node in _within(model, "NodeProto")
        if node.domain not in _STANDARD and (node.domain, node.op_type) not in own
    )
    if foreign:
        raise WeightsError(
            f"{path} needs {counted(len(foreign), 'operator')} that ONNX does not have "
            f"({listed([name[:60] for name in foreign])}): they come as machine code, "
            "which is not loaded; export it again with standard operators"
        )


def _files_beside(path: Path, model: Any) -> tuple[Path, ...]:
    """Name the files that hold some of the values.

    Raises:
        WeightsError: they are not beside the model, or not there.
    """
    from onnx.external_data_helper import uses_external_data

    names = {
        entry.value
        for tensor in _within(model, "TensorProto")
        if uses_external_data(tensor)
        for entry in tensor.external_data
        if entry.key == "location"
    }
    for name in sorted(names):
        refuse_elsewhere(path, name, "model")
        if not (path.parent / name).is_file():
            raise ValuesElsewhereError(path, name)
    return tuple(path.parent / name for name in sorted(names))


def _within(message: Any, kind: str) -> Iterator[Any]:
    """Yield what of a kind is in a message, also in branches and functions."""
    for field, value in message.ListFields():
        if (about := field.message_type) is None:
            continue
        for part in [value] if hasattr(value, "ListFields") else value:
            if about.name == kind:
                yield part
            # What is in a tensor are its values, which would be copied.
            if about.name != "TensorProto":
                yield from _within(part, kind)
