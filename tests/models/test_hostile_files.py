"""No weights file runs, imports or writes anything, or takes memory that is not its."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import pickle
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from repro.errors import WeightsError
from repro.models.inspection import inspect_weights
from repro.stored.pickles import read_pickle
from tests.stand_ins import read_state_dict


class Harm:
    """What writes a file when it is unpickled, in the way that is named."""

    def __init__(self, proof: Path, way: str) -> None:
        self.proof, self.way = proof, way

    def __reduce__(self) -> Any:
        touch = f"open({str(self.proof)!r}, 'w')"
        if self.way == "call":
            return eval, (touch,)
        if self.way == "state":
            return argparse.Namespace, (), {"x": Calling(eval, touch)}
        if self.way == "items":
            return dict, (), None, None, iter([("x", Calling(eval, touch))])
        return Looking, (), Calling(eval, touch)


class Calling:
    """A call."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


class Looking:
    """A class of this module whose state would run."""

    def __setstate__(self, state: Any) -> None:
        raise AssertionError("it was made")


@pytest.mark.parametrize("way", ["call", "state", "items", "setstate"])
@pytest.mark.parametrize("is_zip", [True, False])
def test_objects_beside_tensors_do_nothing(
    way: str, is_zip: bool, tmp_path: Path
) -> None:
    content = {"w": torch.ones(1), "x": Harm(tmp_path / "proof", way)}
    file = tmp_path / "a.pt"
    torch.save(content, file, _use_new_zipfile_serialization=is_zip)
    assert read_state_dict(file) == {"w": torch.ones(1)}
    assert not (tmp_path / "proof").exists()


LOOK_ALIKES = [
    ("torch._utils", "_rebuild_tensor_v9"),
    ("torch._utils", "_import_dotted_name"),
    ("torch.storage", "_load_from_bytes"),
    ("torch.hub", "load"),
    ("torch._utils._rebuild_tensor_v2", "__globals__"),
    ("torch.serialization", "load"),
    ("collections", "OrderedDict.__class__"),
    ("collections", "namedtuple"),
    ("builtins", "getattr"),
    ("torch.Size", "__class__"),
    ("torch.", "Size"),
    ("copyreg", "_reconstructor"),
]


def a_call(module: str, name: str, protocol: int = 2) -> bytes:
    """Write a pickle of `{"w": module.name("os", "system")}`."""
    if protocol == 4:
        named = b"".join(
            b"\x8c" + bytes([len(part)]) + part.encode() for part in (module, name)
        )
        named += b"\x93"
    else:
        named = f"c{module}\n{name}\n".encode()
    return (
        bytes([0x80, protocol]) + b"}X\x01\x00\x00\x00w" + named
        + b"X\x02\x00\x00\x00osX\x06\x00\x00\x00system\x86Rs."
    )  # fmt: skip


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize(("module", "name"), LOOK_ALIKES)
def test_what_looks_like_a_part_of_torch_is_left_too(
    module: str, name: str, protocol: int, tmp_path: Path
) -> None:
    found = read_pickle(io.BytesIO(a_call(module, name, protocol)))
    assert type(found.content["w"]).__name__ == "Unread"
    file = as_zip(tmp_path / "a.pt", a_call(module, name, protocol))
    with pytest.raises(WeightsError, match="holds no tensors by name"):
        read_state_dict(file)


def as_zip(file: Path, content: bytes, **records: bytes) -> Path:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/data.pkl", content)
        for name, record in records.items():
            archive.writestr(f"a/{name.replace('__', '/')}", record)
    return file


def tensor_pickle(shape: str, numel: int, stride: str = "K\x01\x85") -> bytes:
    """Write a pickle of one tensor with a shape that its storage does not have."""
    return (
        b"\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n("
        b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000"
        b"X\x03\x00\x00\x00cpuJ" + struct.pack("<i", numel) + b"tQK\x00"
        + shape.encode("latin1") + stride.encode("latin1") + b"\x89Nt" + b"Rs."
    )  # fmt: skip


BILLION = "J\x00\xca\x9a\x3b\x85"  # (1000000000,)


def huge_claim(file: Path) -> None:
    as_zip(file, tensor_pickle(BILLION, 1), data__0=bytes(4))


def huge_expansion(file: Path) -> None:
    as_zip(file, tensor_pickle(BILLION, 1, "K\x00\x85"), data__0=bytes(4))


def huge_storage(file: Path) -> None:
    as_zip(file, tensor_pickle(BILLION, 10**9), data__0=bytes(4))


def no_storage(file: Path) -> None:
    as_zip(file, tensor_pickle("K\x01\x85", 1))


def huge_memo(file: Path) -> None:
    as_zip(file, b"\x80\x02}r\xff\xff\xff\x7f.")


def huge_bytes(file: Path) -> None:
    as_zip(file, b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b".")


def deep(file: Path) -> None:
    as_zip(file, b"\x80\x02" + b")" + b"\x85" * 100_000 + b"K\x01s.")


def repeating(file: Path) -> None:
    # Each table has the one before it under a hundred names.
    content: dict[str, Any] = {}
    for _ in range(12):
        content = {str(number): content for number in range(100)}
    stream = io.BytesIO()
    pickle.Pickler(stream, protocol=2).dump(content)
    as_zip(file, stream.getvalue())


def bomb(file: Path) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", b"\x80\x02}.")
        with archive.open("a/data/0", "w", force_zip64=True) as record:
            for _ in range(16):
                record.write(bytes(2**23))


def huge_array(file: Path) -> None:
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (4000000000,)}\n"
    content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("w.npy", content + bytes(16))


def array_of_objects(file: Path) -> None:
    harm = Harm(file.with_name("proof"), "call")
    with file.open("wb") as stream:
        np.savez(stream, w=np.array([harm], dtype=object))


def safetensors(header: dict[str, Any], length: int | None = None) -> Any:
    def write(file: Path) -> None:
        text = json.dumps(header).encode()
        size = struct.pack("<Q", len(text) if length is None else length)
        file.write_bytes(size + text + bytes(4))

    return write


def entry(shape: list[int], offsets: list[int], dtype: str = "F32") -> dict[str, Any]:
    return {"w": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


def index_of(*shards: object) -> Any:
    def write(file: Path) -> None:
        save_file({"w": torch.ones(1)}, file.with_name("outside.safetensors"))
        names = {str(number): shard for number, shard in enumerate(shards)}
        below = file.parent / "folder"
        below.mkdir()
        below.joinpath(file.name).write_text(json.dumps({"weight_map": names}))
        file.symlink_to(below / file.name)

    return write


def legacy_claim(file: Path) -> None:
    torch.save({"w": torch.ones(1)}, file, _use_new_zipfile_serialization=False)
    content = file.read_bytes()
    old = struct.pack("<q", 1) + struct.pack("<f", 1)
    assert content.endswith(old)
    file.write_bytes(content.removesuffix(old) + struct.pack("<q", 10**9) + bytes(4))


def packed_claim(file: Path) -> None:
    # LZMA's older format: how it is packed, the memory that it needs, and no more.
    file.write_bytes(b"\x5d" + b"\xff" * 4 + bytes(600))


def in_two_states(file: Path) -> None:
    one = torch.zeros(1)
    states = [{f"{n}{name}": one for n in range(10_001)} for name in "ab"]
    torch.save(states, file)


def many_records(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(50_001):
            archive.writestr(f"{number}.npy", b"")


HOSTILE: list[tuple[Callable[[Path], None], str]] = [
    (huge_claim, "a tensor of 1,000,000,000 values is said to lie in 1"),
    (huge_expansion, "a tensor of 1,000,000,000 values is said to lie in 1"),
    (huge_storage, "a storage of 4,000,000,000 bytes is cut off"),
    (no_storage, "it has no record data/0"),
    (huge_memo, "holds no tensors by name: it is empty"),
    (huge_bytes, "is damaged: expected 1099511627776 bytes"),
    (deep, "is damaged"),
    (repeating, "holds no tensors by name"),
    (bomb, "it would unpack to 134,217,7"),
    (huge_array, "a tensor of 4,000,000,000 values is said to lie in 4"),
    (array_of_objects, r"are of type object \(w\)"),
    (safetensors(entry([10**9], [0, 4])), "a tensor of 1,000,000,000 values"),
    (safetensors(entry([1], [0, 2**40])), "its tensor w is cut off"),
    (safetensors(entry([-1, -1], [0, 4])), "is damaged"),
    (safetensors(entry([1], [-4, 0])), "is damaged"),
    (
        safetensors({f"{n}": entry([1], [0, 4])["w"] for n in range(20_001)}),
        "holds 20,001 tensors by name, or more; no model has more than 20,000",
    ),
    (in_two_states, "holds 20,002 tensors by name, or more"),
    (many_records, "it holds 50,001 records, which no weights do"),
    (safetensors(entry([1], [0, 4]), 2**55), "it has no header of safetensors"),
    (index_of("../outside.safetensors"), "files beside it are expected; it is no"),
    (index_of("/etc/passwd"), "names '/etc/passwd', where files beside it"),
    (index_of(".."), "names '..', where files beside it are expected"),
    (index_of(3), "is no index of shards|files beside it are expected"),
    (index_of("x" * 9000), "is not beside it|cannot be read"),
    (legacy_claim, "is damaged: it is cut off"),
    (packed_claim, "is no weights file that is known here"),
]


@pytest.mark.parametrize(("make", "told"), HOSTILE)
def test_what_is_made_to_do_harm_is_refused_in_one_sentence(
    make: Callable[[Path], None], told: str, tmp_path: Path
) -> None:
    file = tmp_path / "a.pt"
    make(file)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(WeightsError, match=told) as caught:
        read_state_dict(file)
    assert len(str(caught.value)) <= 500
    assert "\n" not in str(caught.value)
    with contextlib.suppress(WeightsError):
        inspect_weights(file)
    assert sorted(tmp_path.rglob("*")) == before


def test_modules_that_are_parts_of_themselves_are_refused(tmp_path: Path) -> None:
    module = nn.Linear(2, 2)
    module._modules |= {"itself": module, "again": module}
    torch.save(module, tmp_path / "a.pt")
    with pytest.raises(WeightsError, match="repeats its own tables more than"):
        read_state_dict(tmp_path / "a.pt")


_WATCHED = """
import os, sys
from pathlib import Path
import torch
from repro.errors import WeightsError
from repro.models.inspection import inspect_weights
from tests.stand_ins import read_state_dict
from tests.memory import grows_by_less_than

def watch(event, arguments):
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & 3
    if writes or event.split(".")[0] in {"subprocess", "socket", "exec",
            "import", "pickle", "shutil"} or event in {"os.system", "os.exec"}:
        print(event, arguments[0], flush=True)

def read_all(files):
    for file in files:
        for read in (read_state_dict, inspect_weights):
            try:
                read(Path(file))
            except WeightsError:
                pass

read_all(sys.argv[1:3])  # What is imported for any file is imported now.
with grows_by_less_than(2**31):
    sys.addaudithook(watch)
    read_all(sys.argv[3:])
"""


@pytest.mark.slow
def test_reading_hostile_files_runs_and_writes_nothing_and_needs_little_memory(
    tmp_path: Path,
) -> None:
    torch.save({"w": torch.ones(1)}, tmp_path / "sound.pt")
    np.savez(tmp_path / "sound.npz", w=np.ones(1))
    files = [tmp_path / "sound.pt", tmp_path / "sound.npz"]
    for number, (make, _) in enumerate(HOSTILE):
        folder = tmp_path / str(number)
        folder.mkdir()
        make(folder / "a.pt")
        files.append(folder / "a.pt")
    for way in ("call", "state", "items", "setstate"):
        files.append(tmp_path / f"{way}.pt")
        harm = Harm(tmp_path / "proof", way)
        torch.save({"w": torch.ones(1), "x": harm}, files[-1])
    done = subprocess.run(
        [sys.executable, "-c", _WATCHED, *map(str, files)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout == ""
    assert not (tmp_path / "proof").exists()
