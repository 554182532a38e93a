"""Write the numbers of a printed table into a release, beside those that it has."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import tomlkit

from repro.errors import ExpectedError, OptionError
from repro.files import replace_bytes
from repro.importing.columns import Entry
from repro.importing.grids import Files
from repro.importing.printed import Understood
from repro.importing.writing import pairs, write_toml
from repro.published import (
    METRICS,
    RELEASE_FILE,
    Reference,
    Release,
    Shares,
    Source,
    check_name,
    read_releases,
    split_weights_name,
)
from repro.published.numbers import in_unit
from repro.published.vocabulary import Printed
from repro.words import counted

REFERENCES_FILE = "references.toml"


class Differs(msgspec.Struct, frozen=True):
    """A number of the table that the release has with other digits."""

    entry: Entry
    known: Reference

    def __str__(self) -> str:
        return (
            f"~ {_spelt(self.entry)} {self.known.printed} -> "
            f"{self.entry.printed.digits} ({self.known.defined_in}, source "
            f"{self.known.source}; {self.entry.place})"
        )


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers of a table that are new, known already, known otherwise."""

    added: tuple[Entry, ...]
    known: tuple[Entry, ...]
    different: tuple[Differs, ...]
    elsewhere: tuple[Differs, ...]

    def lines(self) -> Iterator[str]:
        """Say what is new and what differs, and the counts in the last line."""
        for entry in self.added:
            yield f"+ {_spelt(entry)} {entry.printed.digits}"
        yield from map(str, self.different)
        for other in self.elsewhere:
            yield (
                f"  {_spelt(other.entry)} is {other.known.printed} by the source "
                f"{other.known.source}"
            )
        yield (
            f"{counted(len(self.added), 'number is', 'numbers are')} new, "
            f"{counted(len(self.known), 'is', 'are')} there already, "
            f"{counted(len(self.different), 'is', 'are')} there with other digits"
        )


def compare(understood: Understood, release: Release, source: str) -> Compared:
    """Look for the numbers of a table among those of a release.

    Raises:
        ExpectedError: the table has two numbers for the same thing.
    """
    known = _by_number(release)
    _refuse_twice(understood.entries)
    added, same, different, elsewhere = [], [], [], []
    for entry in understood.entries:
        key = (*entry.case, entry.metric)
        value = in_unit(entry.printed.digits, METRICS[entry.metric], understood.unit)
        others = known.get(key, [])
        own = [reference for reference in others if reference.source == source]
        if not own:
            added.append(entry)
        elif any(_agree(value, reference.published) for reference in own):
            same.append(entry)
        else:
            different.append(Differs(entry, own[0]))
        elsewhere += [
            Differs(entry, reference)
            for reference in others
            if reference.source != source and not _agree(value, reference.published)
        ]
    return Compared(
        added=tuple(added),
        known=tuple(same),
        different=tuple(different),
        elsewhere=tuple(elsewhere),
    )


def _by_number(release: Release) -> dict[tuple[str, ...], list[Reference]]:
    """Find references by what they are of, as an entry's case and metric say it."""
    known: dict[tuple[str, ...], list[Reference]] = {}
    for reference in release.references:
        of = reference.checkpoint, reference.dataset, reference.protocol
        for family in reference.families:
            key = (family, *of, reference.metric)
            known.setdefault(key, []).append(reference)
    return known


def _refuse_twice(entries: Iterable[Entry]) -> None:
    seen: dict[tuple[str, ...], Entry] = {}
    for entry in entries:
        first = seen.setdefault((*entry.case, entry.metric), entry)
        if first is not entry:
            raise ExpectedError(
                f"{_spelt(entry)} is {first.printed.digits} ({first.place}) and again "
                f"{entry.printed.digits} ({entry.place}); tell them apart with --as, "
                "or leave one out"
            )


def _agree(one: Printed, other: Printed) -> bool:
    """Tell whether two printed numbers can be the same one, rounded differently."""
    coarse = max(one.half_unit, other.half_unit)
    is_rounded = one.half_unit != other.half_unit
    off = abs(one.value - other.value)
    return off <= coarse if is_rounded else not off


def _spelt(entry: Entry) -> str:
    return f"{entry.family}/{entry.checkpoint}@{entry.dataset} {entry.metric}"


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where a table was read: the source in the release, and what it says.

    `runs` and `spread` say of how many runs its numbers are the mean, and what stands
    after a ±.
    """

    source: Source
    unit: Shares
    runs: int | None = None
    spread: str = ""
    note: str = ""


def references_text(
    entries: Sequence[Entry], origin: Origin, sources: Collection[str]
) -> str:
    """Write numbers as references, and their source where the release has it not.

    Args:
        entries: the numbers; those of one case become one reference.
        origin: where they were read.
        sources: that the release has.

    Raises:
        ExpectedError: a number has a spread, but nothing says of how many runs.
    """
    spreads = [entry for entry in entries if entry.printed.spread]
    if spreads and origin.runs is None:
        raise ExpectedError(
            f"{spreads[0].place}: {spreads[0].printed.digits} ± "
            f"{spreads[0].printed.spread} is a mean of several runs; say of how many "
            "with --runs"
        )
    if origin.runs is not None and not spreads:
        raise ExpectedError("--runs: no number of the table has a spread (±)")
    groups: dict[tuple[object, ...], list[Entry]] = {}
    for entry in entries:
        groups.setdefault((*entry.case, bool(entry.printed.spread)), []).append(entry)
    return write_toml(
        "references",
        source=None if origin.source.id in sources else origin.source,
        note=origin.note,
        references=[_reference(group, origin) for group in groups.values()],
    )


def _reference(entries: Sequence[Entry], origin: Origin) -> dict[str, object]:
    first = entries[0]
    written: dict[str, object] = {
        "family": first.family,
        "checkpoint": first.checkpoint,
        "dataset": first.dataset,
        "protocol": first.protocol,
        "source": origin.source.id,
    }
    for entry in entries:
        printed = entry.printed
        text = printed.digits + (f" ± {printed.spread}" if printed.spread else "")
        written[entry.metric] = text
    shares = any(METRICS[entry.metric].unit.whole for entry in entries)
    if shares and origin.unit != origin.source.unit:
        written["unit"] = origin.unit
    if first.printed.spread:
        written |= {"runs": origin.runs, "spread": origin.spread}
    return written | {"note": _places(entries)}


def _places(entries: Iterable[Entry]) -> str:
    return "; ".join(
        f"{entry.metric}: {entry.place}"
        + (f", marked {entry.printed.marks}" if entry.printed.marks else "")
        for entry in entries
    )


def origin_source(
    release: Release, name: str, title: str | None, url: str | None
) -> Source:
    """Give the source of a table, which a title and a URL make where there is none.

    Raises:
        OptionError: it is neither there nor described, or both.
    """
    if name in release.sources:
        for option, value in (("title", title), ("url", url)):
            if value is not None:
                raise OptionError(
                    f"--{option}: {release.location} has a [source.{name}] already, "
                    f"{release.sources[name].title!r}; leave it out or name another "
                    "--source"
                )
        return release.sources[name]
    if not title or not url:
        raise OptionError(
            f"--source={name!r}: {release.location} has no [source.{name}], but "
            f"{', '.join(release.sources) or 'none'}; say with --title and --url what "
            "it is and where it can be opened"
        )
    try:
        check_name(name)
        return Source(id=name, title=title, url=url)
    except ValueError as error:
        raise OptionError(f"--source={name!r}: {error}") from error


def release_file(release: Release) -> Path:
    """Give the file that new references are written to."""
    return release.location / REFERENCES_FILE


def appended(old: bytes, text: str) -> bytes:
    """Give what a file of references holds with more of them."""
    gap = b"" if not old else b"\n" if old.endswith(b"\n") else b"\n\n"
    return old + gap + text.encode()


def enter(folder: Path, contents: Mapping[Path, bytes]) -> None:
    """Write files of a release, and undo it if it is none then.

    Raises:
        ExpectedError: one cannot be written, or the release is not valid with them.
    """
    before = {file: file.read_bytes() if file.exists() else None for file in contents}
    try:
        for file, content in contents.items():
            replace_bytes(file, content)
        read_releases([folder])
    except (ExpectedError, OSError) as error:
        for file, old in before.items():
            if old is not None:
                replace_bytes(file, old)
            else:
                file.unlink(missing_ok=True)
        if isinstance(error, ExpectedError):
            raise
        raise ExpectedError(
            f"{folder}: cannot be written to ({error.strerror})"
        ) from error


def find_release(path: Path) -> Release:
    """Read the one release that a path holds.

    Raises:
        ExpectedError: there is none, or there are several.
    """
    releases = read_releases([path])
    if len(releases) != 1:
        names = ", ".join(str(release.location) for release in releases[:8])
        raise ExpectedError(
            f"{path} holds {len(releases)} releases; name the folder of one with "
            f"--output: {names}"
        )
    if not (releases[0].location / RELEASE_FILE).exists():
        raise ExpectedError(
            f"{path}: numbers are entered into a folder with a {RELEASE_FILE}; "
            f"rename the file to {RELEASE_FILE} in a folder of its own"
        )
    return releases[0]


class NewFiles(msgspec.Struct, frozen=True):
    """Links that a release does not have yet, and what is to be said of others."""

    files: Files
    lines: tuple[str, ...]


def new_files(release: Release, files: Files) -> NewFiles:
    """Compare the links of a table with those of a release, whose own ones stay."""
    new: dict[str, dict[str, str]] = {}
    lines: list[str] = []
    for name, links in files.items():
        family = release.families[name]
        known = {split_weights_name(f)[0]: link for f, link in family.files.items()}
        for file, url in links.items():
            own = known.get(split_weights_name(file)[0], family.folder)
            if not own:
                new.setdefault(name, {})[file] = url
            elif own != url:
                lines.append(
                    f"files    {file} of {name} stays with {own}, not {url}, which the "
                    "table links to"
                )
    for name, links in new.items():
        lines.append(f"files    {', '.join(links)} of {name}, which rows link to")
    return NewFiles(new, tuple(lines))


def with_files(release: Release, files: Files) -> Iterator[tuple[Path, bytes]]:
    """Write links into the files that define their families; the rest stays."""
    for file in sorted(release.location.glob("*.toml")):
        document = tomlkit.parse(file.read_text("utf-8"))
        families = document.get("family", {})
        here = [name for name in files if name in families]
        for name in here:
            # Text that is parsed: added to a table, each link goes through all others.
            new = tomlkit.parse(f"[files]\n{pairs(**files[name])}")["files"]
            own = families[name].setdefault("files", new)
            if own is not new:
                own.update(files[name])
        if here:
            yield file, tomlkit.dumps(document).encode()
