"""Files of safetensors, which say in JSON where each tensor lies, and their indexes."""

from __future__ import annotations

import struct
from pathlib import Path

import msgspec

from repro.errors import WeightsError
from repro.stored.pickles import Table
from repro.stored.tensors import (
    Place,
    Source,
    Storage,
    StoredTensor,
    contiguous,
    refuse_elsewhere,
)
from repro.words import counted

#: Bytes; what is longer is no list of tensors, and would be read as a whole.
LONGEST_HEADER = 2**27

_TYPES = {
    **{"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"},
    **{"I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8", "BOOL": "bool"},
    **{"U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8"},
    **{"F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "C64": "complex64"},
}


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
