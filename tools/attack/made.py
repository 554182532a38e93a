"""What is made to do harm, in formats that can say more than they hold."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from .attack import RAN, Attack
from .damage import TEXTS, damaged
from .sound import NUMBERS, TOML, commands

#: Bytes that a bomb unpacks to.
BOMB = 2**29


@cache
def bombs() -> dict[str, dict[str, bytes]]:
    """Make small files of arrays that say, or unpack to, very large ones, by kind."""
    zeros = _zeros(BOMB)
    header = io.BytesIO()
    shape = (BOMB // 3072, 32, 32, 3)
    how = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, how)
    npz = io.BytesIO()
    with zipfile.ZipFile(npz, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("x_test.npy", "y_test.npy"):
            with archive.open(name, "w", force_zip64=True) as entry:
                entry.write(header.getvalue())
                for _ in range(BOMB // 2**20):
                    entry.write(bytes(2**20))
    endless = struct.pack(">4I", 0x0803, 2**32 - 1, 2**32 - 1, 2**32 - 1)
    return {
        "SVHN": {"test_32x32.mat": _matlab(zeros), "a.mat": _matlab(b"")},
        "MNIST": {"t10k-images-idx3-ubyte": endless},
        "NumPy": {"digits.npz": npz.getvalue()},
    }


def _zeros(size: int) -> bytes:
    packing = zlib.compressobj(9)
    packed = (packing.compress(bytes(2**20)) for _ in range(size // 2**20))
    return b"".join(packed) + packing.flush()


def _matlab(compressed: bytes) -> bytes:
    head = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H2s", 0x0100, b"IM")
    return head + struct.pack("<2I", 15, len(compressed)) + compressed


#: Cells, and what stands around them, that are more than they seem.
CELLS = st.sampled_from(
    [
        '<td colspan="999999999">1</td>',
        '<td rowspan="999999999">1</td>',
        '<td colspan="-1">1</td>',
        "<table><tr><td>" * 3000,
        "<b>" * 9000,
        "&amp;" * 5000,
        "&#99999999999;",
        "&#x1b;[31m",
        '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]>&b;',
        r"\multicolumn{999999999}{c}{1}",
        r"\multirow{999999999}{*}{1}",
        r"\def\a{\a\a}\a",
        r"\input{/etc/hostname}",
        r"\textbf{" * 3000,
        "{" * 9000,
        "$" * 9001,
        "[a](" * 3000,
        "**" * 9000,
        "9" * 5000,
        "1e999999999",
        "\\begin{tabular}" * 2000,
        "|" * 20000,
    ]
)


def _doubled(times: int) -> str:
    """Write a list of two, which are both a list of two, and so on."""
    lists = (f"b{n}: &b{n} [*b{n - 1}, *b{n - 1}]\n" for n in range(1, times))
    return "".join(["b0: &b0 [x, x]\n", *lists])


#: What a head may have besides, so that it is read to its end.
_INDEX = """model-index:
- name: a
  results:
  - task:
      type: image-classification
    dataset:
      type: imagenet-1k
      name: ImageNet-1k
    metrics:
    - type: accuracy
      value: 76.5
"""
#: Heads of model cards that are small, and large or hostile once they are read.
HEADS = st.sampled_from(
    [
        _doubled(40),
        "a: &a [*a]\n",
        "a: &a {b: *a}\nmodel-index: *a\n",
        "a: &a {x: 1}\n<<: [*a, *a]\n",
        f"a: !!python/object/apply:os.system ['touch {RAN}']\n",
        f"a: !!python/object/new:pathlib.Path.touch [[{RAN}]]\n",
        "a: " + "[" * 5000 + "\n",
        "a: " + "[" * 5000 + "]" * 5000 + "\n",
        "? " * 3000 + "\n",
        "- " * 3000 + "\n",
        "a: !!binary " + "A" * 9000 + "\n",
        "a: 1:" + ":1" * 3000 + "\n",
        "a: 2001-99-99\n",
        "a: 0x" + "f" * 9000 + "\n",
        "a: '\\x1b[31m'\n",
        "model-index: 5\n",
        "--- \n--- \n",
        "%TAG ! tag:a,2000:\n",
    ]
).map(lambda head: head + _INDEX)


# Models of ONNX -----------------------------------------------------------------------


def _sound() -> Any:
    """Make a small classifier: float32 `[N, 3, 8, 8]` into `[N, 4]`."""
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(0)
    values = {"w": (4, 3, 3, 3), "h": (4, 4)}
    held = [
        numpy_helper.from_array(random.normal(size=size).astype(np.float32), name)
        for name, size in values.items()
    ]
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("GlobalAveragePool", ["c"], ["g"]),
        helper.make_node("Flatten", ["g"], ["f"]),
        helper.make_node("MatMul", ["f", "h"], ["y"]),
    ]
    images = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 8, 8])
    logits = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])
    graph = helper.make_graph(nodes, "g", [images], [logits], held)
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )


SIZES = st.sampled_from([0, 1, -1, 7, 2**31 - 1, 2**31, 2**40, 2**63 - 1])
PLACES = st.sampled_from(
    ["/etc/hostname", "../w.onnx", "w.onnx", "..", "", "a/b", "\\\\a\\b", "file:///a"]
)
Edit = Callable[[st.DrawFn, Any], None]


def _value(draw: st.DrawFn, model: Any) -> Any:
    return draw(st.sampled_from(list(model.graph.initializer)))


def _elsewhere(draw: st.DrawFn, model: Any) -> None:
    """Let values lie in another file."""
    from onnx.external_data_helper import set_external_data

    place, offset, length = draw(PLACES | TEXTS), draw(SIZES), draw(SIZES)
    value = _value(draw, model)
    set_external_data(value, place, offset=offset, length=length)
    if draw(st.booleans()):
        value.ClearField("raw_data")


def _sized(draw: st.DrawFn, model: Any) -> None:
    value = _value(draw, model)
    value.dims[draw(st.integers(0, len(value.dims) - 1))] = draw(SIZES)


def _typed(draw: st.DrawFn, model: Any) -> None:
    _value(draw, model).data_type = draw(st.integers(-1, 30))


def _port(draw: st.DrawFn, model: Any) -> None:
    """Give an input or output another type, size or name."""
    graph = model.graph
    port = draw(st.sampled_from([*graph.input, *graph.output]))
    tensor, what = port.type.tensor_type, draw(st.integers(0, 3))
    if what == 0:
        tensor.elem_type = draw(st.integers(-1, 30))
    elif what == 1:
        place = draw(st.integers(0, len(tensor.shape.dim) - 1))
        tensor.shape.dim[place].dim_value = draw(SIZES)
    elif what == 2:
        port.name = draw(TEXTS)
    else:
        port.type.Clear()


def _without(draw: st.DrawFn, model: Any) -> None:
    """Leave all outputs, inputs, values, nodes or operator sets out."""
    graph = model.graph
    lists = [graph.output, graph.input, graph.initializer, graph.node]
    del draw(st.sampled_from([*lists, model.opset_import]))[:]


def _named(draw: st.DrawFn, model: Any) -> None:
    """Call an operator, or where it is from, anything."""
    node = draw(st.sampled_from(list(model.graph.node)))
    operators = ["Loop", "If", "Scan", "ConstantOfShape", "Softmax", "StringNormalizer"]
    node.op_type = draw(st.sampled_from(operators) | TEXTS)
    domains = ["", "ai.onnx.ml", "com.microsoft", "ai.onnx.training", "my.own"]
    node.domain = draw(st.sampled_from(domains) | TEXTS)
    if draw(st.booleans()):
        model.opset_import.add(domain=node.domain, version=draw(st.integers(-1, 99)))


def _large(draw: st.DrawFn, model: Any) -> None:
    """Compute something large of nothing."""
    from onnx import helper, numpy_helper

    size = np.array([draw(SIZES)] * draw(st.integers(1, 3)), np.int64)
    model.graph.initializer.append(numpy_helper.from_array(size, "s"))
    model.graph.node.insert(0, helper.make_node("ConstantOfShape", ["s"], ["l"]))


def _nested(draw: st.DrawFn, model: Any) -> None:
    """Put branches into branches, which ask for operators or files of their own."""
    from onnx import TensorProto, helper, numpy_helper
    from onnx.external_data_helper import set_external_data

    value = numpy_helper.from_array(np.zeros(1, np.float32), "v")
    set_external_data(value, draw(PLACES))
    domain = draw(st.sampled_from(["", "my.own"]))
    inner = helper.make_node("Identity", ["v"], ["b"], domain=domain)
    given = helper.make_tensor_value_info("b", TensorProto.FLOAT, None)
    graph = helper.make_graph([inner], "b", [], [given], [value])
    for _ in range(draw(st.integers(0, 20))):
        # Both branches at each level would be a million of them.
        node = helper.make_node("If", ["t"], ["b"], then_branch=graph)
        graph = helper.make_graph([node], "b", [], [given])
    model.graph.node.append(helper.make_node("If", ["t"], ["i"], then_branch=graph))


def _function(draw: st.DrawFn, model: Any) -> None:
    """Define an operator, by itself or by others."""
    from onnx import helper

    name = draw(st.sampled_from(["Own", "Relu"]))
    inner = helper.make_node(
        draw(st.sampled_from(["Own", "Relu", "Sort"])), ["a"], ["b"]
    )
    inner.domain = draw(st.sampled_from(["", "my.own", "other"]))
    sets = [helper.make_opsetid("", 17), helper.make_opsetid("my.own", 1)]
    made = helper.make_function("my.own", name, ["a"], ["b"], [inner], sets)
    model.functions.append(made)
    model.opset_import.append(helper.make_opsetid("my.own", 1))
    model.graph.node.append(helper.make_node(name, ["y"], ["z"], domain="my.own"))
    model.graph.output[0].name = draw(st.sampled_from(["y", "z"]))


def _texts(draw: st.DrawFn, model: Any) -> None:
    model.producer_name = draw(TEXTS)
    model.graph.name = draw(TEXTS)
    model.ir_version = draw(SIZES)


_EDITS: tuple[Edit, ...] = (
    *(_elsewhere, _sized, _typed, _port, _without, _named, _large, _nested),
    *(_function, _texts),
)


@st.composite
def onnx(draw: st.DrawFn) -> Attack:
    """Spoil a model of ONNX, as bytes or in what it says."""
    model = _sound()
    if draw(st.integers(0, 3)):
        for edit in draw(st.lists(st.sampled_from(_EDITS), min_size=1, max_size=2)):
            try:
                edit(draw, model)
            except (ValueError, TypeError, IndexError):
                assume(condition=False)
        content = model.SerializeToString()
    else:
        content = draw(damaged(model.SerializeToString()))
    command = draw(commands("inspect w.onnx", "predict w.onnx"))
    said = NUMBERS if command[0] == "inspect" else ()
    return Attack("onnx", (*command, *said), {"w.onnx": content, **TOML})
