"""One checkpoint of a library as a case: the library's own protocol and numbers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from repro.cases import Case, list_cases, named_case
from repro.errors import ExpectedError, OptionError
from repro.importing.open_clip import open_clip_checkpoint, open_clip_table
from repro.importing.supervised import (
    timm_checkpoint,
    timm_table,
    torchvision_checkpoint,
)
from repro.importing.tables import Table
from repro.importing.writing import as_release
from repro.published import Protocol, Release

LIBRARIES = ("timm", "torchvision", "open_clip")
#: Those whose numbers are in a table that is no part of the package.
_TABLES = {"timm": timm_table, "open_clip": open_clip_table}


class LibraryCase(msgspec.Struct, frozen=True):
    """A case of a library, and where its number would be if there is none."""

    case: Case
    hint: str = ""


def library_case(
    library: str,
    name: str,
    *,
    has_file: bool,
    table: Path | None,
    releases: Iterable[Release],
) -> LibraryCase:
    """Make the case of a checkpoint as its library evaluates it.

    Args:
        library: one of `LIBRARIES`.
        name: the library's name of a checkpoint, or of an architecture for its default.
        has_file: whether the weights come from a file that the user names.
        table: the library's own table of numbers, saved by the user.
        releases: where its numbers may have been imported.

    Raises:
        ExpectedError: the library does not have it, or the table is none of it.
    """
    found = _own(library, name, has_file=has_file)
    release = as_release(found)
    (family,), (protocol,) = release.families, release.protocols
    names = family, found.rows[0].checkpoint, protocol, release.default_dataset
    own = named_case(release, *names)
    if found.rows[0].numbers:
        return LibraryCase(_with_numbers(own, [release]) or own)
    searched = [as_release(_TABLES[library](table))] if table else list(releases)
    if published := _with_numbers(own, searched):
        return LibraryCase(published)
    where = table or f"{found.url}; save that table and name it with --table"
    return LibraryCase(
        own, f"no number of {own.checkpoint} with this protocol: {where}"
    )


def _own(library: str, name: str, *, has_file: bool) -> Table:
    if library == "timm":
        return timm_checkpoint(name)
    if library == "torchvision":
        return torchvision_checkpoint(name)
    if library == "open_clip":
        return open_clip_checkpoint(name, has_file=has_file)
    raise ExpectedError(
        f"{library!r} is no library whose checkpoints are known; use LIBRARY:NAME with "
        f"one of {', '.join(LIBRARIES)}"
    )


def check_table(library: str, table: Path | None) -> None:
    """Refuse a table where the library says its numbers itself.

    Raises:
        OptionError: there is one.
    """
    if table is not None and library not in _TABLES:
        raise OptionError(
            f"--table has no effect with {library}, whose package has its numbers; "
            "leave it out"
        )


def _with_numbers(own: Case, releases: Iterable[Release]) -> Case | None:
    """Find the case of the same checkpoint and pixels that somebody published."""
    for case in list_cases(releases):
        if (
            case.references
            and case.checkpoint == own.checkpoint
            and case.model.loader == own.model.loader
            # ImageNet-Sketch has the same classes, and another number of images.
            and case.dataset.classes == own.dataset.classes
            and case.dataset.images == own.dataset.images
            and _pixels(case.protocol) == _pixels(own.protocol)
        ):
            return case
    return None


def _pixels(protocol: Protocol) -> tuple[object, ...]:
    """What a model gets, and what its classes are called."""
    return protocol.geometry, protocol.mean, protocol.std, protocol.text
