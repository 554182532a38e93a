"""Put measured tables into their document: `python -m benchmarks.quote`."""

from __future__ import annotations

from pathlib import Path

import msgspec

from benchmarks.row import Results
from benchmarks.table import table

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks/results/cpu.json"
#: What `python -m tools.gpu_trial` has written beside its JSON.
TRIAL = ROOT / "benchmarks/results/gpu_trial.md"
DOCUMENT = ROOT / "docs/performance.md"


def quoted(results: Results) -> str:
    """Give the document with the tables that it should have."""
    content = DOCUMENT.read_text(encoding="utf-8")
    content = _with(content, "| what ", _narrow(table(results)))
    return _with(content, "| step ", TRIAL.read_text(encoding="utf-8").rstrip())


def _with(content: str, begins: str, text: str) -> str:
    """Put a table in the place of the one that begins so."""
    before, mark, rest = content.partition(f"\n{begins}")
    if not mark:
        raise SystemExit(f"{DOCUMENT} has no table that begins with {begins!r}")
    _, _, after = rest.partition("\n\n")
    return f"{before}\n{text}\n\n{after}"


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
