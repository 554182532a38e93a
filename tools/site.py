"""Hooks of MkDocs: the site has what the repository has, and the same links.

Pages of docs/ link to files beside that folder, as GitHub shows them. In the site what
lies in docs/ is at the top, README.md is the first page, and each file that a page
links to comes along.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
_LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)")
#: What mkdocstrings writes; GitHub, which cannot, shows the table above it alone.
_DETAILS = re.compile(r"^<!--\n(:::.*?)^-->", re.MULTILINE | re.DOTALL)
#: Pages with another name in the site; where case does not count, there is one
#: security.md.
_MOVED = {"README.md": "index.md", "SECURITY.md": "security-policy.md"}
_SOURCES = {place: path for path, place in _MOVED.items()}


def place_of(path: str) -> str:
    """Give the place in the site of a file in the repository."""
    return _MOVED.get(path, path.removeprefix("docs/"))


def source_of(place: str) -> str:
    """Give the path in the repository of a page of the site."""
    path = _SOURCES.get(place, f"docs/{place}")
    return path if (ROOT / path).is_file() else place


def links_of(page: str) -> Iterator[str]:
    """Yield the paths in the repository of the files that a page in it links to."""
    for link in _LINK.findall((ROOT / page).read_text("utf-8")):
        target = _target(page, link)
        if target is not None:
            yield target


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages beside docs/, and whatever some page links to."""
    from mkdocs.structure.files import File, InclusionLevel

    pages = ["README.md", *(source_of(f.src_uri) for f in files.documentation_pages())]
    seen = set(pages)
    for page in pages:
        for path in {page, *links_of(page)}:
            if path.endswith(".md") and path not in seen:
                pages.append(path)
                seen.add(path)
            place = place_of(path)
            if files.get_file_from_path(place) is None:
                added = File.generated(config, place, abs_src_path=str(ROOT / path))
                added.inclusion = InclusionLevel.INCLUDED
                if "/" in place:
                    added.inclusion = InclusionLevel.NOT_IN_NAV
                files.append(added)
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Let links lead to where the site has what they lead to in the repository."""
    place = page.file.src_uri
    source = source_of(place)

    def moved(match: re.Match[str]) -> str:
        target = _target(source, match[1])
        if target is None:  # MkDocs says so.
            return match[1]
        return posixpath.relpath(place_of(target), posixpath.dirname(place) or ".")

    return _DETAILS.sub(r"\1", _LINK.sub(moved, markdown))


def _target(page: str, link: str) -> str | None:
    path = posixpath.normpath(posixpath.join(posixpath.dirname(page), link))
    return path if (ROOT / path).is_file() else None
