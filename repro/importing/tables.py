"""Read tables of numbers as they are printed."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from repro.errors import ExpectedError
from repro.importing.rows import Row

#: Columns that print the same in several forms, the preferred first, each with its
#: metric: an accuracy, or the error that is its rest.
Column = Mapping[str, str]
Cells = Mapping[str, str]

_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")


def read_table(
    file: Path, columns: Sequence[str], numbers: Sequence[Column] = ()
) -> tuple[list[dict[str, str]], str]:
    """Read a CSV file that has at least these columns; every cell stays text.

    Of each of the `numbers` it has at least one form. Beside the rows stands the
    SHA-256 of what was read.

    Raises:
        ExpectedError: it cannot be read, lacks a column, or a row is cut off.
    """
    try:
        content = file.read_bytes()
        reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""))
        found = list(reader.fieldnames or ())
        rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ExpectedError(f"{file}: cannot be read as a table: {error}") from error
    wanted = [*((column,) for column in columns), *map(tuple, numbers)]
    missing = [" or ".join(w) for w in wanted if not set(w) & set(found)]
    if missing:
        raise ExpectedError(
            f"{file}: has no column {', '.join(missing)}; its columns are "
            f"{', '.join(found[:12]) or 'none'}"
        )
    for number, row in enumerate(rows, 2):
        empty = [" or ".join(w) for w in wanted if not any(map(row.get, w))]
        if empty:
            raise ExpectedError(f"{file}: row {number} has no {', '.join(empty)}")
    return rows, hashlib.sha256(content).hexdigest()


def printed_numbers(cells: Cells, columns: Sequence[Column]) -> dict[str, str]:
    """Take a row's numbers, as printed: of each column the preferred form.

    Raises:
        ValueError: a cell is empty or no number.
    """
    found: dict[str, str] = {}
    for forms in columns:
        name = next((name for name in forms if cells.get(name)), None)
        if name is None:
            raise ValueError(f"it has no {' or '.join(forms)}")
        if not _NUMBER.fullmatch(cells[name]):
            raise ValueError(f"{name} is {cells[name]!r}, which is no number")
        found[forms[name]] = cells[name]
    return found


def make_rows(
    file: Path,
    numbered: Iterable[tuple[int, Cells]],
    make: Callable[[Cells], Row],
    *names: str,
) -> tuple[Row, ...]:
    """Make a checkpoint's row of each line of a table.

    Args:
        file: the table.
        numbered: its lines with their numbers.
        make: makes a row of cells; ValueError where it cannot.
        names: the columns that say whose line it is.

    Raises:
        ExpectedError: a line cannot be understood.
    """
    rows: list[Row] = []
    for number, cells in numbered:
        try:
            rows.append(make(cells))
        except ValueError as error:
            name = " ".join(cells[column] for column in names)
            raise ExpectedError(f"{file}: row {number} ({name}): {error}") from error
    return tuple(rows)


def origin_note(file: Path, rows: int, digest: str) -> str:
    """Say from which file the numbers were taken, so that it can be found again."""
    return f"{rows:,} rows of {file.name} with SHA-256 {digest}"
