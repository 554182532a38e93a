"""What is attacked: for each kind, sound input as it is made, and ways to spoil it."""

from __future__ import annotations

import io
import os
import shlex
import tarfile
import zipfile
from collections.abc import Callable
from functools import cache

import click
import tomli_w
from hypothesis import assume
from hypothesis import strategies as st

from repro.cli import cli
from repro.options.table import OPTIONS
from repro.published import WEIGHTS_SUFFIXES

from . import formats, ledgers, made, strangers
from .attack import Attack
from .damage import TEXTS, damaged, spoilt
from .sound import (
    CHECK,
    NUMBERS,
    RELEASE,
    TOML,
    commands,
    file_names,
    photographs,
    stores,
    weights_files,
)

Attacks = st.SearchStrategy[Attack]


@st.composite
def toml(draw: st.DrawFn) -> Attack:
    """Spoil published numbers, as values or as bytes."""
    if draw(st.booleans()):
        content = draw(damaged(TOML["numbers.toml"]))
    else:
        try:
            content = tomli_w.dumps(draw(spoilt(RELEASE))).encode()
        except (ValueError, TypeError, UnicodeError):
            assume(condition=False)
    said = ("cases --json", "cases", "claims --published", "plan", "verify")
    command = draw(commands(*said))
    return Attack("toml", (*command, *NUMBERS), {"numbers.toml": content})


@st.composite
def weights(draw: st.DrawFn) -> Attack:
    """Spoil the bytes of weights files."""
    name = draw(st.sampled_from(sorted(weights_files())))
    files = {name: draw(damaged(weights_files()[name])), **TOML}
    return Attack("weights", ("inspect", name, *NUMBERS), files)


@st.composite
def images(draw: st.DrawFn) -> Attack:
    """Spoil an image, or what it is called."""
    files = dict(photographs())
    name = draw(st.sampled_from(sorted(files)))
    if draw(st.booleans()):
        files[name] = draw(damaged(files[name]))
    else:
        files[f"data/val/{draw(file_names())}"] = files.pop(name)
    command = draw(commands(f"{CHECK} --bytes", CHECK))
    return Attack("images", (*command, *NUMBERS), files | TOML)


@cache
def _archives() -> dict[str, bytes]:
    packed, rolled = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("1M.pt", "4M.pt"):
            archive.writestr(name, weights_files()["a.pt"])
    with tarfile.open(fileobj=rolled, mode="w") as tar:
        for name, content in photographs().items():
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
    command = shlex.split(f"{CHECK} --bytes")
    return Attack("archives", (*command, *NUMBERS), {name: content, **TOML})


@st.composite
def caches(draw: st.DrawFn) -> Attack:
    """Spoil a file of the cache."""
    files = dict(stores())
    name = draw(st.sampled_from(sorted(files)))
    files[name] = draw(damaged(files[name]))
    command = draw(commands("cache list", "cache check", "cache prune --limit 1M"))
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


_OTHERS = (
    *("HOME", "XDG_CACHE_HOME", "HF_HOME", "COLUMNS", "LINES", "TERM", "NO_COLOR"),
    *("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "SLURM_CPUS_PER_TASK", "EDITOR"),
)


@st.composite
def variables(draw: st.DrawFn) -> Attack:
    """Set variables of the environment that we or what we use may look at."""
    ours = [option.variable for option in OPTIONS.values()]
    names = st.one_of(
        st.sampled_from(ours),
        st.sampled_from(ours).map(lambda name: f"{name}S"),
        st.sampled_from(_OTHERS),
    )
    values = TEXTS.map(lambda text: text.replace("\0", ""))
    chosen = draw(st.dictionaries(names, values, min_size=1, max_size=3))
    command = draw(commands("cases", "plan", "runs", "cache list", "env"))
    return Attack("variables", command, TOML, chosen)


@st.composite
def names(draw: st.DrawFn) -> Attack:
    """Call weights files, or folders of them, anything."""
    suffix = draw(st.sampled_from([*WEIGHTS_SUFFIXES, ""]))
    name = f"{draw(file_names())}{suffix}"
    assume(len(os.fsencode(name)) < 250)
    where = draw(st.sampled_from(["weights/supervised/real", "weights"]))
    files = {f"{where}/{name}": weights_files()["a.pt"], **TOML}
    command = draw(
        commands(
            "cases --checkpoints weights", "plan --checkpoints weights",
            "verify --checkpoints weights", "link weights --checkpoints linked",
        )
    )  # fmt: skip
    return Attack("names", (*command, *NUMBERS), files)


KINDS: dict[str, Callable[[], Attacks]] = {
    "toml": toml,
    "geometries": formats.geometries,
    "weights": weights,
    "onnx": made.onnx,
    "images": images,
    "arrays": formats.arrays,
    "shards": formats.shards,
    "archives": archives,
    "servers": formats.servers,
    "tables": formats.tables,
    "cards": formats.cards,
    "ledger": ledgers.ledger,
    "merges": ledgers.merges,
    "attestations": formats.attestations,
    "caches": caches,
    "strata": formats.strata,
    "texts": formats.texts,
    "options": options,
    "variables": variables,
    "names": names,
    "releases": strangers.releases,
}
