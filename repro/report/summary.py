"""The answer of a report in a sentence, and how to run a case again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from repro.judgement.guarded import PROMISED
from repro.judgement.verdict import Verdict
from repro.records.result import CaseResult
from repro.report.failure import numbers_text
from repro.report.report import Report
from repro.report.rows import largest_difference
from repro.report.variants import names
from repro.words import counted, listed

_SHOWN = 3
#: What says nothing of how one case is measured.
_NOT_AGAIN = (
    *("--repro-report", "--repro-case", "--repro-shard", "--repro-resume"),
    *("--repro-baseline", "--repro-diverged-exit", "--repro-costs"),
)


def verdict_sentence(report: Report) -> str:
    """Say whether what was published holds; where it does not, what is wrong."""
    results = report.results
    red = [result for result in results if result.is_failure]
    surprises = [claim.id for claim in report.claims if claim.is_surprise]
    if red or surprises:
        return f"{'; '.join(_wrong(report, red, surprises))}."
    measured = [result.measurement for result in results if result.measurement]
    if not measured:
        reason, *others = {r.reason.partition("\n")[0] for r in results} or {""}
        why = "" if others or not reason else f": {reason.removesuffix('.')}"
        return f"No case was measured{why}."
    met = [r for r in results if r.verdict is Verdict.REPRODUCED]
    if not met:
        said = "Nothing contradicts what was published, and nothing settles it"
        part = sum(not one.is_complete for one in measured)
        of = f": a part of the images was evaluated in {counted(part, 'case')}"
        return f"{said}{of * bool(part)}."
    if len(met) < len(results):
        meet = "meets" if len(met) == 1 else "meet"
        return (
            f"Nothing contradicts what was published: {len(met):,} of "
            f"{counted(len(results), 'case')} {meet} it."
        )
    every = "The case meets" if len(met) == 1 else f"All {len(met):,} cases meet"
    far = ", ".join(largest_difference(met))
    return f"{every} what was published; largest difference {far}."


def _wrong(
    report: Report, red: Sequence[CaseResult], surprises: Sequence[str]
) -> list[str]:
    said = []
    if red:
        every = counted(len(report.results), "case")
        verb = "is" if len(red) == 1 else "are"
        listing = _listed(red, names(report.results))
        said.append(f"{len(red):,} of {every} {verb} red: {listing}")
    if surprises:
        number = counted(len(surprises), "claim")
        said.append(f"{number} came out otherwise than expected: {listed(surprises)}")
    return said


def _listed(red: Sequence[CaseResult], called: dict[str, str]) -> str:
    said = []
    for result in red[:_SHOWN]:
        why = numbers_text(result, None if len(red) == 1 else 1)
        if result.verdict is Verdict.UNEXPECTEDLY_MET:
            why = f"met, though it is declared not to be, {why}"
        elif not why:
            why = (
                result.reason.partition("\n")[0]
                if result.measurement
                else "not measured"
            )
        said.append(f"{called[result.place]}: {why}")
    more = len(red) - len(said)
    return "; ".join(said) + (f"; and {more:,} more" if more else "")


def again(report: Report, result: CaseResult) -> str:
    """Give the command that runs a case again, as it was run; empty if not known."""
    if not result.test:
        return ""
    kept = [
        word
        for word in report.arguments
        if word.startswith("--repro-") and word.partition("=")[0] not in _NOT_AGAIN
    ]
    return shlex.join(["pytest", result.test, *kept])


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
