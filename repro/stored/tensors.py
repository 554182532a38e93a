"""Tensors as they lie in files: described first, read where they are wanted."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from functools import cached_property
from math import prod
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, cast

import msgspec

from repro.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor, UntypedStorage

#: Bytes of one value, by torch's name of its type.
ITEM_SIZES = {
    "float64": 8,
    "float32": 4,
    "float16": 2,
    "bfloat16": 2,
    "float8_e4m3fn": 1,
    "float8_e5m2": 1,
    "float8_e4m3fnuz": 1,
    "float8_e5m2fnuz": 1,
    "float8_e8m0fnu": 1,
    "complex128": 16,
    "complex64": 8,
    "complex32": 4,
    "int64": 8,
    "int32": 4,
    "int16": 2,
    "int8": 1,
    "uint64": 8,
    "uint32": 4,
    "uint16": 2,
    "uint8": 1,
    "bool": 1,
}
#: An expanded tensor has more values than are stored, but no honest one more than this.
_EXPANDED = 2**26
#: Where values are computed with as they lie, they begin at such an address.
_ALIGNMENT = 8


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
