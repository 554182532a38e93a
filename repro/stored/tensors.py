"""Tensors as they lie in files: described first, read where they are wanted.

Files of safetensors say in JSON where each lies, and indexes which files there are.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Sequence
from functools import cached_property
from math import prod
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, cast

import msgspec

from repro.errors import WeightsError
from repro.words import counted

if TYPE_CHECKING:
    from torch import Tensor, UntypedStorage

#: Bytes of one value, by torch's name of its type.
ITEM_SIZES = {
    "complex128": 16,
    **dict.fromkeys(("float64", "complex64", "int64", "uint64"), 8),
    **dict.fromkeys(("float32", "complex32", "int32", "uint32"), 4),
    **dict.fromkeys(("float16", "bfloat16", "int16", "uint16"), 2),
    **dict.fromkeys(("float8_e4m3fn", "float8_e4m3fnuz", "float8_e8m0fnu"), 1),
    **dict.fromkeys(("float8_e5m2", "float8_e5m2fnuz", "int8", "uint8", "bool"), 1),
}
#: An expanded tensor has more values than are stored, but no honest one more than this.
_EXPANDED = 2**26
#: Where values are computed with as they lie, they begin at such an address.
_ALIGNMENT = 8
#: Bytes; what is longer is no list of tensors, and would be read as a whole.
LONGEST_HEADER = 2**27
_TYPES = {
    **{"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"},
    **{"I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8", "BOOL": "bool"},
    **{"U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8"},
    **{"F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "C64": "complex64"},
}


class Source(msgspec.Struct, dict=True, eq=False):
    """A file that is mapped into memory once, for all that is read of it."""

    path: Path

    @cached_property
    def mapped(self) -> UntypedStorage:
        """All of its bytes; what is written there does not reach the file."""
        from torch import UntypedStorage

        size = self.path.stat().st_size
        storage = UntypedStorage.from_file(str(self.path), shared=False, nbytes=size)
        return cast("UntypedStorage", storage)


class Place(msgspec.Struct, frozen=True):
    """Where bytes lie: in a file, or decompressed in a member of an archive."""

    file: Source
    start: int
    size: int
    member: str = ""


class Storage(msgspec.Struct, dict=True, eq=False):
    """Bytes that tensors share. Reading the file finds out where they lie."""

    size: int
    place: Place | None = None

    @cached_property
    def content(self) -> UntypedStorage:
        """The bytes, memory-mapped where the file has them as they are."""
        import torch

        place = self.place
        if place is None or not self.size:
            return torch.empty(0).untyped_storage()
        if place.member:
            with zipfile.ZipFile(place.file.path) as archive:
                values = bytearray(archive.read(place.member)[place.start :])
            return torch.frombuffer(values, dtype=torch.uint8).untyped_storage()
        end = place.start + self.size
        found: UntypedStorage = place.file.mapped[place.start : end]
        if place.start % _ALIGNMENT:
            # At any address, as in files of before 1.6, they are copied.
            copied = torch.empty(0, dtype=torch.uint8).set_(found).clone()
            return copied.untyped_storage()
        return found


class StoredTensor(msgspec.Struct, frozen=True):
    """A tensor in a file. `offset` counts values, as `strides` do.

    `kind` says what it is if it cannot be read as it lies, such as sparse.
    """

    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...] = ()
    offset: int = 0
    storage: Storage = msgspec.field(default_factory=lambda: Storage(0))
    kind: str = ""

    @property
    def values(self) -> int:
        """How many numbers it has."""
        return prod(self.shape)

    @property
    def special(self) -> str:
        """Say what it is if no plain model computes with it; mostly nothing."""
        return self.kind or self.dtype * self.dtype.startswith("float8")

    def read(self) -> Tensor:
        """Give the tensor, a view of the file where that can be."""
        import torch

        empty = torch.empty(0, dtype=getattr(torch, self.dtype))
        return empty.set_(self.storage.content, self.offset, self.shape, self.strides)


def dense(
    storage: Storage,
    offset: int,
    shape: Sequence[int],
    strides: Sequence[int],
    dtype: str,
) -> StoredTensor:
    """Describe a tensor, which has to lie inside its storage.

    Raises:
        ValueError: it does not, or it is described by other things than numbers.
    """
    numbers = (offset, *shape, *strides)
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise ValueError("a tensor is described by other things than numbers")
    if dtype not in ITEM_SIZES or len(shape) != len(strides) or len(shape) > 64:
        raise ValueError(f"a tensor of {dtype} has no shape that could be")
    stored = storage.size // ITEM_SIZES[dtype]
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    values = prod(shape)
    if values and (last >= stored or values > max(stored, _EXPANDED)):
        raise ValueError(f"a tensor of {values:,} values is said to lie in {stored:,}")
    return StoredTensor(dtype, tuple(shape), tuple(strides), offset, storage)


def contiguous(storage: Storage, shape: Sequence[int], dtype: str) -> StoredTensor:
    """Describe a tensor that is all of its storage; errors as of `dense`."""
    strides = [prod(shape[place + 1 :]) for place in range(len(shape))]
    return dense(storage, 0, shape, strides, dtype)


def refuse_elsewhere(path: Path, name: object, what: str) -> None:
    """Refuse what a file names for a part of it, where that cannot lie beside it.

    Raises:
        WeightsError: it leads elsewhere, or is no name; the file is then no `what`.
    """
    is_name = isinstance(name, str) and name not in {"", ".."} and "\\" not in name
    if not is_name or name != PurePosixPath(str(name)).name:
        raise WeightsError(
            f"{path} names {name!r:.80}, where files beside it are expected; it is no "
            f"{what} that can be trusted"
        )


class Table(dict[Any, Any]):
    """A dictionary, with what was set on it beside its entries."""

    state: Any = None


def read_safetensors(path: Path) -> Table:
    """Describe the tensors of a file by their names.

    Raises:
        ValueError, LookupError, TypeError, AttributeError, struct.error: it is damaged.
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        if length > min(size - 8, LONGEST_HEADER):
            raise ValueError("it has no header of safetensors")
        header = msgspec.json.decode(stream.read(length))
    tensors, end, source = Table(), 0, Source(path)
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        start, stop = entry["data_offsets"]
        end = max(end, stop)
        dtype = _TYPES.get(entry["dtype"])
        if dtype is None:
            tensors[name] = StoredTensor("", (), kind=f"of type {entry['dtype']:.20}")
            continue
        if not 0 <= start <= stop <= size - 8 - length:
            raise ValueError(f"its tensor {name[:60]} is cut off")
        storage = Storage(stop - start, Place(source, 8 + length + start, stop - start))
        tensors[name] = contiguous(storage, entry["shape"], dtype)
    # Also what has more behind it: two files that were joined are neither of them.
    if size != 8 + length + end:
        raise ValueError(f"it has {size:,} bytes, its header says {8 + length + end:,}")
    return tensors


def shards_of(path: Path) -> list[Path]:
    """List the files that an index names, which lie beside it.

    Raises:
        WeightsError: it is no index, or names what is not beside it.
    """
    try:
        if path.stat().st_size > LONGEST_HEADER:
            raise ValueError
        index = msgspec.json.decode(path.read_bytes())["weight_map"]
        names = sorted(set(index.values()))
    except (ValueError, LookupError, TypeError, AttributeError):
        raise WeightsError(
            f"{path} is a file of JSON that is no index of shards; expected weights"
        ) from None
    for name in names:
        refuse_elsewhere(path, name, "index of shards")
        if not (path.parent / name).is_file():
            raise WeightsError(
                f"{path} names {name}, which is not beside it; get "
                f"{counted(len(names), 'shard')} into the folder of their index"
            )
    return [path.parent / name for name in names]
