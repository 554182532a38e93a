"""What commands print, and the bars that they show meanwhile."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Never

import click
import msgspec
from tabulate import tabulate

from repro.words import fitted, shortened, visible

if TYPE_CHECKING:
    from tqdm import tqdm


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


class Bar:
    """A bar of bytes with rate and time left; where there is no terminal, its lines.

    Args:
        name: what is fetched or checked, at the start of every line.
        position: line of the terminal below the cursor.
    """

    def __init__(self, name: str, position: int = 0) -> None:
        from tqdm import tqdm

        self._name = name
        self._bar: tqdm[Never] = tqdm(
            desc=name,
            unit="B",
            unit_scale=True,
            position=position,
            leave=False,
            disable=None,
            dynamic_ncols=True,
        )

    def begin(self, what: str, done: int, total: int | None) -> None:
        """Start a part of the work: bytes done already, and all, where it is known."""
        if not self._bar.disable:
            self._bar.reset(total)
            self._bar.initial = self._bar.n = done
            self._bar.set_description_str(f"{self._name}: {what}")

    def advance(self, count: int) -> None:
        """Add bytes to those done."""
        self._bar.update(count)

    def say(self, message: str) -> None:
        """Write a line above the bars."""
        self._bar.write(visible(f"{self._name}: {message}"))

    def close(self) -> None:
        """Take the bar from the terminal."""
        self._bar.close()
