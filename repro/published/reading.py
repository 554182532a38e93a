"""Read and validate the TOML files of published numbers (docs/expected-format.md).

Where what is seen for the first time is written down, to be checked ever after, is
said here too.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from repro.errors import ExpectedError
from repro.published.consistency import Places, check_consistency
from repro.published.files import (
    RELEASE_FILE,
    Located,
    convert,
    load_toml,
    read_text,
    release_files,
    shown,
)
from repro.published.known_files import (
    SHIPPED,
    Checksum,
    FileList,
    plain_list,
    shipped_list,
    shipped_names,
)
from repro.published.numbers import read_references, read_source
from repro.published.release import (
    DatasetSpec,
    Family,
    ModelSpec,
    Protocol,
    Release,
    Source,
)
from repro.published.statements import convert_claim
from repro.published.vocabulary import (
    Name,
    NamedTable,
    Table,
    Text,
    check_below,
    check_name,
)

SCHEMA = 1

TABLES: dict[str, tuple[str, type[NamedTable]]] = {
    "source": ("sources", Source),
    "dataset": ("datasets", DatasetSpec),
    "protocol": ("protocols", Protocol),
    "model": ("models", ModelSpec),
    "family": ("families", Family),
    "checksum": ("checksums", Checksum),
}

Tables = dict[str, dict[str, Located]]


class Header(Table, frozen=True):
    """The table `[release]`."""

    id: Name
    title: Text
    paper: str = ""
    code: str = ""
    checkpoints: str = ""
    data: str = ""
    default_dataset: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        """Refuse a name that is none and folders outside the release."""
        check_name(self.id, "id")
        check_below("checkpoints", self.checkpoints)
        check_below("data", self.data)


def read_releases(paths: Sequence[Path | str] | Path | str) -> list[Release]:
    """Read every release that the paths name.

    A path is a TOML file (one release), a folder with one release in several TOML
    files, a folder of releases, or the word `embedded` for the release that is shipped
    with this package. One path needs no list around it.

    Raises:
        ExpectedError: something is missing, unknown or out of range; the message names
            file and key and says what is allowed.
    """
    releases: dict[str, Release] = {}
    # Else a text would be a list of letters.
    several = [paths] if isinstance(paths, str | Path) else paths
    for files in release_files(several):
        release = _read_release(files)
        if release.id in releases:
            raise ExpectedError(
                f"{files[0]}: release {release.id!r} was read already from "
                f"{releases[release.id].location}; each release has an id of its own"
            )
        releases[release.id] = release
    return list(releases.values())


def _read_release(files: Sequence[Path]) -> Release:
    tables, rows, claim_rows = _merge(files)
    header_at = tables.pop("release", {}).get("")
    if header_at is None:
        raise ExpectedError(
            f"{files[0]}: the table [release] is missing; a release in several files "
            f"is a folder with a {RELEASE_FILE}"
        )
    header = convert(header_at, Header)
    parts: dict[str, dict[str, Any]] = {
        field: {
            name: _converted(located, type_, name)
            for name, located in tables.get(table, {}).items()
        }
        for table, (field, type_) in TABLES.items()
    }
    for table in ("dataset", "family"):
        if not tables.get(table):
            raise header_at.error(f"the release has no [{table}.NAME]; add one")
    fields = msgspec.structs.asdict(header) | parts
    fields["default_dataset"] = header.default_dataset or next(iter(parts["datasets"]))
    references = [
        (row, reference)
        for row in rows
        for reference in read_references(row, parts["sources"])
    ]
    claims = [(row, convert_claim(row)) for row in claim_rows]
    release = Release(
        location=header_at.file.parent,
        references=tuple(reference for _, reference in references),
        claims=tuple(claim for _, claim in claims),
        **fields,
    )
    check_consistency(release, Places(header_at, tables, references, claims))
    return release


def _converted(located: Located, type_: type[NamedTable], name: str) -> NamedTable:
    if type_ is Source:
        return read_source(located, name)
    if type_ is DatasetSpec:
        located = _with_files(located)
    if type_ is Protocol:
        located = _with_three_channels(located)
    return convert(located, type_, id=name)


def _merge(files: Sequence[Path]) -> tuple[Tables, list[Located], list[Located]]:
    """Join the files of one release: {table: {name: place}}, references and claims."""
    tables: Tables = {}
    rows: dict[str, list[Located]] = {"reference": [], "claim": []}
    for file in files:
        for table, value in load_toml(file).items():
            if table == "schema":
                _check_schema(file, value)
            elif table == "release":
                _add(tables, table, Located(file, "release", value), "")
            elif table in rows and isinstance(value, list):
                rows[table] += (
                    Located(file, f"{table} {number}", row)
                    for number, row in enumerate(value, 1)
                )
            elif table in TABLES and isinstance(value, dict):
                for name, entry in value.items():
                    _add(tables, table, _named(file, table, name, entry), name)
            else:
                raise ExpectedError(
                    f"{file}: unknown or misplaced table {table!r}; allowed are "
                    "schema, [release], "
                    + ", ".join(f"[{t}.NAME]" for t in TABLES)
                    + ", [[reference]] and [[claim]]"
                )
    return tables, rows["reference"], rows["claim"]


def _named(file: Path, table: str, name: str, entry: object) -> Located:
    readable = name if name and name.isprintable() else repr(name)
    located = Located(file, f"{table}.{readable}", entry)
    if not isinstance(entry, dict):
        raise located.error(
            f"must be a table with the header [{table}.NAME], not {shown(entry)}"
        )
    return located


def _add(tables: Tables, table: str, located: Located, name: str) -> None:
    known = tables.setdefault(table, {})
    if name in known:
        raise located.error(f"stands in {known[name].file} already; remove one of them")
    known[name] = located


def _check_schema(file: Path, value: object) -> None:
    if type(value) is not int or value != SCHEMA:
        raise ExpectedError(
            f"{file}: schema is {shown(value)}; this version of repro reads {SCHEMA}"
        )


def _with_three_channels(located: Located) -> Located:
    """Write the mean and std of grey images for each of three equal channels."""
    value = dict(located.value)
    geometry = value.get("geometry")
    if not isinstance(geometry, str) or not geometry.lstrip().startswith("grey"):
        return located
    for key in ("mean", "std"):
        numbers = value.get(key)
        if isinstance(numbers, list) and len(set(map(shown, numbers))) == 1:
            value[key] = numbers[:1] * 3
        elif isinstance(numbers, list):
            raise located.error(
                f"{key} is {shown(numbers)}; a grey geometry has one channel, so "
                "write one number"
            )
    return located.holding(value)


def _with_files(located: Located) -> Located:
    """Put the lines of a list that stands in a file of its own in its place."""
    value = dict(located.value)
    for key in ("classes", "outputs"):
        if isinstance(name := value.get(key), str):
            lines = _read_beside(located, key, name, "is a list or").splitlines()
            value[key] = [line.strip() for line in lines if line.strip()]
            if not value[key]:
                raise located.error(f"{key} names {name!r}, which holds no line")
    if "files" in value:
        title = value.get("title")
        title = title if isinstance(title, str) else ""
        files = _read_file_list(located, value["files"], title)
        value["files"] = msgspec.to_builtins(files)
    return located.holding(value)


def _read_file_list(located: Located, name: object, title: str) -> FileList:
    """Read a list of file names: one that is shipped, or lines `<class>/<image>`."""
    if not isinstance(name, str):
        raise located.error(f"files must be a string, not {shown(name)}")
    if name.startswith(SHIPPED):
        known = shipped_names()
        if (shipped := name.removeprefix(SHIPPED)) not in known:
            raise located.error(
                f"files is {shown(name)}; shipped are "
                f"{', '.join(SHIPPED + each for each in known)}"
            )
        return shipped_list(shipped)
    text = _read_beside(located, "files", name, "")
    try:
        return plain_list(text, title, str(located.file.parent / name))
    except ValueError as error:
        raise located.error(f"files names {shown(name)}; {error}") from error


def _read_beside(located: Located, key: str, name: str, or_else: str) -> str:
    """Read a text file that a key names, relative to the TOML file."""
    if not name or not name.isprintable():
        raise located.error(f"{key} is {name!r}, which is neither a list nor a file")
    # A line of it may be shown, so a stranger's release names no other file elsewhere.
    if not name.endswith(".txt"):
        try:
            check_below(key, name)
        except ValueError as error:
            raise located.error(f"{error}, or a list *.txt") from error
    try:
        return read_text(located.file.parent / name)
    except ExpectedError as error:
        what = f"{or_else} names a text file".lstrip()
        raise located.error(f"{key} {what}; {error}") from error


_INSTALLED = {"site-packages", "dist-packages"}


def place_beside(release: Release, name: str) -> Path | None:
    """Give the file of that name beside `release.toml`; None without such a folder."""
    folder = release.location
    return folder / name if (folder / RELEASE_FILE).is_file() else None


def place_of_user(release: Release, kind: str, name: str) -> Path:
    """Give the file of that name in the user's data folder: `kind/release/name`."""
    import platformdirs

    folder = platformdirs.user_data_path("repro", appauthor=False)
    return folder / kind / release.id / name


def place_to_record(release: Release, kind: str, name: str) -> Path:
    """Choose where to write: beside the release where it can be changed.

    There it is under version control with the published numbers. Where the release is
    installed, cannot be written or is one file among others, it is the user's data
    folder, which no upgrade replaces.
    """
    beside = place_beside(release, name)
    installed = bool(_INSTALLED & set(release.location.resolve().parts))
    if beside and not installed and os.access(release.location, os.W_OK):
        return beside
    return place_of_user(release, kind, name)
