"""Put the measured table into its document: `python -m benchmarks.quote`."""

from __future__ import annotations

from pathlib import Path

import msgspec

from benchmarks.row import Results
from benchmarks.table import table

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks/results/cpu.json"
DOCUMENT = ROOT / "docs/performance.md"


def quoted(results: Results) -> str:
    """Give the document with the table that it should have."""
    before, mark, rest = DOCUMENT.read_text(encoding="utf-8").partition("| what ")
    if not mark:
        raise SystemExit(f"{DOCUMENT} has no table that begins with '| what '")
    _, _, after = rest.partition("\n\n")
    return f"{before}{_narrow(table(results))}\n\n{after}"


def _narrow(text: str) -> str:
    """Take out the blanks that align columns."""
    rows = [line.strip("|").split("|") for line in text.splitlines()]
    lines = [f"| {' | '.join(cell.strip() for cell in row)} |" for row in rows]
    lines[1] = "|" + "---|" * len(rows[0])
    return "\n".join(lines)


def main() -> None:
    """Rewrite the document."""
    results = msgspec.json.decode(RESULTS.read_bytes(), type=Results)
    DOCUMENT.write_text(quoted(results), encoding="utf-8")


if __name__ == "__main__":
    main()
