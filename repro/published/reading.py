"""Read and validate the TOML files of published numbers (docs/expected-format.md)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from repro.errors import ExpectedError
from repro.published.allowed import WEIGHTS_SUFFIXES, check_below, check_name
from repro.published.checksums import Checksum
from repro.published.claims import check_claims, convert_claim
from repro.published.consistency import check_consistency
from repro.published.file_lists import (
    SHIPPED,
    FileList,
    plain_list,
    shipped_list,
    shipped_names,
)
from repro.published.files import RELEASE_FILE, load_toml, read_text, release_files
from repro.published.located import Located, convert, shown
from repro.published.release import (
    LIMITS,
    METRICS,
    DatasetSpec,
    Family,
    Metric,
    ModelSpec,
    OwnTolerance,
    Protocol,
    Reference,
    Release,
    Source,
)
from repro.published.tables import NamedTable, Table, Text

SCHEMA = 1

_TABLES: dict[str, tuple[str, type[NamedTable]]] = {
    "source": ("sources", Source),
    "dataset": ("datasets", DatasetSpec),
    "protocol": ("protocols", Protocol),
    "model": ("models", ModelSpec),
    "family": ("families", Family),
    "checksum": ("checksums", Checksum),
}
_LINK = re.compile(r"\w.*https?://\w")
_PRINTED = re.compile(r"[0-9]{1,4}(\.[0-9]{1,20})?")

Tables = dict[str, dict[str, Located]]


class _Header(Table, frozen=True):
    """The table `[release]`."""

    id: str
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


class _ReferenceRow(Table, frozen=True):
    """One `[[reference]]`: the metrics that one source gives for one checkpoint."""

    family: str | tuple[str, ...]
    checkpoint: str
    dataset: str
    protocol: str
    source: str
    note: str = ""
    top1: str | None = None
    top5: str | None = None
    loss: str | None = None
    tolerance: OwnTolerance | None = None
    gflops: float | None = None
    xfail: Text | None = None

    def __post_init__(self) -> None:
        """Refuse a checkpoint that is no file's name and a tolerance for nothing."""
        check_name(self.checkpoint, "checkpoint")
        if self.checkpoint.endswith(WEIGHTS_SUFFIXES):
            stem = self.checkpoint.rpartition(".")[0]
            raise ValueError(
                f"checkpoint is {self.checkpoint!r}; leave the suffix out: {stem!r}"
            )
        if self.gflops is not None and not 0 < self.gflops < math.inf:
            raise ValueError(f"gflops is {self.gflops}; it must be above 0")
        if self.xfail is not None and not _LINK.search(self.xfail):
            raise ValueError(
                f"xfail is {self.xfail!r}; say why the number is not met and where to "
                "read about it: 'reason, https://...'"
            )
        for metric in METRICS:
            tolerated = getattr(self.tolerance, metric, None) is not None
            if tolerated and getattr(self, metric) is None:
                raise ValueError(f"tolerance names {metric}, but there is no {metric}")


def read_releases(paths: Sequence[Path | str]) -> list[Release]:
    """Read every release that the paths name.

    A path is a TOML file (one release), a folder with one release in several TOML
    files, a folder of releases, or the word `embedded` for the release that is shipped
    with this package.

    Raises:
        ExpectedError: something is missing, unknown or out of range; the message names
            file and key and says what is allowed.
    """
    releases: dict[str, Release] = {}
    for files in release_files(paths):
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
    header = convert(header_at, _Header)
    parts: dict[str, dict[str, Any]] = {
        field: {
            name: convert(
                _with_files(located) if type_ is DatasetSpec else located,
                type_,
                id=name,
            )
            for name, located in tables.get(table, {}).items()
        }
        for table, (field, type_) in _TABLES.items()
    }
    for table in ("dataset", "family"):
        if not tables.get(table):
            raise header_at.error(f"the release has no [{table}.NAME]; add one")
    fields = msgspec.structs.asdict(header) | parts
    fields["default_dataset"] = header.default_dataset or next(iter(parts["datasets"]))
    references = [
        (row, reference)
        for row in rows
        for reference in _references(row, parts["sources"])
    ]
    claims = [(row, convert_claim(row)) for row in claim_rows]
    release = Release(
        location=header_at.file.parent,
        references=tuple(reference for _, reference in references),
        claims=tuple(claim for _, claim in claims),
        **fields,
    )
    check_consistency(release, header_at, tables, references)
    check_claims(claims, release)
    return release


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
            elif table in _TABLES and isinstance(value, dict):
                for name, entry in value.items():
                    _add(tables, table, _named(file, table, name, entry), name)
            else:
                raise ExpectedError(
                    f"{file}: unknown or misplaced table {table!r}; allowed are "
                    "schema, [release], "
                    + ", ".join(f"[{t}.NAME]" for t in _TABLES)
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
        files = _read_file_list(located, value["files"], str(value.get("title", "")))
        value["files"] = msgspec.to_builtins(files)
    return Located(located.file, located.key, value)


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
    try:
        return read_text(located.file.parent / name)
    except ExpectedError as error:
        what = f"{or_else} names a text file".lstrip()
        raise located.error(f"{key} {what}; {error}") from error


def _references(located: Located, sources: Mapping[str, Source]) -> Iterator[Reference]:
    """Yield one reference for each metric of a `[[reference]]`."""
    for metric in METRICS:
        value = located.value.get(metric) if isinstance(located.value, dict) else None
        if isinstance(value, int | float) and not isinstance(value, bool):
            raise located.error(
                f"{metric} = {shown(value)} must be a string with all its printed "
                'digits, such as "58.140": they say how precise it is'
            )
    row = convert(located, _ReferenceRow)
    measured = {m: text for m in METRICS if (text := getattr(row, m)) is not None}
    if not measured:
        raise located.error(f"has no number; give one or more of {', '.join(METRICS)}")
    source = sources.get(row.source)
    for metric, text in measured.items():
        tolerance, reason = _tolerance(metric, row.tolerance, source)
        yield Reference(
            metric=metric,
            published=_printed_number(located, metric, text),
            families=(row.family,) if isinstance(row.family, str) else row.family,
            checkpoint=row.checkpoint,
            dataset=row.dataset,
            protocol=row.protocol,
            source=row.source,
            note=row.note,
            tolerance=tolerance,
            tolerance_reason=reason,
            gflops=row.gflops,
            xfail=row.xfail or "",
            defined_in=f"{located.file}: {located.key}",
        )


def _tolerance(
    metric: Metric, own: OwnTolerance | None, source: Source | None
) -> tuple[Decimal | None, str]:
    """Choose the reference's tolerance of a metric before that of its source."""
    for tolerance in (own, source.tolerance if source else None):
        value: Decimal | None = getattr(tolerance, metric, None)
        if tolerance and value is not None:
            return value, tolerance.reason
    return None, ""


def _printed_number(located: Located, metric: Metric, text: str) -> Decimal:
    if not _PRINTED.fullmatch(text):
        raise located.error(
            f"{metric} = {shown(text)} is no number as it is printed, such as "
            "'58.140': digits, a point and at most 20 more digits"
        )
    number = Decimal(text)
    if number > LIMITS[metric]:
        unit = "nats" if metric == "loss" else "percent"
        raise located.error(
            f"{metric} = {text!r} is out of range; it must be between 0 and "
            f"{LIMITS[metric]} {unit}"
        )
    return number
