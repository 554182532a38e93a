"""What docs/neighbours.md says is what is run."""

from __future__ import annotations

from .document import DOCUMENT, written
from .rows import NEIGHBOURS, ROWS


def test_the_document_has_the_rows_that_are_run() -> None:
    text = DOCUMENT.read_text()
    assert written(text) == text, "python -m tests.neighbours.document writes them"


def test_every_row_has_a_name_of_its_own() -> None:
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)


def test_every_plugin_that_is_installed_for_it_has_a_row() -> None:
    entries = {entry.replace("-", "_") for row in ROWS for entry in row.plugins or ()}
    loaded = {entry.removeprefix("pytest_") for entry in entries}
    assert {plugin.removeprefix("pytest_") for plugin in NEIGHBOURS} <= loaded
