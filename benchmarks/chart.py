"""A chart of all ratios with their goals."""

from __future__ import annotations

from pathlib import Path

from benchmarks.row import Results

MEASURED, MISSED = "#2a6f97", "#c1440e"


def draw(results: Results, file: Path) -> None:
    """Draw how much of each goal is used up, as SVG; 1 is the goal."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot

    rows = [
        (row, row.goal, row.value)
        for row in reversed(results.rows)
        # Of nothing no part can be used up.
        if row.goal and row.goal.bound and row.value
    ]
    # The same bytes for the same numbers.
    with pyplot.rc_context({"svg.hashsalt": "benchmarks", "font.size": 8}):
        figure, axes = pyplot.subplots(figsize=(8, 0.4 * len(rows) + 1))
        longest = 1.25
        for height, (row, goal, value) in enumerate(rows):
            used = [
                (v / goal.bound if goal.at_most else goal.bound / v)
                for v in (value.median, value.low, value.high)
            ]
            longest = max(longest, used[0])
            colour = MEASURED if row.is_met else MISSED
            axes.barh(height, used[0], color=colour, height=0.6)
            axes.plot(sorted(used[1:]), [height, height], color="black", linewidth=1)
        # What is spread over many times its goal leaves the others their room.
        axes.set_xlim(0, 1.1 * longest)
        axes.axvline(1, color="black", linestyle="dotted", linewidth=1)
        axes.set_yticks(range(len(rows)), [row.what for row, _, _ in rows])
        axes.set_xlabel("measured / goal; left of the dotted line a goal is met")
        axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(file, bbox_inches="tight", metadata={"Date": None})
        pyplot.close(figure)
