"""Tables that fit a terminal."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from tabulate import tabulate

from repro.words import briefly, shortened


def terminal_width() -> int:
    """Give the width of the terminal in characters."""
    return shutil.get_terminal_size((120, 24)).columns


def fitted_table(
    headers: Sequence[str],
    rows: Sequence[Sequence[object]],
    dispensable: Sequence[str] = (),
) -> list[str]:
    """Lay out a table, without the columns that a narrow terminal has no room for.

    Cases, where they are the first column, lose what tells nothing before others go.

    Args:
        headers: of the columns.
        rows: of the table.
        dispensable: headers of the columns that it can do without, first to last.
    """
    table = [list(map(str, row)) for row in (headers, *rows)]
    width = terminal_width()
    lines = _laid_out(table)
    if max(map(len, lines)) > width and headers[0] == "case":
        names = ["case", *briefly([row[0] for row in table[1:]])]
        table = [[name, *row[1:]] for name, row in zip(names, table, strict=True)]
        lines = _laid_out(table)
    for name in dispensable:
        if max(map(len, lines)) <= width:
            break
        place = table[0].index(name)
        table = [[*row[:place], *row[place + 1 :]] for row in table]
        lines = _laid_out(table)
    return [shortened(line, width) for line in lines]


def _laid_out(table: Sequence[Sequence[str]]) -> list[str]:
    text = tabulate(table[1:], headers=table[0], disable_numparse=True)
    return [line.rstrip() for line in text.splitlines()]
