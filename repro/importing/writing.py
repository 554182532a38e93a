"""Write an imported table as a release."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import tomlkit

from repro.errors import ExpectedError
from repro.files import file_shipped_with, replace_bytes
from repro.importing.rows import Entry, OtherSet, Table
from repro.published import RELEASE_FILE, Release, read_releases, split_weights_name

CLASSES_FILE = "imagenet-1k.txt"

_HEAD = """\
# Made by `repro import {command}`, which overwrites what is changed here by hand.
schema = 1

[release]
id = {id}
title = {title}
code = {code}

[source.published]
title = {source}
url = {url}
note = {note}
{unit}{tolerance}
[dataset.imagenet-val]
title = "ImageNet-1k validation (ILSVRC 2012)"
folder = "val"
classes = "{classes}"
images = 50000
files = "repro:imagenet-val"
url = "https://www.image-net.org/challenges/LSVRC/2012/"

[model.{library_}]
loader = {library}
architecture = {architecture}
{building}
[family.{id_}]
model = {library}
training_data = {training_data}
folder = {code}
protocols = [{protocol}]
datasets = ["imagenet-val"]
{local_names}"""
_NAMES, _TEMPLATES = "IMAGENET_CLASSNAMES", "OPENAI_IMAGENET_TEMPLATES"


def write_release(folder: Path, table: Table) -> None:
    """Write `release.toml` and the list of classes beside it.

    Raises:
        ExpectedError: the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        replace_bytes(folder / CLASSES_FILE, class_list())
        for other in table.others:
            if isinstance(other.classes, str) and other.classes != CLASSES_FILE:
                replace_bytes(folder / other.classes, class_list(other.classes))
        if table.config:
            config = msgspec.json.format(msgspec.json.encode(table.config))
            replace_bytes(folder / f"{table.config_name}.json", config + b"\n")
        replace_bytes(folder / RELEASE_FILE, release_text(table).encode())
    except OSError as error:
        raise ExpectedError(
            f"{folder}: cannot be written to ({error.strerror}); name another folder "
            "with --output"
        ) from error


def as_release(table: Table) -> Release:
    """Give what reading a table would give that was written as a release."""
    with TemporaryDirectory() as folder:
        write_release(Path(folder), table)
        (release,) = read_releases([Path(folder)])
    return release


def release_text(table: Table) -> str:
    """Write a table in the format of docs/expected-format.md."""
    first = table.rows[0].protocol
    head = _HEAD.format(
        id=quoted(table.id),
        id_=table.id,
        command=table.command,
        architecture=quoted(table.config_name or table.architecture),
        building=_building(table),
        training_data=quoted(table.training_data),
        library=quoted(table.library),
        library_=table.library,
        title=quoted(table.title),
        code=quoted(table.code),
        source=quoted(table.source),
        url=quoted(table.url),
        note=quoted(table.note),
        tolerance=_tolerance(table),
        unit="" if table.unit == "percent" else f"unit = {quoted(table.unit)}\n",
        classes=CLASSES_FILE,
        protocol=quoted(first),
        # A mirror has the weights below the name of the library that they are from.
        local_names=f"local_names = [{quoted(table.library)}]\n" if table.maker else "",
    )
    others = map(_other_set, table.others, [table] * len(table.others))
    parts = (*_files(table), *others, *_protocols(table), *_references(table))
    return head + "".join(parts)


def _other_set(other: OtherSet, table: Table) -> str:
    """Write a dataset beside ImageNet's, and its column as a source of its own."""
    classes = (
        quoted(other.classes)
        if isinstance(other.classes, str)
        else [*map(str, range(other.classes))]
    )
    outputs = f"outputs = {quoted(other.outputs)}\n" if other.outputs else ""
    return (
        f"\n[source.{other.id}]\n"
        f"title = {quoted(f'{table.id}, column {other.column}')}\n"
        f"url = {quoted(table.url)}\n"
        f"note = {quoted(table.note)}\n"
        f'unit = "{table.unit}"\n'
        f"\n[source.{other.id}.tolerance]\n"
        f'{other.metric} = "{other.tolerance}"\n'
        f"reason = {quoted(table.others_reason)}\n"
        f"\n[dataset.{other.id}]\n"
        f"title = {quoted(other.column)}\n"
        f"folder = {quoted(other.folder)}\n"
        f"classes = {classes}\n"
        f"images = {other.images}\n{outputs}"
        f"url = {quoted(other.url)}\n"
    )


def _tolerance(table: Table) -> str:
    """Write the tolerance of all numbers where it is not the default one."""
    if table.tolerance is None:
        return ""
    top1, reason = table.tolerance
    return (
        "\n[source.published.tolerance]\n"
        f"top1 = {quoted(top1)}\n"
        f"reason = {quoted(reason)}\n"
    )


def _building(table: Table) -> str:
    """Write how a model is built beyond the name of its architecture."""
    if table.config:
        return f'config = "{table.config_name}.json"\n'
    if not table.options:
        return ""
    options = tomlkit.inline_table()
    options.update(table.options)
    return f"options = {options.as_string()}\n"


def _files(table: Table) -> Iterator[str]:
    """Write where each weights file can be fetched, once for each checkpoint."""
    links = {
        f"{row.checkpoint}{suffix}": row.file
        for row in table.rows
        if (suffix := split_weights_name(row.file)[1])
    }
    if links:
        yield f"\n[family.{table.id}.files]\n"
    for name, link in links.items():
        yield f"{quoted(name)} = {quoted(link)}\n"


def _protocols(table: Table) -> Iterator[str]:
    found = {row.protocol: Entry(row, {}) for row in table.rows}
    found |= {entry.protocol: entry for entry in table.entries()}
    for name, (row, _, other) in sorted(found.items()):
        preprocessing = row.preprocessing
        yield (
            f"\n[protocol.{quoted(name)}]\n"
            f"geometry = {quoted(preprocessing.geometry)}\n"
            f"mean = {list(preprocessing.mean)}\n"
            f"std = {list(preprocessing.std)}\n"
            f'source = "{other.id if other else "published"}"\n'
            f"precision = {quoted(table.precision)}\n"
            f"note = {quoted(f'{table.protocol_note}; {table.precision_note}')}\n"
        )
        if table.kind == "clip":
            names = (other and other.names) or f"open_clip:{_NAMES}"
            templates = (other and other.templates) or f"open_clip:{_TEMPLATES}"
            yield 'logit_scale = "checkpoint"\n'
            yield f"text.classnames = {quoted(names)}\n"
            yield f"text.templates = {quoted(templates)}\n"


def _references(table: Table) -> Iterator[str]:
    for entry in table.entries():
        row, numbers, other = entry
        digits = "".join(f'{key} = "{text}"\n' for key, text in numbers.items())
        note = f"note = {quoted(row.note)}\n" if row.note else ""
        yield (
            "\n[[reference]]\n"
            f'family = "{table.id}"\n'
            f"checkpoint = {quoted(row.checkpoint)}\n"
            f'dataset = "{other.id if other else "imagenet-val"}"\n'
            f"protocol = {quoted(entry.protocol)}\n"
            f'source = "{other.id if other else "published"}"\n'
            f"{digits}gflops = {row.gflops}\n{note}"
        )


def class_list(name: str = "imagenet_synsets.txt") -> bytes:
    """Give class folders in the order of the labels, as timm ships them."""
    file = file_shipped_with("timm", f"data/_info/{name}")
    assert file is not None
    return file.read_bytes()


def quoted(text: str) -> str:
    """Write a string of TOML."""
    # A JSON string without control characters is a basic string of TOML.
    return msgspec.json.encode(text).decode()
