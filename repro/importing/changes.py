"""What an import changes in a release that was imported before."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from repro.importing.rows import Table
from repro.published import METRICS, RELEASE_FILE, Release, read_releases
from repro.published.numbers import in_unit

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
        (entry.row.checkpoint, entry.protocol, metric): _in_unit(metric, text, table)
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


def _in_unit(metric: str, text: str, table: Table) -> str:
    return in_unit(text, METRICS[metric], table.unit).digits
