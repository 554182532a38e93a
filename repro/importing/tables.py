"""Read tables of numbers as they are printed."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from pathlib import Path

from repro.errors import ExpectedError


def read_table(file: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Read a CSV file that has at least these columns; every cell stays text.

    Raises:
        ExpectedError: it cannot be read, lacks a column, or a row is cut off.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            found = list(reader.fieldnames or ())
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ExpectedError(f"{file}: cannot be read as a table: {error}") from error
    missing = [column for column in columns if column not in found]
    if missing:
        raise ExpectedError(
            f"{file}: has no column {', '.join(missing)}; its columns are "
            f"{', '.join(found[:12]) or 'none'}"
        )
    for number, row in enumerate(rows, 2):
        empty = [column for column in columns if not row[column]]
        if empty:
            raise ExpectedError(f"{file}: row {number} has no {', '.join(empty)}")
    return rows


def origin_note(file: Path, rows: int) -> str:
    """Say from which file the numbers were taken, so that it can be found again."""
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return f"{rows:,} rows of {file.name} with SHA-256 {digest}"
