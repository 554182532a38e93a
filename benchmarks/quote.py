"""Put the measured table into the documents: `python -m benchmarks.quote`."""

from __future__ import annotations

from pathlib import Path

import msgspec

from benchmarks.row import Results
from benchmarks.table import table

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks/results/cpu.json"
#: What the README shows.
CHOSEN = (
    "warm-vit-b16",
    "warm-vit-ti16",
    "cold-case",
    "cold-build",
    "both-geometries",
    "text",
    "checkpoints",
    "load",
)


def quoted(results: Results) -> dict[Path, str]:
    """Give each document with the table that it should have."""
    chosen = [row for row in results.rows if row.id in CHOSEN]
    short = msgspec.structs.replace(results, rows=chosen)
    tables = {ROOT / "README.md": short, ROOT / "docs/performance.md": results}
    contents: dict[Path, str] = {}
    for document, shown in tables.items():
        before, mark, rest = document.read_text(encoding="utf-8").partition("| what ")
        if not mark:
            raise SystemExit(f"{document} has no table that begins with '| what '")
        _, _, after = rest.partition("\n\n")
        contents[document] = f"{before}{_narrow(table(shown))}\n\n{after}"
    return contents


def _narrow(text: str) -> str:
    """Take out the blanks that align columns."""
    rows = [line.strip("|").split("|") for line in text.splitlines()]
    lines = [f"| {' | '.join(cell.strip() for cell in row)} |" for row in rows]
    lines[1] = "|" + "---|" * len(rows[0])
    return "\n".join(lines)


def main() -> None:
    """Rewrite the documents."""
    results = msgspec.json.decode(RESULTS.read_bytes(), type=Results)
    for document, content in quoted(results).items():
        document.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
