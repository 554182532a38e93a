"""What a diagnosis says, computed once for all faces of a report."""

from __future__ import annotations

from collections.abc import Iterable

from repro.judgement.diagnosis import Diagnosis, Outcome, Trial
from repro.judgement.sentences import evidence, headline, value_text
from repro.records.result import CaseResult

#: How an outcome is announced.
CALLED: dict[Outcome, str] = {
    "restored": "likely cause",
    "likely": "likely cause",
    "unsettled": "cause not settled",
    "unexplained": "no cause found",
    "not needed": "diagnosis",
}

#: Suspects that are named with what they give; the JSON report has all of them.
SHOWN = 5


def diagnosed(results: Iterable[CaseResult]) -> list[CaseResult]:
    """Choose the cases that have a diagnosis worth a line: that needed one."""
    return [
        result
        for result in results
        if result.diagnosis and result.diagnosis.outcome != "not needed"
    ]


def diagnosis_parts(diagnosis: Diagnosis) -> list[tuple[str, str]]:
    """Give labels with texts: the cause, how sure it is, what was tried, what to do."""
    parts = [(CALLED[diagnosis.outcome], diagnosis.sentence)]
    if diagnosis.cause:
        parts.append(("how sure", evidence(diagnosis.trials[0])))
    if diagnosis.trials and diagnosis.outcome != "not needed":
        parts.append(("tried", tried_text(diagnosis)))
    if diagnosis.untried:
        failed = (f"{name} ({why})" for name, why in diagnosis.untried.items())
        parts.append(("not tried", "; ".join(failed)))
    if diagnosis.advice:
        parts.append(("what to do", diagnosis.advice))
    return parts


def diagnosis_lines(diagnosis: Diagnosis, indent: str = "") -> list[str]:
    """Write the parts below each other, a line each."""
    width = 2 + max(len(label) for label, _ in diagnosis_parts(diagnosis))
    return [
        f"{indent}{label:<{width}}{text}" for label, text in diagnosis_parts(diagnosis)
    ]


def tried_text(diagnosis: Diagnosis) -> str:
    """Say what was tried, at what cost, and what the best ones give."""
    number = len(diagnosis.trials)
    share = diagnosis.images / diagnosis.total / number
    shown = ", ".join(map(_given, diagnosis.trials[:SHOWN]))
    more = f", and {number - SHOWN:,} more" if number > SHOWN else ""
    return (
        f"{number:,} variations, {100 * share:.1f} % of a full evaluation each: "
        f"{shown}{more}"
    )


def _given(trial: Trial) -> str:
    return f"{trial.suspect} {value_text(headline(trial))}"
