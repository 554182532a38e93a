"""Read pickles without running them: tensors as descriptions, the rest as inert values.

Python's own reader imports and calls whatever a pickle names. This one is a machine of
its own that has nothing to call: what torch writes for tensors becomes a description of
them, and every other object a value that only says what it was called.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

import msgspec

from repro.stored.tensors import ITEM_SIZES, Storage, StoredTensor, Table, dense

#: Storage classes of torch -> type of their values.
_STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexDoubleStorage": "complex128",
    "ComplexFloatStorage": "complex64",
    "UntypedStorage": "uint8",
    "QInt8Storage": "int8",
    "QUInt8Storage": "uint8",
    "QInt32Storage": "int32",
}
_TABLES = {"OrderedDict", "defaultdict", "Counter"}


class Global(msgspec.Struct, frozen=True):
    """The name of a class or function that a pickle wants imported."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class Unread(msgspec.Struct, eq=False):
    """An object that is not made: its class, and what it was to be made of."""

    of: Global
    arguments: Any = ()
    state: Any = None
    items: Table = msgspec.field(default_factory=Table)


def is_module(value: object) -> bool:
    """Whether an object is a module of torch, or of a TorchScript program."""
    if not isinstance(value, Unread) or not isinstance(value.state, Table):
        return False
    is_script = value.of.module.startswith("__torch__")
    return is_script or {"_parameters", "_modules"} <= value.state.keys()


class TypedStorage(msgspec.Struct, eq=False):
    """A storage as a pickle means it: of one type, beginning somewhere in the bytes."""

    storage: Storage
    dtype: str
    begin: int = 0


class Pickled(msgspec.Struct, frozen=True):
    """What a pickle holds, its storages by their keys, and objects that are left."""

    content: Any
    storages: dict[str, TypedStorage]
    unread: tuple[Unread, ...]


def read_pickle(stream: BinaryIO, storages: Mapping[str, TypedStorage] = {}) -> Pickled:
    """Read one pickle from a stream, which then stands behind it.

    Args:
        stream: a file, or bytes.
        storages: those that are known by their keys already.

    Raises:
        ValueError: it is damaged, or no pickle.
    """
    machine = _Machine(dict(storages))
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            machine.step(opcode.name, argument)
        content = machine.pop()
    except (IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"its pickle is damaged ({error!r:.60})") from error
    return Pickled(content, machine.storages, tuple(machine.unread))


class _Machine:
    """A stack and a memo, as the pickle protocol has them."""

    def __init__(self, storages: dict[str, TypedStorage]) -> None:
        self.storages = storages
        self.unread: list[Unread] = []
        self.stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        """Do what one instruction says.

        Raises:
            ValueError: no file of tensors has such an instruction.
        """
        kind = name.removeprefix("SHORT_").removeprefix("LONG_").rstrip("0123456789")
        # Tables of what is known, and no `getattr` by a name of the file: what is in
        # none of them can do nothing here.
        if kind in _PUSHING:
            self.push(argument)
        elif name in _MAKING:
            self.push(_MAKING[name]())
        elif name in _DOING:
            _DOING[name](self, argument)
        elif name.startswith("EXT"):
            self.push(Global("copyreg", f"extension {argument}"))
        elif name not in {"PROTO", "FRAME", "STOP"}:
            raise ValueError(f"its pickle has the instruction {name}")

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        return self.stack.pop()

    def mark(self, _: Any) -> None:
        self._marks.append(self.stack)
        self.stack = []

    def popped(self) -> list[Any]:
        found, self.stack = self.stack, self._marks.pop()
        return found

    def drop(self, _: Any) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.stack = self._marks.pop()

    def duplicate(self, _: Any) -> None:
        self.push(self.stack[-1])

    def put(self, place: int) -> None:
        self._memo[place] = self.stack[-1]

    def memoize(self, _: Any) -> None:
        self.put(len(self._memo))

    def get(self, place: int) -> None:
        self.push(self._memo[place])

    def tuple_of(self, count: int) -> None:
        values = tuple(self.stack[-count:])
        del self.stack[-count:]
        self.push(values)

    def append(self, _: Any) -> None:
        self._extend([self.pop()])

    def extend(self, _: Any) -> None:
        self._extend(self.popped())

    def _extend(self, values: list[Any]) -> None:
        if isinstance(target := self.stack[-1], list):
            target.extend(values)

    def set_item(self, _: Any) -> None:
        value, key = self.pop(), self.pop()
        self._set([key, value])

    def set_items(self, _: Any) -> None:
        self._set(self.popped())

    def _set(self, pairs: list[Any]) -> None:
        target = self.stack[-1]
        table = target.items if isinstance(target, Unread) else target
        if isinstance(table, Table):
            table.update(_entries(pairs))

    def table(self, _: Any) -> None:
        self.push(Table(_entries(self.popped())))

    def name(self, argument: str) -> None:
        self.push(Global(*argument.split(" ", 1)))

    def stacked_name(self, _: Any) -> None:
        name, module = self.pop(), self.pop()
        self.push(Global(str(module), str(name)))

    def instance(self, argument: str) -> None:
        arguments = tuple(self.popped())
        self.push(self._made(Global(*argument.split(" ", 1)), arguments))

    def object(self, _: Any) -> None:
        of, *arguments = self.popped()
        self.push(self._made(of, tuple(arguments)))

    def reduce(self, _: Any) -> None:
        arguments, of = self.pop(), self.pop()
        self.push(self._made(of, arguments))

    def reduce_with_names(self, _: Any) -> None:
        self.pop()
        self.reduce(None)

    def build(self, _: Any) -> None:
        state = self.pop()
        if isinstance(target := self.stack[-1], Table | Unread):
            # Of an object with slots the state is a pair.
            pair = isinstance(state, tuple) and len(state) == 2
            target.state = (state[0] or state[1]) if pair else state

    def storage(self, _: Any) -> None:
        """Take what torch calls a persistent id: a storage, by its key."""
        identity = self.pop()
        if not isinstance(identity, tuple) or len(identity) < 5:
            self.push(None)
            return
        kind, of, key, _device, count, *view = identity
        if kind == "module":  # As the first releases of torch wrote it: source code.
            self.push(of)
            return
        dtype = _STORAGES[of.name]
        found = self.storages.setdefault(
            str(key), TypedStorage(Storage(int(count) * ITEM_SIZES[dtype]), dtype)
        )
        if view and view[0]:
            found = TypedStorage(found.storage, dtype, int(view[0][1]))
        self.push(found)

    def _made(self, of: Any, arguments: Any) -> Any:
        """Make what torch makes of tensors; anything else stays unread."""
        if not isinstance(of, Global):
            of = Global("builtins", type(of).__name__)
        if of.module in {"torch._utils", "torch._tensor"}:
            if of.name == "_rebuild_from_type_v2":
                return self._made(arguments[0], arguments[2])
            if of.name in _TENSORS:
                return _TENSORS[of.name](*arguments)
        # Compared as text. Nothing is imported, so it does not matter what else has
        # this name.
        if of.module == "collections" and of.name in _TABLES:
            pairs = arguments[0] if arguments and of.name == "OrderedDict" else []
            return Table(_entries([value for pair in pairs for value in pair]))
        if (of.module, of.name) in _PLAIN:
            return _PLAIN[of.module, of.name](arguments)
        # Kept and not refused: a checkpoint may hold a scheduler, say, beside its
        # tensors, and what is refused are only objects where tensors are wanted.
        found = Unread(arguments[0] if str(of) in _RECONSTRUCTORS else of, arguments)
        if isinstance(found.of, Global):
            self.unread.append(found)
        return found


def _entries(flat: list[Any]) -> Iterator[tuple[Any, Any]]:
    """Pair keys with values; nothing that is no plain value can be a key."""
    pairs = zip(flat[::2], flat[1::2], strict=True)
    return ((k, v) for k, v in pairs if k is None or isinstance(k, _KEYS))


_KEYS = str, int, float, bytes


def _tensor(
    storage: TypedStorage, offset: int, shape: Any, strides: Any, *_: Any
) -> StoredTensor:
    begin = storage.begin + offset
    return dense(storage.storage, begin, shape, strides, storage.dtype)


def _tensor_of_type(*arguments: Any) -> StoredTensor:
    """Describe a tensor of a type that has no storage class: `(..., dtype, state)`."""
    storage, offset, shape, strides = arguments[:4]
    (dtype,) = (a.name for a in arguments[4:] if isinstance(a, Global))
    return dense(storage.storage, offset, shape, strides, dtype)


def _special(kind: str) -> Callable[..., StoredTensor]:
    def described(*arguments: Any) -> StoredTensor:
        shapes = (a for a in arguments if isinstance(a, tuple))
        shape = next((a for a in shapes if all(type(n) is int for n in a)), ())
        return StoredTensor("", shape, kind=kind)

    return described


_TENSORS: dict[str, Callable[..., StoredTensor]] = {
    "_rebuild_tensor": _tensor,
    "_rebuild_tensor_v2": _tensor,
    "_rebuild_tensor_v3": _tensor_of_type,
    "_rebuild_parameter": lambda data, *_: data,
    "_rebuild_parameter_with_state": lambda data, *_: data,
    "_rebuild_qtensor": _special("quantised"),
    "_rebuild_sparse_tensor": _special("sparse"),
    "_rebuild_meta_tensor_no_storage": _special("without values (on meta)"),
}
#: What Python writes for plain values where its oldest protocols have no instruction.
_PLAIN: dict[tuple[str, str], Callable[[Any], Any]] = {
    ("torch", "Size"): lambda arguments: tuple(arguments[0]),
    ("builtins", "set"): lambda arguments: list(*arguments),
    ("__builtin__", "set"): lambda arguments: list(*arguments),
    ("_codecs", "encode"): lambda arguments: arguments[0],
}
_RECONSTRUCTORS = {"copyreg._reconstructor", "copy_reg._reconstructor"}

#: Instructions that push their own argument, without the lengths in their names.
_PUSHING = {
    *("INT", "BININT", "LONG", "FLOAT", "BINFLOAT", "STRING", "BINSTRING", "UNICODE"),
    *("BINUNICODE", "BINBYTES", "BYTEARRAY"),
}
_MAKING: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_SET": list,
    "EMPTY_DICT": Table,
}
_DOING: dict[str, Callable[[_Machine, Any], object]] = {
    "MARK": _Machine.mark,
    "POP": _Machine.drop,
    "POP_MARK": lambda machine, _: machine.popped(),
    "DUP": _Machine.duplicate,
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _Machine.put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Machine.get),
    "MEMOIZE": _Machine.memoize,
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.popped())),
    "LIST": lambda machine, _: machine.push(list(machine.popped())),
    "FROZENSET": lambda machine, _: machine.push(list(machine.popped())),
    "DICT": _Machine.table,
    "APPEND": _Machine.append,
    **dict.fromkeys(("APPENDS", "ADDITEMS"), _Machine.extend),
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": _Machine.stacked_name,
    "INST": _Machine.instance,
    "OBJ": _Machine.object,
    **dict.fromkeys(("REDUCE", "NEWOBJ"), _Machine.reduce),
    "NEWOBJ_EX": _Machine.reduce_with_names,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.storage,
}
