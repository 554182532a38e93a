"""What reports make of what a stranger wrote: looked at by what reads them."""

from __future__ import annotations

import contextlib
import csv
import json
import re
import unicodedata
from collections.abc import Callable
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

#: A tag that no report has by itself.
TAG = "x-stranger"


class _Tags(HTMLParser):
    """Notes the tags, and the attributes, of a page that are a stranger's."""

    def __init__(self) -> None:
        super().__init__()
        self.found = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at a tag."""
        names = [name for name, _ in attrs]
        links = [str(value) for name, value in attrs if name in {"href", "src"}]
        if tag == TAG or TAG in names:
            self.found = tag
        if any(link.strip().lower().startswith("javascript:") for link in links):
            self.found = f"{tag} that runs"


def written_badly(folder: Path) -> str:
    """Say what is wrong with a report: what it makes of what a stranger wrote."""
    for file in sorted(folder.glob("*")):
        content = file.read_bytes().decode()
        held = obeyed(content)
        look = _LOOKS.get(file.suffix, _look_at_text)
        if bad := f"it holds {held}" if held else look(content):
            return f"{file.name}: {bad}"
    return ""


def _look_at_table(content: str) -> str:
    rows = list(csv.reader(content.splitlines()))
    if len({len(row) for row in rows}) > 1:
        return "its rows have several lengths"
    cells = (cell for row in rows for cell in row)
    found = next(filter(_is_formula, cells), "")
    return f"it has the formula {found[:40]!r}" if found else ""


def _look_at_page(content: str) -> str:
    tags = _Tags()
    tags.feed(content)
    return f"it has the tag {tags.found}" if tags.found else ""


def _look_at_text(content: str) -> str:
    found = re.search(rf"(?<!\\)<{TAG}", content)
    return f"it has the tag {TAG}" if found else ""


def _misjudged(report: Any) -> str:
    """Say which case is said to be reproduced without all that this takes."""
    for case in report.get("cases", []):
        if len(case["reason"] or "") > 500:
            return f"the reason of {case['id']!r:.80} has {len(case['reason'])} letters"
        met = [one for one in case["references"] if one["verdict"] == "reproduced"]
        for one in met:
            off = abs(one["measured"] - one["published"])
            if not off <= one["tolerance"] * (1 + 1e-9) + 1e-9:
                return f"{case['id']!r:.80} is reproduced and off by {off}"
        if case["verdict"] == "reproduced" and not met:
            return f"{case['id']!r:.80} is reproduced by nothing"
    return ""


def obeyed(text: str) -> str:
    """Name a character that a terminal obeys; empty where there is none."""
    for character in set(text) - {"\n", "\t", "\r"}:
        obeyed = unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}
        if obeyed or unicodedata.bidirectional(character) in _TURNING:
            return ascii(character)
    return ""


_TURNING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def _is_formula(cell: str) -> bool:
    if not cell.startswith(("=", "+", "-", "@", "\t", "\r")):
        return False
    with contextlib.suppress(ValueError):
        float(cell)
        return False
    return True


def _too_long(junit: ElementTree.Element) -> str:
    """Say which message of a failure is no sentence."""
    for found in junit.iter():
        if found.tag in {"failure", "error", "skipped"}:
            message = found.get("message", "")
            if len(message) > 600:
                return f"a message has {len(message)} characters: {message[:60]!r}"
            if re.match(r"\w+Error: |\w+Exception", message) and not _is_ours(message):
                return f"a test ends in {message[:300]!r}"
    return ""


@cache
def _ours() -> tuple[str, ...]:
    from repro import errors

    return tuple(
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.ReproError)
    )


def _is_ours(message: str) -> bool:
    return message.startswith(_ours()) or message.startswith(
        tuple(f"repro.errors.{name}" for name in _ours())
    )


_LOOKS: dict[str, Callable[[str], str]] = {
    ".json": lambda content: _misjudged(json.loads(content)),
    ".xml": lambda content: _too_long(ElementTree.fromstring(content)),
    ".csv": _look_at_table,
    ".html": _look_at_page,
}
