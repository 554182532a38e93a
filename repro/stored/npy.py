"""Arrays as NumPy writes them, in files of others: nothing of them is unpickled."""

from __future__ import annotations

import math
from typing import IO, Any
from zipfile import ZipFile

import numpy as np
import numpy.typing as npt


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
