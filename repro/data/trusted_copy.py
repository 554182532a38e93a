"""What a copy of a dataset was when it was recorded: names, sizes and SHA-256.

The file has a line for each image, as `sha256sum` writes it with the size between:
`<sha256>  <bytes>  <class>/<image>`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from repro.data.places import UNKNOWN_SIZE
from repro.errors import DatasetError
from repro.files import replace_bytes
from repro.published import (
    DatasetSpec,
    Release,
    place_beside,
    place_of_user,
    place_to_record,
)
from repro.words import counted_names


class Record(msgspec.Struct, frozen=True):
    """A recorded copy: `files` is `{<class>/<image>: (bytes, sha256)}`."""

    source: Path
    files: dict[str, tuple[int, str]]

    def difference(
        self, sizes: Mapping[str, int], sums: Mapping[str, str] | None = None
    ) -> str:
        """Say how many files of a copy differ; empty if none do.

        Args:
            sizes: the bytes of its files by name.
            sums: SHA-256 of its files, if they were read; else sizes are compared.
        """
        changed = [
            name
            for name, size in sizes.items()
            if (known := self.files.get(name))
            and (
                size not in (known[0], UNKNOWN_SIZE)
                or (sums is not None and sums.get(name) != known[1])
            )
        ]
        missing = [name for name in self.files if name not in sizes]
        new = [name for name in sizes if name not in self.files]
        faults = (
            counted_names(changed, "file has other bytes", "files have other bytes"),
            counted_names(missing, "file is missing", "files are missing"),
            counted_names(new, "file is new", "files are new"),
        )
        if not any(faults):
            return ""
        return (
            f"is not the copy recorded in {self.source}: "
            f"{', '.join(filter(None, faults))}; restore the files, or remove that "
            "record if this copy is right"
        )


def read_record(release: Release, spec: DatasetSpec) -> Record | None:
    """Read what was recorded of a dataset, the release's own record first.

    Raises:
        DatasetError: it cannot be understood.
    """
    name = _name(spec)
    own = place_of_user(release, "records", name)
    for file in (place_beside(release, name), own):
        if file is not None and file.is_file():
            return Record(file, _read(file))
    return None


def write_record(
    release: Release,
    spec: DatasetSpec,
    sizes: Mapping[str, int],
    sums: Mapping[str, str],
) -> Path:
    """Write down the bytes and SHA-256 of the files of a copy, and tell where.

    Raises:
        DatasetError: it cannot be written.
    """
    file = place_to_record(release, "records", _name(spec))
    lines = sorted(f"{sums[name]}  {size}  {name}\n" for name, size in sizes.items())
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_bytes(file, "".join(lines).encode())
    except OSError as error:
        raise DatasetError(
            f"{file}: the record cannot be written ({error.strerror}); make it writable"
        ) from error
    return file


def _name(spec: DatasetSpec) -> str:
    return f"records/{spec.id}.txt"


def _read(file: Path) -> dict[str, tuple[int, str]]:
    try:
        rows = [
            line.split("  ", 2)
            for line in file.read_text(encoding="utf-8").split("\n")
            if line
        ]
        return {name: (int(size), sha256) for sha256, size, name in rows}
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"{file} is no record of a dataset ({error}); its lines are "
            "<sha256>  <bytes>  <class>/<image>. Remove it to record the copy anew"
        ) from error
