"""Write an imported table as a release, by templates.

Comments of the files that are written stand in the templates, beside the keys.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jinja2
import msgspec
import tomlkit

from repro.errors import ExpectedError
from repro.files import file_shipped_with, replace_bytes
from repro.importing.tables import Entry, Table
from repro.published import (
    METRICS,
    RELEASE_FILE,
    Release,
    read_releases,
    split_weights_name,
)
from repro.published.numbers import in_unit

_TEMPLATES = Path(__file__).parent / "templates"
_COLUMNS = 88


def write_toml(template: str, /, **values: Any) -> str:
    """Fill in a template of this package.

    Args:
        template: its name, without the suffixes.
        values: what it speaks of.
    """
    text = _environment().get_template(f"{template}.toml.jinja").render(values)
    # Parts that are left out leave their empty lines.
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n") + "\n"


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )
    environment.filters |= {"toml": _value, "key": _key, "comment": _comment}
    environment.globals["pairs"] = pairs
    return environment


def _value(value: Any) -> str:
    """Write a value of TOML, a table in one line.

    Each by itself: a container of tomlkit goes through all that it has for each.
    """
    if isinstance(value, dict):
        written = (f"{_key(key)} = {_value(one)}" for key, one in value.items())
        return f"{{{', '.join(written)}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return str(tomlkit.item(value).as_string())


def _key(name: str) -> str:
    """Write a key, in quotes if it cannot stand without."""
    return tomlkit.items.SingleKey(name).as_string()


def pairs(**values: Any) -> str:
    """Write the lines of a table; what is empty is left out."""
    return "".join(
        f"{_key(key)} = {_value(value)}\n"
        for key, value in values.items()
        if value not in (None, "", {})
    )


def _comment(text: str) -> str:
    """Write a comment, which breaks at words only."""
    return "".join(
        f"# {line}\n"
        for line in textwrap.wrap(
            text, _COLUMNS - 2, break_long_words=False, break_on_hyphens=False
        )
    )


CLASSES_FILE = "imagenet-1k.txt"


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
    building: dict[str, Any] = {"architecture": table.config_name or table.architecture}
    if table.config:
        building["config"] = f"{table.config_name}.json"
    else:
        building["options"] = table.options
    protocols = {row.protocol: Entry(row, {}) for row in table.rows}
    return write_toml(
        "imported",
        table=table,
        classes=CLASSES_FILE,
        building=building,
        protocols=protocols | {entry.protocol: entry for entry in table.entries()},
        files={
            f"{row.checkpoint}{suffix}": row.file
            for row in table.rows
            if (suffix := split_weights_name(row.file)[1])
        },
    )


def class_list(name: str = "imagenet_synsets.txt") -> bytes:
    """Give class folders in the order of the labels, as timm ships them."""
    file = file_shipped_with("timm", f"data/_info/{name}")
    assert file is not None
    return file.read_bytes()


#: A number's place: checkpoint, protocol, metric.
NumberKey = tuple[str, str, str]


class Changes(msgspec.Struct, frozen=True):
    """Numbers that an import adds, changes (old and new) and removes.

    `is_update` says that there was a release to compare with.
    """

    added: dict[NumberKey, str]
    changed: dict[NumberKey, tuple[str, str]]
    removed: dict[NumberKey, str]
    is_update: bool

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)

    def lines(self) -> Iterable[str]:
        """Say each change in a line, and their counts in the last one."""
        for (checkpoint, protocol, metric), text in self.added.items():
            yield f"+ {checkpoint}@{protocol} {metric} {text}"
        for (checkpoint, protocol, metric), (old, new) in self.changed.items():
            yield f"~ {checkpoint}@{protocol} {metric} {old} -> {new}"
        for (checkpoint, protocol, metric), text in self.removed.items():
            yield f"- {checkpoint}@{protocol} {metric} {text}"
        yield (
            f"{len(self.added):,} numbers added, {len(self.changed):,} changed, "
            f"{len(self.removed):,} removed"
        )


def changes(folder: Path, table: Table) -> Changes:
    """Compare a table with the release that is in a folder, if there is one.

    Raises:
        ExpectedError: what is in the folder cannot be read.
    """
    known: dict[NumberKey, str] = {}
    is_update = (folder / RELEASE_FILE).exists()
    if is_update:
        known = _published(read_releases([folder])[0])
    new = {
        (entry.row.checkpoint, entry.protocol, metric): in_unit(
            text, METRICS[metric], table.unit
        ).digits
        for entry in table.entries()
        for metric, text in entry.numbers.items()
    }
    return Changes(
        {place: text for place, text in new.items() if place not in known},
        {
            place: (known[place], text)
            for place, text in new.items()
            if place in known and known[place] != text
        },
        {place: text for place, text in known.items() if place not in new},
        is_update,
    )


def _published(release: Release) -> dict[NumberKey, str]:
    return {
        (number.checkpoint, number.protocol, number.metric): number.published.digits
        for number in release.references
    }
