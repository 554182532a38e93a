"""What is attacked of the formats of others: arrays, shards, tables, cards, servers."""

from __future__ import annotations

import io
import json
import pickle
import re
import struct
import tempfile
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
from hypothesis import assume
from hypothesis import strategies as st

from repro.attestation import attestation_bytes, statement_of
from repro.records.identity import GitState
from repro.records.ledger import FILE, Ledger
from tests import releases
from tests.fetching.released import weights, zipped
from tests.importing.cards import OPEN_CLIP, TIMM, entry, index
from tests.importing.printed import SHAPES
from tests.importing.tables import RELEASE as TABLE_RELEASE
from tests.made_results import measurement, result

from .attack import RAN, Attack
from .calls import SERVER, classifier_of, pixels_of
from .damage import TEXTS, VALUES, damaged, spoilt
from .ledgers import ledger_file
from .made import CELLS, HEADS, bombs
from .sound import CHECK, NUMBERS, commands, weights_files

_DIGITS = tuple(map(str, range(10)))


class _Runs:
    """Unpickled, it writes a file."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path(RAN),)


@cache
def _arrays() -> dict[str, tuple[str, dict[str, bytes]]]:
    """Make files of arrays by what they are: the one to look at, and all of them."""
    import scipy.io

    images = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), np.uint8)
    labels = [n % 10 for n in range(20)]
    flat = images.transpose(0, 3, 1, 2).reshape(20, -1)
    batch = {"data": flat, "labels": labels}
    names = {"label_names": list(_DIGITS)}
    matlab, npz = io.BytesIO(), io.BytesIO()
    ones = np.array([[n or 10] for n in labels], np.uint8)
    stream: Any = matlab
    scipy.io.savemat(
        stream, {"X": images.transpose(1, 2, 3, 0), "y": ones}, do_compression=True
    )
    np.savez(npz, x_test=images, y_test=np.array(labels))
    grey = images[..., 0]
    idx = b"\0\0\x08\x03" + struct.pack(">3I", *grey.shape) + grey.tobytes()
    large = np.random.default_rng(0).integers(0, 256, (10, 3, 96, 96), np.uint8)
    return {
        "CIFAR-10": (
            "test_batch",
            {"test_batch": pickle.dumps(batch, 2), "batches.meta": pickle.dumps(names)},
        ),
        "SVHN": ("test_32x32.mat", {"test_32x32.mat": matlab.getvalue()}),
        "STL-10": (
            "test_X.bin",
            {"test_X.bin": large.tobytes(), "test_y.bin": bytes(range(1, 11))},
        ),
        "MNIST": (
            "t10k-images-idx3-ubyte",
            {
                "t10k-images-idx3-ubyte": idx,
                "t10k-labels-idx1-ubyte": b"\0\0\x08\x01\0\0\0\x14" + bytes(labels),
            },
        ),
        "NumPy": ("digits.npz", {"digits.npz": npz.getvalue()}),
    }


@st.composite
def _hostile_pickle(draw: st.DrawFn) -> bytes:
    """Put what would run code into a batch of CIFAR-10, somewhere."""
    batch = pickle.loads(_arrays()["CIFAR-10"][1]["test_batch"])
    place = draw(st.sampled_from(["data", "labels", "inside", "key", "alone"]))
    if place == "alone":
        return pickle.dumps(_Runs(), draw(st.integers(0, 5)))
    if place == "inside":
        batch["labels"][3] = _Runs()
    else:
        batch[_Runs() if place == "key" else place] = _Runs()
    return pickle.dumps(batch, draw(st.integers(0, 5)))


_NEW = "new mine --weights a.safetensors --images"


@st.composite
def arrays(draw: st.DrawFn) -> Attack:
    """Spoil a file of arrays, as bytes or as a pickle that would run code."""
    kind = draw(st.sampled_from(sorted(_arrays())))
    looked_at, files = _arrays()[kind]
    files = dict(files)
    if kind == "CIFAR-10" and draw(st.booleans()):
        files["test_batch"] = draw(_hostile_pickle())
    elif kind in bombs() and not draw(st.integers(0, 19)):
        files |= bombs()[kind]
    else:
        name = draw(st.sampled_from(sorted(files)))
        files[name] = draw(damaged(files[name]))
    command = draw(commands(f"{CHECK} --bytes", f"{_NEW} data/val/{looked_at}"))
    return Attack("arrays", _with_numbers(command), _below_data(files, _DIGITS, 20))


def _with_numbers(command: tuple[str, ...]) -> tuple[str, ...]:
    return command if command[0] == "new" else (*command, *NUMBERS)


def _below_data(
    files: dict[str, bytes], classes: tuple[str, ...], images: int
) -> dict[str, bytes]:
    """Lay files where a dataset is, beside numbers that are about it."""
    dataset = releases.VALIDATION | {"classes": list(classes), "images": images}
    numbers = releases.release_toml(dataset={"val": dataset}).encode()
    placed = {f"data/val/{name}": content for name, content in files.items()}
    model = {"a.safetensors": weights_files()["a.safetensors"]}
    return {**placed, **model, "numbers.toml": numbers}


@cache
def _shards() -> dict[str, dict[str, bytes]]:
    from tests.data.shards import (
        WORDS,
        rows,
        write_parquet,
        write_webdataset,
    )

    made = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("parquet", "webdataset"):
            place = Path(folder, kind)
            if kind == "parquet":
                write_parquet(place, rows(), WORDS)
            else:
                write_webdataset(place, rows(), lambda n: {"cls": str(n).encode()})
            made[kind] = {file.name: file.read_bytes() for file in place.iterdir()}
    return made


@st.composite
def shards(draw: st.DrawFn) -> Attack:
    """Spoil, drop or rename a shard of images."""
    files = dict(_shards()[draw(st.sampled_from(sorted(_shards())))])
    name = draw(st.sampled_from(sorted(files)))
    content = files.pop(name)
    done = draw(st.sampled_from(["damage", "drop", "rename"]))
    if done == "damage":
        files[name] = draw(damaged(content))
    elif done == "rename":
        files[name.replace("00000", "00007").replace("-00", "-09")] = content
    classes = ("n01440764", "n01443537", "n02100735", "n02119789")
    command = draw(commands(f"{CHECK} --bytes", CHECK, f"{_NEW} data/val"))
    return Attack("shards", _with_numbers(command), _below_data(files, classes, 12))


@st.composite
def tables(draw: st.DrawFn) -> Attack:
    """Spoil a printed table, or what is said about it."""
    shape = draw(st.sampled_from(SHAPES))
    content = shape.text.encode()
    if draw(st.booleans()):
        content = draw(damaged(content))
    else:
        cells = re.split(rb"(?<=[|&,>\n])", content)
        cells[draw(st.integers(0, len(cells) - 1))] = draw(TEXTS | CELLS).encode()
        content = b"".join(cells)
    options = list(shape.options)
    if draw(st.booleans()):
        options.append(f"--as={draw(TEXTS)}".replace("\0", ""))
    asked = ("import", "table", "table", "--source=paper", "-o", "release", "--check")
    files = {"table": content, "release/release.toml": TABLE_RELEASE.encode()}
    return Attack("tables", (*asked, *options), files)


@st.composite
def cards(draw: st.DrawFn) -> Attack:
    """Spoil a model card, or the configuration beside it."""
    accuracy = entry(("accuracy", "Top 1 Accuracy", "79.10"))
    card = {"library_name": "timm", "model-index": [index(accuracy)]}
    own = {"config.json": TIMM, "open_clip_config.json": OPEN_CLIP}
    name = draw(st.sampled_from(sorted(own)))
    config = own[name]
    what = draw(st.sampled_from(["card", "configuration", "bytes", "head"]))
    if what == "card":
        card = draw(spoilt(card))
    elif what == "configuration":
        config = draw(spoilt(config))
    # JSON is YAML, and cannot be written of everything.
    text = f"---\n{_json(card)}\n---\n\n# A model\n".encode()
    if what == "bytes":
        text = draw(damaged(text))
    elif what == "head":
        text = f"---\n{draw(HEADS)}---\n".encode()
    url = "https://huggingface.co/somebody/a-model/blob/0123abc/README.md"
    command = draw(
        commands(
            f"import model-card card/README.md -o release --url {url}",
            "export model-card 1 --case *1M* --unmet -o card/README.md",
        )
    )
    files = {"card/README.md": text, f"card/{name}": _json(config).encode()}
    return Attack("cards", command, files | {f".repro/{FILE}": ledger_file()})


def _json(value: Any) -> str:
    try:
        return json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        assume(condition=False)
        raise


@cache
def _statements() -> dict[str, bytes]:
    """Make a statement about `a.pt`, plain and signed, and the key of who signed it."""
    from tests.attestation.keys import write_keys

    digest = sha256(weights_files()["a.pt"]).hexdigest()
    measured = measurement(weights="a.pt", weights_sha256=digest)
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        write_keys(here, "ours")
        with Ledger(here / "ledger", create=True) as opened:
            run = opened.find_run(str(opened.begin("a run", 1, [], GitState())))
        stated = statement_of(run, result("1M", measurement=measured))
        return {
            "plain": attestation_bytes(stated, None),
            "signed": attestation_bytes(stated, here / "ours.pem"),
            "key": (here / "ours.pub").read_bytes(),
        }


@st.composite
def attestations(draw: st.DrawFn) -> Attack:
    """Spoil a statement, signed or not, or the key of who signed it."""
    kind = draw(st.sampled_from(["plain", "signed"]))
    content, key = _statements()[kind], _statements()["key"]
    spoiling = draw(st.sampled_from(["bytes", "values", "key"]))
    if spoiling == "bytes":
        content = draw(damaged(content))
    elif spoiling == "values":
        content = _json(draw(spoilt(json.loads(content)))).encode()
    else:
        key = draw(damaged(key))
    command = ["verify-attestation", "a.json", "--weights", "a.pt"]
    files = {"a.json": content, "a.pt": weights_files()["a.pt"]}
    if kind == "signed" or spoiling == "key":
        command += ["--public-key", "key.pub"]
        files["key.pub"] = key
    return Attack("attestations", tuple(command), files)


@cache
def _answers() -> dict[str, bytes]:
    """Make what a server sends for a file of weights, and otherwise."""
    pieces = zipped({"1M.pt": weights(1, 3000), "2M.pt": weights(2, 3000)})
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/zip\r\n"
    named = b'Content-Disposition: attachment; filename="Folder.zip"\r\n'
    length = b"Content-Length: %d\r\n\r\n" % len(pieces)
    page = b"<html><head><title>Expired</title></head></html>"
    return {
        "zip": head + named + length + pieces,
        "chunks": head
        + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(pieces)
        + pieces
        + b"\r\n0\r\n\r\n",
        "page": b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + page,
        "missing": b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        "busy": b"HTTP/1.1 503 Busy\r\nRetry-After: 99999999999\r\n\r\n",
        "elsewhere": f"HTTP/1.1 302 Found\r\nLocation: {SERVER}/b\r\n\r\n".encode(),
        "file": b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n",
        "ranges": b"HTTP/1.1 206 Partial\r\nContent-Range: bytes 9-3/1\r\n\r\nabc",
        "endless": head + b"Content-Length: 99999999999999999999\r\n\r\n" + pieces,
    }


@st.composite
def servers(draw: st.DrawFn) -> Attack:
    """Spoil what a server sends, its head more often than the rest."""
    answer = _answers()[draw(st.sampled_from(sorted(_answers())))]
    head, end, body = answer.partition(b"\r\n\r\n")
    if draw(st.booleans()):
        head = draw(damaged(head))
    elif draw(st.booleans()):
        body = draw(damaged(body))
    else:
        line = draw(TEXTS).encode().replace(b"\n", b"")
        head += b"\r\n" + draw(st.sampled_from(_FIELDS)) + b": " + line
    links = draw(st.sampled_from(_LINKS))
    family = {"supervised/real": releases.FAMILY | links}
    files = {
        "numbers.toml": releases.release_toml(family=family).encode(),
        "answer": head + end + body,
    }
    return Attack("servers", ("download", "numbers.toml", "answer"), files)


_LINKS: tuple[dict[str, Any], ...] = (
    {"folder": f"{SERVER}/a?dl=1"},
    {"folder": f"{SERVER}/a.zip"},
    {"files": {"1M.pt": f"{SERVER}/1M.pt"}},
)
_FIELDS = (
    b"Content-Disposition",
    b"Content-Length",
    b"Content-Range",
    b"Content-Encoding",
    b"Location",
    b"Retry-After",
    b"ETag",
    b"Set-Cookie",
)


@cache
def _kept(what: str) -> dict[str, bytes]:
    """Give what decoding, or encoding, leaves in a cache."""
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        (pixels_of if what == "strata" else classifier_of)(here / "cache")
        return {
            str(file.relative_to(here)): file.read_bytes()
            for file in sorted(here.rglob("*"))
            if file.is_file() and file.suffix != ".lock"
        }


@st.composite
def strata(draw: st.DrawFn) -> Attack:
    """Spoil a file of decoded pixels; what is read has to be what was decoded."""
    return Attack("strata", ("decode", "cache"), draw(_spoilt_cache("strata")))


@st.composite
def texts(draw: st.DrawFn) -> Attack:
    """Spoil a file of encoded classes; what is read has to be what was encoded."""
    return Attack("texts", ("encode", "cache"), draw(_spoilt_cache("texts")))


@st.composite
def _spoilt_cache(draw: st.DrawFn, what: str) -> dict[str, bytes]:
    files = dict(_kept(what))
    name = draw(st.sampled_from(sorted(files)))
    files[name] = draw(damaged(files[name]))
    return files


@st.composite
def geometries(draw: st.DrawFn) -> Attack:
    """Write steps of a geometry in any order, and with any arguments."""
    names = ["rgb", "grey", "resize", "center_crop", "as_is", "pad", draw(TEXTS)]
    arguments = ["224", "32x32", "0", "99999", "224,bilinear", "-1", draw(TEXTS), ""]
    step = st.tuples(st.sampled_from(names), st.sampled_from(arguments))
    steps = draw(st.lists(step, max_size=6))
    text = "|".join(f"{name}({own})" if own else name for name, own in steps)
    mean = draw(st.just([0.5]) | VALUES)
    protocol = releases.PLAIN | {"geometry": text, "mean": mean}
    try:
        content = tomli_w.dumps(
            {"schema": 1} | releases.SMALLEST | {"protocol": {"plain": protocol}}
        ).encode()
    except (ValueError, TypeError, UnicodeError):
        assume(condition=False)
    command = draw(commands("cases", "plan"))
    return Attack("geometries", (*command, *NUMBERS), {"numbers.toml": content})
