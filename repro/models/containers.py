"""Weights files by what they are, whatever their names say, and what lies in them."""

from __future__ import annotations

import contextlib
import io
import mmap
import re
import struct
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from repro.errors import WeightsError
from repro.files import STAND_INS
from repro.published import WEIGHTS_SUFFIXES
from repro.stored.arrays import read_head
from repro.stored.onnx import Graph, read_graph
from repro.stored.pickles import Pickled, TypedStorage, is_module, read_pickle
from repro.stored.tensors import (
    ITEM_SIZES,
    Place,
    Source,
    Storage,
    StoredTensor,
    Table,
    contiguous,
    read_safetensors,
    shards_of,
)
from repro.words import listed, shortened

AGAIN = "Get it again from its source"
_SAVE = "save the tensors with torch.save(model.state_dict(), 'NAME.pt')"
_UNREAD = f"which no loader reads; {_SAVE}"
#: First number of a file that torch wrote before 1.6.
_TORCH_MAGIC = 0x1950A86A20F9469CFC6C
_ZIP = b"PK\x03\x04"
#: What is compressed may be larger by so much; more is no weights, but a trap.
_MOST_TIMES, _MOST_BEYOND = 50, 2**26
#: Thousands of tensors, and for each what an optimizer keeps.
_MOST_RECORDS = 50_000

#: What begins so is no weights file: what it is, and what to do.
_OTHERS: tuple[tuple[bytes, str], ...] = (
    *STAND_INS,
    (rb"(<\?xml.{0,60}?)?\s*<net ", f"of OpenVINO, {_UNREAD}"),
    (rb"\x1f\x8b", "a gzip archive; unpack it with gunzip first"),
    (rb"BZh|\xfd7zXZ|\x28\xb5\x2f\xfd|7z\xbc\xaf|Rar!", "an archive; unpack it first"),
    (rb"\x89HDF", f"an HDF5 file of Keras, {_UNREAD}"),
    (rb"GGUF|.{4}TFL3", f"of another runtime, {_UNREAD}"),
    (rb"[\x81-\x8f].\xa6?params", f"of Flax, {_UNREAD}"),
    (rb"\x93NUMPY", "a single array; expected a state dict"),
    # Of protocol 0, which is text.
    (rb"\((dp|lp)\d+\s|c[\w.]+\n\w+\n", f"a pickle that torch did not write; {_SAVE}"),
)


_ONNX = re.compile(rb"\x08[\x01-\x14](\x12.{1,40}?(\x1a|\"|:)|:|\x42)", re.DOTALL)


class Container(msgspec.Struct, frozen=True):
    """What a weights file is, and what it holds.

    Attributes:
        format: what it was written as.
        content: everything in it, tensors as descriptions.
        unread: names of the classes of objects that were left as they are.
        has_code: whether it is a program, whose code is left too.
        graph: the model that it is by itself, where it is one of ONNX.
    """

    format: str
    content: Any
    unread: Counter[str] = msgspec.field(default_factory=Counter)
    has_code: bool = False
    graph: Graph | None = None


def read_container(path: Path) -> Container:
    """Find out what a file is, by its content, and describe what it holds.

    Raises:
        WeightsError: it is damaged, or something else than weights.
        NotAvailableError: it is of ONNX, and the package that reads it is not here.
    """
    try:
        return _reader(path)(path)
    except (ValueError, LookupError, TypeError, AttributeError, EOFError) as error:
        raise damaged(path, _short(error)) from error
    except (
        *(zipfile.BadZipFile, struct.error, msgspec.MsgspecError),
        # zipfile's answer to damaged versions and flags.
        *(RecursionError, NotImplementedError),
    ) as error:
        raise damaged(path, _short(error)) from error
    except IsADirectoryError as error:
        raise WeightsError(_folder(path)) from error
    except OSError as error:
        raise WeightsError(
            f"{path} cannot be read: {error.strerror or error}. Make it readable"
        ) from error


def _folder(path: Path) -> str:
    """Say what to do with a folder that was given for a file."""
    if any(path.glob("*.distcp")):
        return (
            f"{path} holds the parts of a distributed checkpoint; join them with "
            "python -m torch.distributed.checkpoint.format_utils dcp_to_torch"
        )
    return f"{path} is a folder; name a weights file in it"


def check_complete(path: Path) -> None:
    """Check what a weights file itself says of its bytes, and that it is one.

    Raises:
        WeightsError: bytes are missing or wrong, or it is no weights file.
    """
    read_container(path)
    for part in parts_of(path):
        if _starts(part)[:4] == _ZIP:
            _check_sums(part)


def parts_of(path: Path) -> tuple[Path, ...]:
    """List the files that a weights file consists of: itself, and those it names.

    Raises:
        WeightsError: they cannot be, or it is damaged.
        NotAvailableError: it is of ONNX, and the package that reads it is not here.
    """
    with contextlib.suppress(OSError):
        start = _starts(path)
        if start[:1] == b"{":
            return path, *shards_of(path)
        if _ONNX.match(start):
            graph = read_container(path).graph
            return path, *(graph.files if graph else ())
    return (path,)


def damaged(path: Path, why: str) -> WeightsError:
    """Say that a file is not what it was."""
    size = path.stat().st_size
    return WeightsError(f"{path} ({size:,} bytes) is damaged: {why}. {AGAIN}")


def _reader(path: Path) -> Callable[[Path], Container]:
    """Choose what reads a file by its first bytes.

    Raises:
        WeightsError: nothing does; the message says what it is.
    """
    start = _starts(path)
    if not start:
        raise damaged(path, "it is empty")
    if start[:4] == _ZIP and zipfile.is_zipfile(path):
        return _read_zip
    if start[:1] == b"{":
        return _read_shards
    if len(start) > 8 and start[8:9] == b"{" and start[7] == 0:
        return _read_safetensors
    for pattern, what in _OTHERS:
        if re.match(pattern, start, re.DOTALL):
            raise WeightsError(f"{path} is {what}")
    if _ONNX.match(start):
        return _read_onnx
    if re.match(rb"\x08[\x01-\x14]\x12", start):
        raise WeightsError(f"{path} is of Core ML or TensorFlow, {_UNREAD}")
    if start[:1] == b"\x80":
        return _read_legacy
    if not any(start):
        raise damaged(path, "it begins with zeros, as where a download did not end")
    if _begins_tar(start):
        raise WeightsError(f"{path} is a tar archive; unpack it first")
    if start[:2] == b"PK":
        raise damaged(path, "it is cut off")
    raise WeightsError(f"{path} {_unknown(start)}")


def _begins_tar(start: bytes) -> bool:
    """Look at the first header; `is_tarfile` unpacks too, in as much memory as said."""
    with contextlib.suppress(tarfile.HeaderError):
        tarfile.TarInfo.frombuf(start, "utf-8", "replace")
        return True
    return False


def _unknown(start: bytes) -> str:
    """Say what a file is that begins as no weights file does, as far as that shows."""
    text = " ".join(start.decode("utf-8", "ignore").split())
    if text.isprintable() and len(text) > len(start) / 2:
        return (
            f"is a text, and no weights: {text[:60]!r}; download the file itself, not "
            "what stands for it"
        )
    return (
        f"is no weights file that is known here, it begins with {start[:8]!r}. If it "
        f"should be of torch, get it again from its source; if another program wrote "
        f"it, {_SAVE}"
    )


def _starts(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(512)


# Files of torch -----------------------------------------------------------------------


def _read_zip(path: Path) -> Container:
    with zipfile.ZipFile(path) as archive:
        members = {member.filename: member for member in archive.infolist()}
        _refuse_bomb(path, members)
        pickles = [name for name in members if PurePosixPath(name).name == "data.pkl"]
        if not pickles:
            return _read_other_zip(path, archive, members)
        root = pickles[0].removesuffix("data.pkl")
        found = read_pickle(io.BytesIO(archive.read(pickles[0])))
    source = Source(path)
    for key, typed in found.storages.items():
        if (member := members.get(f"{root}data/{key}")) is None:
            raise ValueError(f"it has no record data/{key}")
        _put(typed, _place(source, member))
    if not any(name.startswith(f"{root}code/") for name in members):
        return _container("torch zip", found)
    return Container("TorchScript program", found.content, has_code=True)


def _read_other_zip(
    path: Path, archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo]
) -> Container:
    """Read an archive of NumPy arrays.

    Raises:
        WeightsError: it is none; the message says what it holds.
    """
    files = [name for name in members if not name.endswith("/")]
    if files and all(name.endswith(".npy") for name in files):
        arrays, source = Table(), Source(path)
        for name in files:
            with archive.open(name) as stream:
                array = _array(source, members[name], stream)
            arrays[name.removesuffix(".npy")] = array
        return Container("NumPy archive", arrays)
    if any(PurePosixPath(name).name == "archive_format" for name in files):
        raise WeightsError(f"{path} is a program of torch.export, {_UNREAD}")
    if any(name.endswith(".weights.h5") for name in files):
        raise WeightsError(f"{path} is an archive of Keras, {_UNREAD}")
    inside = [name for name in files if name.endswith(WEIGHTS_SUFFIXES)]
    holds = f"{_few(inside)}; unpack it first" if inside else "no weights file"
    raise WeightsError(f"{path} is a zip that holds {holds}")


def _array(file: Source, member: zipfile.ZipInfo, stream: Any) -> StoredTensor:
    """Describe one array of an archive, without unpickling objects."""
    shape, fortran, kind = read_head(stream)
    # Two bytes without a type are bfloat16, which NumPy does not have.
    dtype = "bfloat16" if kind.str in {"|V2", "<V2"} else kind.name
    if dtype not in ITEM_SIZES or kind.str.startswith(">"):
        return StoredTensor("", shape, kind=f"of type {kind}")
    size = member.file_size - (header := stream.tell())
    storage = Storage(size)
    place = _place(file, member)
    if member.compress_type == zipfile.ZIP_STORED:
        storage.place = Place(file, place.start + header, size)
    else:
        storage.place = Place(file, header, size, member.filename)
    if not fortran:
        return contiguous(storage, shape, dtype)
    turned = contiguous(storage, shape[::-1], dtype)
    return msgspec.structs.replace(turned, shape=shape, strides=turned.strides[::-1])


def _place(file: Source, member: zipfile.ZipInfo) -> Place:
    """Find the bytes of a member."""
    if member.compress_type != zipfile.ZIP_STORED:
        return Place(file, 0, member.file_size, member.filename)
    with file.path.open("rb") as stream:
        stream.seek(member.header_offset + 26)
        name, extra = struct.unpack("<HH", stream.read(4))
    start = member.header_offset + 30 + name + extra
    if start + member.file_size > file.path.stat().st_size:
        raise ValueError(f"its record {member.filename[:60]} is cut off")
    return Place(file, start, member.file_size)


def _refuse_bomb(path: Path, members: dict[str, zipfile.ZipInfo]) -> None:
    size = path.stat().st_size
    if len(members) > _MOST_RECORDS:
        raise ValueError(f"it holds {len(members):,} records, which no weights do")
    unpacked = sum(member.file_size for member in members.values())
    if unpacked > _MOST_TIMES * size + _MOST_BEYOND:
        raise ValueError(f"it would unpack to {unpacked:,} bytes")


def _check_sums(path: Path) -> None:
    """Check the CRC-32 of every record; reading memory-mapped would not."""
    try:
        with zipfile.ZipFile(path) as archive:
            wrong = archive.testzip()
    # Damaged archives make zipfile raise what it likes: UnicodeDecodeError, ...
    except Exception as error:
        raise damaged(path, _short(error)) from error
    if wrong is not None:
        raise damaged(path, f"the checksum of its record {wrong[:100]} is wrong")


def _read_legacy(path: Path) -> Container:
    """Read what torch wrote before 1.6: pickles, then one storage after the other."""
    with path.open("rb") as file, _memory(file) as stream:
        if read_pickle(stream).content != _TORCH_MAGIC:
            raise WeightsError(
                f"{path} is a pickle that torch did not write, which is not unpickled "
                f"since that could run code; {_SAVE}"
            )
        read_pickle(stream), read_pickle(stream)
        found = read_pickle(stream)
        keys, source = read_pickle(stream).content, Source(path)
        for key in keys:
            typed = found.storages[str(key)]
            (count,) = struct.unpack("<q", stream.read(8))
            start, size = stream.tell(), typed.storage.size
            if count * ITEM_SIZES[typed.dtype] != size or start + size > len(stream):
                raise ValueError("it is cut off")
            _put(typed, Place(source, start, size))
            stream.seek(start + size)
    return _container("torch pickle of before 1.6", found)


@contextlib.contextmanager
def _memory(file: Any) -> Iterator[Any]:
    # Reading beyond its end needs no memory, unlike with a buffered file.
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as stream:
        yield stream


def _put(typed: TypedStorage, place: Place) -> None:
    if typed.storage.size > place.size:
        raise ValueError(f"a storage of {typed.storage.size:,} bytes is cut off")
    typed.storage.place = place


def _container(format_: str, found: Pickled) -> Container:
    names = Counter(str(one.of) for one in found.unread if not is_module(one))
    return Container(format_, found.content, names)


# Files of safetensors -----------------------------------------------------------------


def _read_safetensors(path: Path) -> Container:
    return Container("safetensors", read_safetensors(path))


def _read_shards(path: Path) -> Container:
    tensors = Table()
    for shard in shards_of(path):
        tensors.update(read_container(shard).content)
    return Container("index of shards", tensors)


# Models of ONNX -----------------------------------------------------------------------


def _read_onnx(path: Path) -> Container:
    graph = read_graph(path)
    return Container("ONNX", Table(graph.tensors), graph=graph)


def _few(names: list[str]) -> str:
    return listed([shortened(name, 60) for name in names])


def _short(error: Exception) -> str:
    """Say in one line what is wrong, without advice of libraries."""
    text = str(error).partition("\n")[0].rstrip(". ")[:120]
    return text or type(error).__name__
