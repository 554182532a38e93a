"""What commands print."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import click
import msgspec
from tabulate import tabulate

from repro.words import fitted, shortened, visible


def echo(
    text: str | bytes | Path = "",
    *,
    err: bool = False,
    nl: bool = True,
    fg: str | None = None,
    dim: bool = False,
) -> None:
    """Print a text as text, whoever wrote what it quotes; its style is click's."""
    said = text.decode() if isinstance(text, bytes) else str(text)
    click.secho(visible(said), err=err, nl=nl, fg=fg, dim=dim or None)


def echo_lines(lines: Iterable[str]) -> None:
    """Print lines."""
    for line in lines:
        echo(line)


def echo_json(content: object) -> None:
    """Print data as JSON that people can read."""
    echo(msgspec.json.format(msgspec.json.encode(content)))


#: What a pipe or a file gets of a table: every column, for whoever searches in it.
_WITHOUT_TERMINAL = 10_000


def terminal_width(otherwise: int = 120) -> int:
    """Give the width of the terminal in characters, or another where there is none."""
    return shutil.get_terminal_size((otherwise, 24)).columns


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
    table = [dict(zip(headers, map(str, row), strict=True)) for row in rows]
    width = terminal_width(_WITHOUT_TERMINAL)
    lines = fitted(table, headers, dispensable, width, _laid_out)
    return [shortened(line, width) for line in lines]


def _laid_out(rows: Sequence[Mapping[str, str]], columns: Sequence[str]) -> list[str]:
    cells = [[row[name] for name in columns] for row in rows]
    text = tabulate(cells, headers=columns, disable_numparse=True)
    return [line.rstrip() for line in text.splitlines()]
