"""The rows as a table, in Markdown."""

from __future__ import annotations

from tabulate import tabulate

from benchmarks.row import Results, Row

HEADERS = ("what", "measured", "spread", "goal", "met")


def table(results: Results) -> str:
    """Lay all rows out, those with a goal first."""
    rows = sorted(results.rows, key=lambda row: row.goal is None)
    cells = [_cells(row) for row in rows]
    return tabulate(cells, HEADERS, tablefmt="github", disable_numparse=True)


def _cells(row: Row) -> tuple[str, ...]:
    goal = ""
    if row.goal is not None:
        side = "at most" if row.goal.at_most else "at least"
        goal = f"{side} {row.goal.bound:g}"
    if row.value is None:
        return row.what, f"not measured: {row.note}", "", goal, ""
    unit = {"ratio": "", "times": "x", "number": ""}.get(row.unit, f" {row.unit}")
    low, high = shown(row.value.low), shown(row.value.high)
    spread = "" if row.value.low == row.value.high else f"{low} to {high}"
    met = {True: "yes", False: "no", None: ""}[row.is_met]
    return row.what, f"{shown(row.value.median)}{unit}", spread, goal, met


def shown(value: float) -> str:
    """Print about three digits that count."""
    if value and abs(value) < 0.001:
        return f"{value:.1e}"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"
