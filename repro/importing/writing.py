"""Write an imported table as a release."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from repro.errors import ExpectedError
from repro.files import file_shipped_with, replace_bytes
from repro.importing.rows import Entry, Table
from repro.importing.toml import write_toml
from repro.published import RELEASE_FILE, Release, read_releases, split_weights_name

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
