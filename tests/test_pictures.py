"""The pictures of the documents: shown, light, and drawn as the terminal was."""

from __future__ import annotations

import runpy
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parent.parent
TOOL = runpy.run_path(str(ROOT / "tools/pictures.py"))
PICTURES = sorted((ROOT / "docs/pictures").iterdir())


def test_there_are_terminals_and_pages() -> None:
    assert [file.name for file in PICTURES] == [
        "digit.png",
        "green.png",
        "terminal-digit.svg",
        "terminal.svg",
        "upgrade.png",
    ]


@pytest.mark.parametrize("file", PICTURES, ids=lambda file: file.name)
def test_a_picture_is_light_and_some_document_shows_it(file: Path) -> None:
    assert file.stat().st_size <= TOOL["BYTES"]
    documents = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    shown = [d for d in documents if f"pictures/{file.name})" in d.read_text("utf-8")]
    assert shown


def test_a_terminal_is_drawn_from_its_table_on_with_colours_and_spaces() -> None:
    said = (
        "collected 37 items\n"
        "=== published and measured ===\n"
        "\x1b[32mreal@a    6 <checkpoints>\x1b[0m\n"
        "\x1b[1m\x1b[31mone\x1b[0m of 2\n"
    )
    svg = TOOL["drawn"](said)
    root = ElementTree.fromstring(svg)
    lines = ["".join(e.itertext()) for e in root.iter() if e.tag.endswith("}text")]
    assert [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines] == [
        "=== published and measured ===",
        "real@a    6 <checkpoints>",
        "one of 2",
    ]
    # Those of a column would be one.
    assert not any("  " in line for line in lines)
    assert '<tspan fill="#b3261e" font-weight="bold">one</tspan>' in svg
