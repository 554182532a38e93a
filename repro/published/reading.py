"""Read and validate the TOML files of published numbers (docs/expected-format.md)."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TypeVar, get_args

import msgspec

from repro.errors import ExpectedError
from repro.published.release import (
    DatasetSpec,
    Family,
    Metric,
    ModelSpec,
    OwnTolerance,
    Protocol,
    Reference,
    Release,
    Source,
    Table,
)

SCHEMA = 1
EMBEDDED = Path(__file__).parent.parent / "embedded"

_TABLES: dict[str, tuple[str, type[Table]]] = {
    "source": ("sources", Source),
    "dataset": ("datasets", DatasetSpec),
    "protocol": ("protocols", Protocol),
    "model": ("models", ModelSpec),
    "family": ("families", Family),
}
_TOP_LEVEL = ("schema", "release", *_TABLES, "reference")
_METRICS: tuple[Metric, ...] = get_args(Metric)
_LIMITS = {"top1": Decimal(100), "top5": Decimal(100), "loss": Decimal("Infinity")}

T = TypeVar("T", bound=msgspec.Struct)


class _Header(Table, frozen=True):
    """The table `[release]`."""

    id: str
    title: str
    paper: str = ""
    code: str = ""
    checkpoints: str = ""
    data: str = ""
    default_dataset: str = ""
    note: str = ""


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


class _Located(msgspec.Struct, frozen=True):
    """A piece of TOML and the place that an error about it has to name."""

    file: Path
    key: str
    value: Any

    def error(self, message: str) -> ExpectedError:
        return ExpectedError(f"{self.file}: {self.key}: {message}")


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
    for files in _release_files(paths):
        release = _read_release(files)
        if release.id in releases:
            raise ExpectedError(
                f"{files[0]}: release {release.id!r} was read already from "
                f"{releases[release.id].location}; each release has an id of its own"
            )
        releases[release.id] = release
    return list(releases.values())


def _release_files(paths: Sequence[Path | str]) -> Iterator[list[Path]]:
    """Yield the TOML files of each release."""
    for named in paths:
        path = EMBEDDED if str(named) == "embedded" else Path(named)
        if path.is_file():
            yield [path]
        elif path.is_dir():
            yield from _folder_files(path)
        else:
            raise ExpectedError(
                f"{path} does not exist; it should be a TOML file of published "
                "numbers, a folder of such files, or the word 'embedded'"
            )


def _folder_files(folder: Path) -> Iterator[list[Path]]:
    if (folder / "release.toml").is_file():
        yield sorted(folder.glob("*.toml"))
        return
    alone = sorted(folder.glob("*.toml"))
    folders = sorted(p.parent for p in folder.glob("*/release.toml"))
    if not alone and not folders:
        raise ExpectedError(
            f"{folder} holds no TOML file and no folder with a release.toml"
        )
    yield from ([file] for file in alone)
    yield from (sorted(f.glob("*.toml")) for f in folders)


def _read_release(files: Sequence[Path]) -> Release:
    tables, rows = _merge(files)
    header_at = tables.pop("release", {}).get("")
    if header_at is None:
        raise ExpectedError(f"{files[0]}: the table [release] is missing")
    header = _convert(header_at, _Header)
    parts: dict[str, dict[str, Any]] = {
        field: {
            name: _convert(_with_files(located), type_, id=name)
            for name, located in tables.get(table, {}).items()
        }
        for table, (field, type_) in _TABLES.items()
    }
    if not parts["datasets"]:
        raise header_at.error("the release has no [dataset.NAME]")
    fields = msgspec.structs.asdict(header) | parts
    fields["default_dataset"] = header.default_dataset or next(iter(parts["datasets"]))
    references = (r for row in rows for r in _references(row, parts["sources"]))
    release = Release(
        location=header_at.file.parent,
        references=tuple(references),
        **fields,
    )
    _check_names(release, header_at, tables, rows)
    return release


def _merge(
    files: Sequence[Path],
) -> tuple[dict[str, dict[str, _Located]], list[_Located]]:
    """Join the files of one release: {table: {name: place}}, and the references."""
    tables: dict[str, dict[str, _Located]] = {}
    rows: list[_Located] = []
    for file in files:
        content = _load(file)
        for table, value in content.items():
            if table == "schema":
                _check_schema(file, value)
            elif table == "release":
                _add(tables, table, _Located(file, "release", value), "")
            elif table == "reference" and isinstance(value, list):
                rows += (
                    _Located(file, f"reference {number}", row)
                    for number, row in enumerate(value, 1)
                )
            elif table in _TABLES and isinstance(value, dict):
                for name, entry in value.items():
                    _add(tables, table, _Located(file, f"{table}.{name}", entry), name)
            else:
                raise ExpectedError(
                    f"{file}: unknown or misplaced table {table!r}; allowed are "
                    "schema, [release], "
                    + ", ".join(f"[{t}.NAME]" for t in _TABLES)
                    + " and [[reference]]"
                )
    return tables, rows


def _add(
    tables: dict[str, dict[str, _Located]], table: str, located: _Located, name: str
) -> None:
    known = tables.setdefault(table, {})
    if name in known:
        raise located.error(f"stands in {known[name].file} already")
    known[name] = located


def _load(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ExpectedError(f"{file}: not valid TOML: {error}") from error


def _check_schema(file: Path, value: object) -> None:
    if value != SCHEMA:
        raise ExpectedError(
            f"{file}: schema is {value!r}; this version of repro reads {SCHEMA}"
        )


def _with_files(located: _Located) -> _Located:
    """Put the lines of a class list that stands in a file of its own in its place."""
    if not isinstance(located.value, dict):
        return located
    value = dict(located.value)
    for key in ("classes", "outputs"):
        if isinstance(name := value.get(key), str):
            file = located.file.parent / name
            if not file.is_file():
                raise located.error(f"{key} names {file}, which does not exist")
            value[key] = file.read_text(encoding="utf-8").split()
    return _Located(located.file, located.key, value)


def _convert(located: _Located, type_: type[T], **injected: str) -> T:
    if not isinstance(located.value, dict):
        raise located.error(f"must be a table, not {located.value!r}")
    for key in injected:
        if key in located.value:
            raise located.error(f"{key} is the name in the table's header; remove it")
    try:
        return msgspec.convert({**located.value, **injected}, type_)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        allowed = ""
        if "unknown field" in message:
            names = (name for name in _field_names(type_, path) if name not in injected)
            allowed = f"; allowed are {', '.join(names)}"
        where = f"{located.key}{path.rstrip('`')}"
        raise ExpectedError(f"{located.file}: {where}: {message}{allowed}") from error


def _field_names(type_: type[msgspec.Struct], path: str) -> list[str]:
    """Name the keys of the struct at `path` (such as `.text`) below `type_`."""
    for part in re.findall(r"\.(\w+)", path):
        field = next(f for f in msgspec.structs.fields(type_) if f.encode_name == part)
        for candidate in (field.type, *get_args(field.type)):
            if isinstance(candidate, type) and issubclass(candidate, msgspec.Struct):
                type_ = candidate
    return [field.encode_name for field in msgspec.structs.fields(type_)]


def _references(
    located: _Located, sources: Mapping[str, Source]
) -> Iterator[Reference]:
    """Yield one reference for each metric of a `[[reference]]`."""
    for metric in _METRICS:
        value = located.value.get(metric) if isinstance(located.value, dict) else None
        if isinstance(value, int | float):
            raise located.error(
                f'{metric} = {value} must be in quotes, "{value}", with all its '
                "printed digits: they say how precise it is"
            )
    row = _convert(located, _ReferenceRow)
    measured = [(metric, getattr(row, metric)) for metric in _METRICS]
    if not any(text for _, text in measured):
        raise located.error(f"has no number; give one or more of {', '.join(_METRICS)}")
    for metric, text in measured:
        if text is not None:
            source = sources.get(row.source)
            own = row.tolerance or (source.tolerance if source else None)
            yield Reference(
                metric=metric,
                published=_printed_number(located, metric, text),
                families=(row.family,) if isinstance(row.family, str) else row.family,
                checkpoint=row.checkpoint,
                dataset=row.dataset,
                protocol=row.protocol,
                source=row.source,
                note=row.note,
                tolerance=getattr(own, metric) if own else None,
                tolerance_reason=own.reason if own and getattr(own, metric) else "",
                defined_in=f"{located.file}: {located.key}",
            )


def _printed_number(located: _Located, metric: Metric, text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise located.error(f"{metric} = {text!r} is not a number") from None
    if not 0 <= number <= _LIMITS[metric] or not number.is_finite():
        limit = "0 nats or more" if metric == "loss" else "between 0 and 100 percent"
        raise located.error(f"{metric} = {text!r} is out of range; it must be {limit}")
    return number


def _check_names(
    release: Release,
    header: _Located,
    tables: Mapping[str, Mapping[str, _Located]],
    rows: Sequence[_Located],
) -> None:
    """Check that every name that one table uses is defined by another."""
    _known(header, "default_dataset", [release.default_dataset], release.datasets)
    for name, protocol in release.protocols.items():
        located = tables["protocol"][name]
        _known(located, "source", [protocol.source], release.sources)
    for name, family in release.families.items():
        located = tables["family"][name]
        _known(located, "model", [family.model], release.models)
        _known(located, "protocols", family.protocols, release.protocols)
        _known(located, "datasets", family.datasets, release.datasets)
        kinds = {release.protocols[p].kind for p in family.protocols}
        if len(kinds) != 1:
            raise located.error("protocols must be all supervised or all zero-shot")
    places = {f"{row.file}: {row.key}": row for row in rows}
    seen: dict[tuple[object, ...], str] = {}
    for reference in release.references:
        located = places[reference.defined_in]
        _known(located, "family", reference.families, release.families)
        _known(located, "dataset", [reference.dataset], release.datasets)
        _known(located, "protocol", [reference.protocol], release.protocols)
        _known(located, "source", [reference.source], release.sources)
        _check_kind(located, reference, release)
        key = (
            reference.families,
            reference.checkpoint,
            reference.dataset,
            reference.protocol,
            reference.source,
            reference.metric,
        )
        if key in seen:
            raise located.error(
                f"{reference.metric} of the same checkpoint, dataset, protocol and "
                f"source stands in {seen[key]} already"
            )
        seen[key] = reference.defined_in


def _check_kind(located: _Located, reference: Reference, release: Release) -> None:
    kind = release.protocols[reference.protocol].kind
    for name in reference.families:
        own = release.protocols[release.families[name].protocols[0]].kind
        if own != kind:
            raise located.error(
                f"protocol {reference.protocol!r} is {kind}, but the family {name!r} "
                f"has {own} checkpoints"
            )


def _known(
    located: _Located, key: str, names: Sequence[str], known: Mapping[str, object]
) -> None:
    for name in names:
        if name not in known:
            raise located.error(
                f"{key} names {name!r}, which is not defined; "
                f"defined are {', '.join(known) or 'none'}"
            )
    if not names:
        raise located.error(f"{key} is empty; name at least one")
