"""Tables that fit a terminal."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from tabulate import tabulate

from repro.words import shortened


def terminal_width() -> int:
    """Give the width of the terminal in characters."""
    return shutil.get_terminal_size((120, 24)).columns


def fitted_table(
    headers: Sequence[str],
    rows: Sequence[Sequence[object]],
    dispensable: Sequence[str] = (),
) -> list[str]:
    """Lay out a table, without the columns that a narrow terminal has no room for.

    Args:
        headers: of the columns.
        rows: of the table.
        dispensable: headers of the columns that it can do without, first to last.
    """
    table = [list(map(str, row)) for row in (headers, *rows)]
    width = terminal_width()
    for name in ("", *dispensable):
        if name:
            place = table[0].index(name)
            table = [[*row[:place], *row[place + 1 :]] for row in table]
        text = tabulate(table[1:], headers=table[0], disable_numparse=True)
        lines = text.splitlines()
        if max(map(len, lines)) <= width:
            break
    return [shortened(line, width) for line in lines]
