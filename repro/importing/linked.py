"""The weights files that a table links to, as `files` of a release."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import tomlkit

from repro.published import Release, split_weights_name

#: Links of files by their names, by family.
Files = Mapping[str, Mapping[str, str]]


class Link(msgspec.Struct, frozen=True):
    """A weights file that a row links to.

    `checkpoint` is its name without the suffix, empty where other rows link to files
    of that name; `url` is empty where it is none that anybody can open.
    """

    checkpoint: str
    suffix: str = ""
    url: str = ""


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
            families[name].setdefault("files", tomlkit.table()).update(files[name])
        if here:
            yield file, tomlkit.dumps(document).encode()
