"""What reports say of guarded precision: how the decisions of float32 were obtained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from repro.judgement.guarded import PROMISED
from repro.records.result import CaseResult
from repro.words import counted


def guarded_lines(results: Sequence[CaseResult]) -> Iterator[str]:
    """Yield a line for the cases that were guarded, and one for each reason not to."""
    measured = [r.measurement for r in results if r.measurement]
    found = [(m.guarded, m.metrics.images) for m in measured if m.guarded]
    used = [(g, images) for g, images in found if not g.reason]
    if used:
        every = sum(images for _, images in used)
        again = sum(guarded.recomputed for guarded, _ in used)
        cheap = " and ".join(sorted({guarded.cheap for guarded, _ in used}))
        yield (
            f"Decisions are those of float32 in {counted(len(used), 'guarded case')}: "
            f"{cheap}, and {100 * again / every:.3g} % of the images again in float32; "
            f"less than {PROMISED:g} likely in each that any differs."
        )
    for reason in dict.fromkeys(g.reason for g, _ in found if g.reason):
        number = sum(g.reason == reason for g, _ in found)
        yield (
            f"{counted(number, 'case')} wholly in float32 (guarded does not pay here: "
            f"{reason})."
        )
