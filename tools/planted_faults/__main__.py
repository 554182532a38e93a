"""Run the trial and write its table into docs/diagnosis.md."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from .faults import FAULTS, FULL_SIZE
from .slips import plant_slips
from .trial import Outcome, diagnose_faithful, diagnose_faults, diagnose_full_size

DOCUMENT = Path("docs/diagnosis.md")
BEGIN, END = "<!-- planted faults: begin -->", "<!-- planted faults: end -->"


def main() -> int:
    """Print each outcome; 1 where less than nine of ten are right, or one is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tools.planted_faults")
    parser.add_argument("--embedded-only", action="store_true")
    parser.add_argument("--faithful", type=int, default=30, help="checkpoints, of 30")
    parser.add_argument("--write", action="store_true", help=f"into {DOCUMENT}")
    chosen = parser.parse_args()
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        runs = [diagnose_faults(FAULTS, cache)]
        if not chosen.embedded_only:
            runs.append(diagnose_full_size(FULL_SIZE, cache))
        for run in runs:
            for outcome in run:
                outcomes.append(outcome)
                print(_row(outcome), flush=True)
        faithful = list(diagnose_faithful(chosen.faithful, cache))
        slips = list(plant_slips(chosen.faithful, cache))
    right = sum(outcome.is_right for outcome in outcomes)
    wrong = sum(bool(outcome.named) and not outcome.is_right for outcome in outcomes)
    explained = [name for name, found in faithful if found.cause]
    told = sum(named.startswith(slip.name) for slip, _, named in slips)
    mistaken = [found for found in slips if found[2] and found[0].name not in found[2]]
    for slip, name, named in mistaken:
        print(f"{slip.name} in {name} is called {named}")
    said = (
        f"{right} of {len(outcomes)} planted faults are named first, {wrong} as "
        f"something else; of {len(faithful)} faithful checkpoints {len(explained)} "
        f"get an explanation. {told} of {len(slips)} slips are named, {len(mistaken)} "
        "as another one."
    )
    print(said)
    if chosen.write:
        write_table(outcomes, said)
    return int(right < 0.9 * len(outcomes) or bool(wrong or explained or mistaken))


def write_table(outcomes: Sequence[Outcome], said: str) -> None:
    """Put the table between its two marks in the document."""
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    head = (
        "| planted | in | measured | published | named | cost |\n"
        "|---|---|---:|---:|---|---:|\n"
    )
    rows = "\n".join(map(_row, outcomes))
    text = f"{before}{BEGIN}\n{said}\n\n{head}{rows}\n{END}{after}"
    DOCUMENT.write_text(text, encoding="utf-8")


def _row(outcome: Outcome) -> str:
    fault = outcome.fault
    named = "the same" if outcome.is_right else outcome.named or "nothing"
    if outcome.is_right and outcome.diagnosis.outcome == "likely":
        named += ", as likely"
    return (
        f"| {fault.suspect} | `{fault.checkpoint}` | {outcome.measured:.2f} | "
        f"{outcome.published} | {named} | {100 * outcome.cost:.1f} % |"
    )


if __name__ == "__main__":
    sys.exit(main())
