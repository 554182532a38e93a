"""Arrays as NumPy and MATLAB (5 to 7.2) write them: read, and nothing unpickled."""

from __future__ import annotations

import contextlib
import math
import struct
import zlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, BinaryIO, cast
from zipfile import ZipFile

import numpy as np
import numpy.typing as npt

from repro.files import Stamp, stamp_of


def read_head(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read shape, whether columns come first, and type; what follows are the values.

    Raises:
        ValueError: it is the head of no array.
    """
    from numpy.lib import format as npy

    version = npy.read_magic(stream)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    return read(stream)


def read_member(archive: ZipFile, name: str, most: int) -> npt.NDArray[Any]:
    """Read an array of an archive, which takes no more than so many bytes.

    Raises:
        KeyError: the archive has none of that name.
        ValueError: it is larger, holds Python's objects, or is damaged.
    """
    from numpy.lib import format as npy

    # The head first: NumPy would take as much memory as it promises.
    with archive.open(f"{name}.npy") as stream:
        shape, _, dtype = read_head(stream)
        check_size(math.prod(shape) * dtype.itemsize, most)
        if dtype.hasobject:
            raise ValueError("it holds objects of Python, which are never read")
    with archive.open(f"{name}.npy") as stream:
        found: npt.NDArray[Any] = npy.read_array(stream, allow_pickle=False)
    return found


def check_size(size: int, most: int) -> None:
    """Refuse what would take more than so many bytes.

    Raises:
        ValueError: it would.
    """
    if size > most:
        raise ValueError(f"an array of it would take {size:,} bytes")


#: Of a variable that is compressed.
_COMPRESSED = 15
_PIECE = 2**20
_HEAD = 128


def read_variable(file: Path, name: str, largest: int) -> npt.NDArray[Any]:
    """Read a variable of numbers; what MATLAB writes by itself are real ones.

    Raises:
        ValueError: it is none, or the file unpacks to more than so many bytes.
    """
    from scipy.io import loadmat

    kind = variables(file, largest)[name]
    if not kind.startswith(("uint", "int", "double")):
        raise ValueError(f"its {name} is of the kind {kind}, not of numbers")
    with file.open("rb") as stream, _damaged():
        read = loadmat(cast("Any", stream), variable_names=[name])
    found: npt.NDArray[Any] = read[name]
    return found.astype(np.int64) if found.dtype.kind == "f" else found


def variables(file: Path, largest: int) -> dict[str, str]:
    """Tell the kind of each variable of a file.

    Raises:
        ValueError: it is of another version, or unpacks to more than so many bytes.
    """
    return _variables(file, stamp_of(file.stat()), largest)


@lru_cache(maxsize=4)
def _variables(file: Path, stamp: Stamp, largest: int) -> dict[str, str]:
    from scipy.io import whosmat

    with file.open("rb") as stream:
        head = stream.read(_HEAD)
        if head[124:] not in (b"\0\1IM", b"\1\0MI"):
            raise ValueError("it is of another version of MATLAB; save it with -v7")
        _check_unpacked(stream, ">" if head[126:] == b"MI" else "<", largest)
        stream.seek(0)
        with _damaged():
            return {name: kind for name, _, kind in whosmat(cast("Any", stream))}


@contextlib.contextmanager
def _damaged() -> Iterator[None]:
    # On damaged files scipy raises what it likes.
    try:
        yield
    except Exception as error:
        raise ValueError(
            f"it is damaged ({str(error) or type(error).__name__})"
        ) from error


def _check_unpacked(stream: BinaryIO, order: str, largest: int) -> None:
    """Unpack what follows piece by piece, since scipy does it at once.

    Raises:
        ValueError: it is too large, or cut off.
    """
    total, end = 0, stream.seek(0, 2)
    stream.seek(_HEAD)
    while tag := stream.read(8):
        kind, size = struct.unpack(f"{order}II", tag) if len(tag) == 8 else (0, end)
        if stream.tell() + size > end:
            raise ValueError("it is cut off")
        if kind == _COMPRESSED:
            total += _unpacked(stream.read(size), largest - total)
        else:
            total += size
            stream.seek(size, 1)
        if total > largest:
            raise ValueError(f"it would unpack to more than {largest:,} bytes")


def _unpacked(block: bytes, most: int) -> int:
    """Count the bytes that a block unpacks to, as far as they are allowed."""
    unpacking, total = zlib.decompressobj(), 0
    while block and total <= most:
        total += len(unpacking.decompress(block, _PIECE))
        block = unpacking.unconsumed_tail
    return total
