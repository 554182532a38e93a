"""What is attacked: for each kind, sound input as it is made, and ways to spoil it."""

from __future__ import annotations

import io
import json
import os
import shlex
import sqlite3
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import click
import numpy as np
import tomlkit
from hypothesis import assume
from hypothesis import strategies as st

from repro.cli import cli
from repro.data.pixels import PixelStore
from repro.options.table import OPTIONS
from repro.published import WEIGHTS_SUFFIXES, parse_geometry
from repro.records.environment import GitState
from repro.records.ledger import FILE, Ledger
from tests.made_results import predictions, result
from tests.releases import SMALLEST
from tests.stand_ins import photograph_dataset

from .attack import Attack
from .damage import TEXT, TEXTS, damaged, spoilt

Attacks = st.SearchStrategy[Attack]

RELEASE: dict[str, Any] = {
    "schema": 1,
    **SMALLEST,
    "reference": [
        {
            "family": "supervised/real",
            "checkpoint": "1M",
            "dataset": "val",
            "protocol": "plain",
            "source": "paper",
            "top1": "50.580",
        }
    ],
}
NUMBERS = ("--expected", "numbers.toml")
TOML = {"numbers.toml": tomlkit.dumps(RELEASE).encode()}


def _commands(*lines: str) -> st.SearchStrategy[tuple[str, ...]]:
    return st.sampled_from([tuple(shlex.split(line)) for line in lines])


@st.composite
def toml(draw: st.DrawFn) -> Attack:
    """Spoil published numbers, as values or as bytes."""
    if draw(st.booleans()):
        content = draw(damaged(TOML["numbers.toml"]))
    else:
        try:
            content = tomlkit.dumps(draw(spoilt(RELEASE))).encode()
        except (ValueError, TypeError, UnicodeError):
            assume(condition=False)
    said = ("cases --json", "cases", "claims --published", "plan", "verify")
    command = draw(_commands(*said))
    return Attack("toml", (*command, *NUMBERS), {"numbers.toml": content})


@cache
def _weights() -> dict[str, bytes]:
    import torch
    from safetensors.torch import save

    state = {"head.weight": torch.ones(3, 4), "head.bias": torch.zeros(3)}
    found: dict[str, bytes] = {"a.safetensors": save(state)}
    content = {"state_dict": state, "epoch": 3, "args": {"name": "x"}}
    for name, is_zip in (("a.pt", True), ("b.pt", False)):
        stream = io.BytesIO()
        torch.save(content, stream, _use_new_zipfile_serialization=is_zip)
        found[name] = stream.getvalue()
    stream = io.BytesIO()
    np.savez(stream, weight=np.ones((3, 4)), bias=np.zeros(3))
    found["a.npz"] = stream.getvalue()
    return found


@st.composite
def weights(draw: st.DrawFn) -> Attack:
    """Spoil the bytes of weights files."""
    name = draw(st.sampled_from(sorted(_weights())))
    files = {name: draw(damaged(_weights()[name])), **TOML}
    return Attack("weights", ("inspect", name, *NUMBERS), files)


@cache
def _photographs() -> dict[str, bytes]:
    from PIL import Image

    random = np.random.default_rng(0)
    found = {}
    for number, (place, form) in enumerate(
        [("cat/a.jpg", "JPEG"), ("cat/b.png", "PNG"), ("dog/c.jpg", "JPEG")]
    ):
        pixels = random.integers(0, 255, (20 + number, 24, 3), dtype=np.uint8)
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, form)
        found[f"data/val/{place}"] = stream.getvalue()
    found["data/val/dog/d.jpg"] = found["data/val/cat/a.jpg"][::-1][::-1] + b"\0"
    return found


_CHECK = "dataset check data --dataset val --cache none --jobs 1"


@st.composite
def images(draw: st.DrawFn) -> Attack:
    """Spoil an image, or what it is called."""
    files = dict(_photographs())
    name = draw(st.sampled_from(sorted(files)))
    if draw(st.booleans()):
        files[name] = draw(damaged(files[name]))
    else:
        files[f"data/val/{draw(_names())}"] = files.pop(name)
    command = draw(_commands(f"{_CHECK} --bytes", _CHECK))
    return Attack("images", (*command, *NUMBERS), files | TOML)


@st.composite
def _names(draw: st.DrawFn) -> str:
    """Draw a name that a file below this folder can have."""
    name = draw(TEXT).replace("\0", "").strip("/")[:60]
    assume(name and not {"..", "."} & set(name.split("/")) and "//" not in name)
    return name


@cache
def _archives() -> dict[str, bytes]:
    packed, rolled = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("1M.pt", "4M.pt"):
            archive.writestr(name, _weights()["a.pt"])
    with tarfile.open(fileobj=rolled, mode="w") as tar:
        for name, content in _photographs().items():
            entry = tarfile.TarInfo(name.removeprefix("data/val/"))
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return {"x.zip": packed.getvalue(), "data/val.tar": rolled.getvalue()}


@st.composite
def archives(draw: st.DrawFn) -> Attack:
    """Spoil the zip of a download, or the tar of a dataset."""
    name = draw(st.sampled_from(sorted(_archives())))
    content = draw(damaged(_archives()[name]))
    if name == "x.zip":
        return Attack("archives", ("unpack", name), {name: content})
    command = shlex.split(f"{_CHECK} --bytes")
    return Attack("archives", (*command, *NUMBERS), {name: content, **TOML})


@cache
def _ledger() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        with Ledger(Path(folder), create=True) as ledger:
            for number in (1, 2):
                run = ledger.begin(f"run {number}", 2, ["-k", "x"], GitState("0a"))
                for name in ("1M", "2M"):
                    made = result(name, difference=number / 10)
                    ledger.record(run, made, predictions(seed=number))
                ledger.finish(run, 1)
        return Path(folder, FILE).read_bytes()


def _with_row(column: str, content: Callable[[Any], str | bytes]) -> bytes:
    """Write a ledger one of whose results holds something else."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, FILE)
        file.write_bytes(_ledger())
        connection = sqlite3.connect(file)
        ((found,),) = connection.execute(f"SELECT {column} FROM result WHERE id = 4")
        query = f"UPDATE result SET {column} = ? WHERE id = 4"
        connection.execute(query, (content(found),))
        connection.commit()
        connection.close()
        return file.read_bytes()


@st.composite
def ledger(draw: st.DrawFn) -> Attack:
    """Spoil the bytes of a ledger, or what it holds."""
    if draw(st.booleans()):
        content = draw(damaged(_ledger()))
    else:
        content = _with_row(
            "content", lambda row: json.dumps(draw(spoilt(json.loads(row))))
        )
    case = result("2M").id
    command = draw(
        _commands(
            "runs", "show last", f"history {case}", "compare 1 2", "merge .repro:last",
            "report -o a.md", "report -o a.html", "report -o a.json -o a.csv",
            "plan --ledger .repro --expected numbers.toml", "prune --keep 1",
        )
    )  # fmt: skip
    return Attack("ledger", command, {f".repro/{FILE}": content, **TOML})


@cache
def _stores() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        dataset = photograph_dataset(here / "photographs", per_class=2)
        geometry = parse_geometry("rgb|center_crop(16)")
        store = PixelStore(dataset, geometry, here / "cache")
        list(store.iterate(range(len(dataset.strata))))
        return {
            str(file.relative_to(here)): file.read_bytes()
            for file in sorted((here / "cache").rglob("*"))
            if file.is_file()
        }


@st.composite
def caches(draw: st.DrawFn) -> Attack:
    """Spoil a file of the cache."""
    files = dict(_stores())
    name = draw(st.sampled_from(sorted(files)))
    files[name] = draw(damaged(files[name]))
    command = draw(_commands("cache list", "cache check", "cache prune --limit 1M"))
    return Attack("caches", command, files)


#: Commands that neither measure, nor ask anybody, nor write but where they are called.
_HARMLESS = ("cases", "claims", "plan", "runs", "show", "history", "compare", "inspect")


@cache
def _options() -> list[tuple[str, str]]:
    context = click.Context(cli)
    found = []
    for name in _HARMLESS:
        command = cli.get_command(context, name)
        assert command is not None
        for parameter in command.params:
            takes_value = isinstance(parameter, click.Option) and not parameter.is_flag
            said = max(parameter.opts, key=len) if takes_value else ""
            found.append((name, said))
    return found


@st.composite
def options(draw: st.DrawFn) -> Attack:
    """Give an option or an argument of a command any value, or another name."""
    command, option = draw(st.sampled_from(_options()))
    value = draw(TEXTS).replace("\0", "")
    given = [f"{option}={value}"] if option else [value]
    if draw(st.booleans()):
        given.append(draw(TEXTS).replace("\0", ""))
    return Attack("options", (command, *given), TOML)


@st.composite
def variables(draw: st.DrawFn) -> Attack:
    """Set variables of the environment that begin as ours do."""
    ours = [option.variable for option in OPTIONS.values()]
    names = st.one_of(
        st.sampled_from(ours), st.sampled_from(ours).map(lambda name: f"{name}S")
    )
    values = TEXTS.map(lambda text: text.replace("\0", ""))
    chosen = draw(st.dictionaries(names, values, min_size=1, max_size=3))
    command = draw(_commands("cases", "plan", "runs", "cache list", "env"))
    return Attack("variables", command, TOML, chosen)


@st.composite
def names(draw: st.DrawFn) -> Attack:
    """Call weights files, or folders of them, anything."""
    suffix = draw(st.sampled_from([*WEIGHTS_SUFFIXES, ""]))
    name = f"{draw(_names())}{suffix}"
    assume(len(os.fsencode(name)) < 250)
    where = draw(st.sampled_from(["weights/supervised/real", "weights"]))
    files = {f"{where}/{name}": _weights()["a.pt"], **TOML}
    command = draw(
        _commands(
            "cases --checkpoints weights", "plan --checkpoints weights",
            "verify --checkpoints weights", "link weights --checkpoints linked",
        )
    )  # fmt: skip
    return Attack("names", (*command, *NUMBERS), files)


KINDS: dict[str, Callable[[], Attacks]] = {
    "toml": toml,
    "weights": weights,
    "images": images,
    "archives": archives,
    "ledger": ledger,
    "caches": caches,
    "options": options,
    "variables": variables,
    "names": names,
}
