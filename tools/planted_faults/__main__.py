"""Run the trial and write its table into docs/diagnosis.md."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from .faults import FAULTS, FULL_SIZE
from .held_out import read_held_out
from .slips import plant_slips
from .trial import Outcome, Trial

DOCUMENT = Path("docs/diagnosis.md")
BEGIN, END = "<!-- planted faults: begin -->", "<!-- planted faults: end -->"
HEAD = (
    "| planted | in | measured | published | said | cost |\n"
    "|---|---|---:|---:|---|---:|"
)


def main() -> int:
    """Print each outcome; 1 where less than nine of ten are right, or one is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tools.planted_faults")
    parser.add_argument("--embedded-only", action="store_true")
    parser.add_argument("--faithful", type=int, default=500, help="drawn datasets")
    parser.add_argument("--slips", type=int, default=30, help="checkpoints, of 30")
    parser.add_argument(
        "--held-out",
        type=Path,
        metavar="FILE",
        help="plant the faults that it describes, and no others (held_out.py)",
    )
    parser.add_argument("--write", action="store_true", help=f"into {DOCUMENT}")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        trial = Trial(Path(folder))
        if chosen.held_out:
            return _held_out(trial, chosen.held_out)
        outcomes = _printed(trial.plant(FAULTS))
        if not chosen.embedded_only:
            outcomes += _printed(trial.plant_in_full_size(FULL_SIZE))
        faithful = list(trial.diagnose_faithful(chosen.faithful))
        slips = list(plant_slips(chosen.slips, Path(folder)))
    explained = [
        found for _, found in faithful if found and (found.cause or found.kind)
    ]
    for found in explained:
        print(f"a faithful checkpoint is explained: {found.sentence}")
    told = sum(named.startswith(slip.name) for slip, _, named in slips)
    mistaken = [found for found in slips if found[2] and found[0].name not in found[2]]
    for slip, name, named in mistaken:
        print(f"{slip.name} in {name} is called {named}")
    said = (
        f"Of {len(outcomes)} planted faults {_counted(outcomes)}. Of {len(faithful)} "
        f"faithful checkpoints {len(explained)} get an explanation. Of {len(slips)} "
        f"slips {told} are named, {len(mistaken)} as another one."
    )
    print(said)
    if chosen.write:
        write_table(outcomes, said)
    return int(
        _count(outcomes)["named"] < 0.9 * len(outcomes)
        or _count(outcomes)["false"] > 0
        or bool(explained or mistaken)
    )


def _held_out(trial: Trial, file: Path) -> int:
    """Plant the faults of a file; 1 where one of them is taken for another."""
    outcomes = _printed(trial.plant_held_out(read_held_out(file), file.parent))
    for outcome in outcomes:
        print(f"{outcome.planted}: {outcome.diagnosis.sentence}")
    print(f"Of {len(outcomes)} faults {_counted(outcomes)}.")
    return int(_count(outcomes)["false"] > 0)


def write_table(outcomes: Sequence[Outcome], said: str) -> None:
    """Put the table between its two marks in the document."""
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    rows = "\n".join(map(_row, outcomes))
    text = f"{before}{BEGIN}\n{said}\n\n{HEAD}\n{rows}\n{END}{after}"
    DOCUMENT.write_text(text, encoding="utf-8")


def _printed(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Print outcomes as they come, and keep them."""
    print(HEAD)
    kept = []
    for outcome in outcomes:
        print(_row(outcome), flush=True)
        kept.append(outcome)
    return kept


def _count(outcomes: Iterable[Outcome]) -> Counter[str]:
    return Counter(outcome.said for outcome in outcomes)


def _counted(outcomes: Sequence[Outcome]) -> str:
    count = _count(outcomes)
    return (
        f"{count['named']} are named, of {count['kind right']} the kind is, of "
        f"{count['one of two']} two kinds, of {count['nothing']} nothing is said, "
        f"{count['within tolerance']} are within tolerance, and {count['false']} are "
        "taken for another one"
    )


def _row(outcome: Outcome) -> str:
    said: str = outcome.said
    if said == "false":
        said += f": {outcome.diagnosis.cause or outcome.diagnosis.kind}"
    if said == "named" and outcome.diagnosis.outcome == "likely":
        said += ", as likely"
    return (
        f"| {outcome.planted} | `{outcome.checkpoint}` | {outcome.measured} | "
        f"{outcome.published} | {said} | {100 * outcome.cost:.1f} % |"
    )


if __name__ == "__main__":
    sys.exit(main())
