"""Write the tables of docs/neighbours.md: `python -m tests.neighbours.document`."""

from __future__ import annotations

import re
from pathlib import Path

from .rows import BOTH, GROUPS, Row

DOCUMENT = Path(__file__).parents[2] / "docs" / "neighbours.md"
HEAD = """\
| beside | verdicts | exit status | new in the project |
|---|---|---|---|
"""


def tables() -> str:
    """Make a table of each group of rows."""
    return "\n".join(
        f"## {title}\n\n{HEAD}{''.join(map(_line, rows))}"
        for title, rows in GROUPS.items()
    )


def written(text: str) -> str:
    """Put the tables into the document, from its first to its last."""
    first, last = text.index(f"## {next(iter(GROUPS))}"), text.rindex("|\n") + 2
    return text[:first] + tables() + text[last:]


def _line(row: Row) -> str:
    shown = " ".join(_shown(argument) for argument in row.arguments)
    named = row.name if shown in row.name else f"{row.name}: `{shown}`"
    verdicts = ", ".join(
        f"{checkpoint} {verdict or 'either'}"
        for checkpoint, verdict in row.verdicts.items()
    )
    if row.verdicts == BOTH:
        verdicts = "both reproduced"
    leaves = ", ".join(f"`{name}`" for name in row.leaves)
    return (
        f"| {named} | {verdicts or 'none'} | {row.status} | {leaves or 'nothing'} |\n"
    )


def _shown(argument: str) -> str:
    return re.sub(r"^-([pnc])(?=.)", r"-\1 ", argument.replace("{out}", "elsewhere"))


if __name__ == "__main__":
    DOCUMENT.write_text(written(DOCUMENT.read_text()))
