"""The tables of docs/diagnosis.md that the trial makes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median

from repro.diagnosis.findings import Diagnosis

from .slips import SLIPS, Found
from .trial import Outcome

DOCUMENT = Path("docs/diagnosis.md")
HEAD = (
    "| planted | in | kind | measured | published | said | cost |\n"
    "|---|---|---|---:|---:|---|---:|"
)


def printed(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Print outcomes as they come, and keep them."""
    print(HEAD)
    kept = []
    for outcome in outcomes:
        print(_row(outcome), flush=True)
        kept.append(outcome)
    return kept


def faults_table(outcomes: Sequence[Outcome], named: float) -> tuple[str, bool]:
    """Make a table of faults; so large a share is to be named, and none wrongly."""
    count = _count(outcomes)
    rows = "\n".join(map(_row, outcomes))
    went_well = count["named"] >= named * len(outcomes) and not count["false"]
    return f"{said_of(outcomes)}\n\n{HEAD}\n{rows}", went_well


def faithful_table(
    faithful: Sequence[tuple[str, Diagnosis | None]],
) -> tuple[str, bool]:
    """Say how many checkpoints that are right get an explanation."""
    explained = [
        found for _, found in faithful if found and (found.cause or found.kind)
    ]
    for found in explained:
        print(f"a faithful checkpoint is explained: {found.sentence}")
    contradicted = sum(found is not None for _, found in faithful)
    return (
        f"Of {len(faithful)} faithful checkpoints {contradicted} contradict a number, "
        f"and {len(explained)} get an explanation.",
        not explained,
    )


def slips_table(found: Sequence[Found]) -> tuple[str, bool]:
    """Make the table of slips; none may be taken for another one."""
    for slip in found:
        if slip.is_false:
            print(f"{slip.slip.name} in {slip.case} is called {slip.named}")
    mistaken = sum(slip.is_false for slip in found)
    slowest = max(slip.seconds for slip in found)
    rows = [
        _slip_row(slip.name, [one for one in found if one.slip is slip])
        for slip in SLIPS
    ]
    said = (
        f"Of {len(found)} slips {sum(slip.is_right for slip in found)} are named, "
        f"{mistaken} as another one. Looking for one takes "
        f"{1000 * median(slip.seconds for slip in found):.1f} ms, and "
        f"{1000 * slowest:.1f} ms at most."
    )
    head = (
        "| slip | planted | named | as another one | time |\n|---|---:|---:|---:|---:|"
    )
    return "\n".join([f"{said}\n", head, *rows]), not mistaken


def said_of(outcomes: Sequence[Outcome]) -> str:
    """Count what was said."""
    count = _count(outcomes)
    likelier = sum(outcome.is_likelier_right for outcome in outcomes)
    of_two = f"{count['one of two']} two kinds"
    if count["one of two"]:
        of_two += f" (the likelier one is right in {likelier})"
    return (
        f"Of {len(outcomes)} faults {count['named']} are named, of "
        f"{count['kind right']} the kind is, of {of_two}, of "
        f"{count['nothing']} nothing is said, {count['within tolerance']} are within "
        f"tolerance, and {count['false']} are taken for another one."
    )


def write(part: str, table: str) -> None:
    """Put a table between the two marks of its part of the document."""
    begin, end = f"<!-- {part}: begin -->", f"<!-- {part}: end -->"
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(begin)
    after = rest.partition(end)[2]
    text = f"{before}{begin}\n{table}\n{end}{after}"
    DOCUMENT.write_text(text, encoding="utf-8")


def _count(outcomes: Iterable[Outcome]) -> Counter[str]:
    return Counter(outcome.said for outcome in outcomes)


def _row(outcome: Outcome) -> str:
    said: str = outcome.said
    found = outcome.diagnosis
    if said in ("false", "one of two"):
        said += f": {found.cause or found.kind}"
    if said == "named" and found.outcome == "likely":
        said += ", as likely"
    return (
        f"| {outcome.planted} | `{outcome.checkpoint}` | {outcome.kind} | "
        f"{outcome.measured} | {outcome.published} | {said} | "
        f"{100 * outcome.cost:.1f} % |"
    )


def _slip_row(name: str, found: Sequence[Found]) -> str:
    seconds = median(slip.seconds for slip in found) if found else 0.0
    return (
        f"| {name} | {len(found)} | {sum(slip.is_right for slip in found)} | "
        f"{sum(slip.is_false for slip in found)} | {1000 * seconds:.1f} ms |"
    )
