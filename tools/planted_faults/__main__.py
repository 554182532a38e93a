"""Run the trial and write its tables into docs/diagnosis.md."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from unittest import mock

from repro.diagnosis import pace

from .faults import FAULTS, FULL_SIZE
from .held_out import read_held_out
from .slips import plant_slips
from .tables import (
    faithful_table,
    faults_table,
    printed,
    said_of,
    slips_table,
    write,
)
from .trial import Trial

#: Faults that no suspect is, those of the second file in equal parts of every kind.
FOLDER = Path(__file__).parent
UNLISTED, UNTUNED = FOLDER / "unlisted.toml", FOLDER / "untuned.toml"

#: Share of the faults that suspects are which is to be named.
LISTED = 0.9

#: What is made of a part of the trial: its table, and whether it went well.
Made = tuple[str, bool]


def main() -> int:
    """Print each outcome; 1 where less than nine of ten are right, or one is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tools.planted_faults")
    parser.add_argument(
        "--part",
        action="append",
        choices=tuple(PARTS),
        help="of the trial; all of them where none is given",
    )
    parser.add_argument("--faithful", type=int, default=500, help="drawn datasets")
    parser.add_argument("--slips", type=int, default=30, help="checkpoints, of 30")
    parser.add_argument(
        "--held-out",
        type=Path,
        metavar="FILE",
        help="plant the faults that it describes, and no others (held_out.py)",
    )
    parser.add_argument("--write", action="store_true", help="into docs/diagnosis.md")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        trial = Trial(Path(folder))
        if chosen.held_out:
            return _held_out(trial, chosen.held_out)
        all_went_well = True
        for part in chosen.part or PARTS:
            table, went_well = PARTS[part](trial, chosen, Path(folder))
            all_went_well &= went_well
            print(table.partition("\n")[0], flush=True)
            if chosen.write:
                write(part, table)
    return int(not all_went_well)


def _listed(trial: Trial, chosen: argparse.Namespace, folder: Path) -> Made:
    return faults_table(printed(trial.plant(FAULTS)), LISTED)


def _full_size(trial: Trial, chosen: argparse.Namespace, folder: Path) -> Made:
    return faults_table(printed(trial.plant_in_full_size(FULL_SIZE)), LISTED)


def _unlisted(trial: Trial, chosen: argparse.Namespace, folder: Path) -> Made:
    return _of_no_suspect(trial, UNLISTED)


def _untuned(trial: Trial, chosen: argparse.Namespace, folder: Path) -> Made:
    return _of_no_suspect(trial, UNTUNED)


def _of_no_suspect(trial: Trial, file: Path) -> Made:
    """Plant what no suspect is, each of which sees a tenth of the images alone.

    More of them tell no kind better, and take ten times as long.
    """
    with mock.patch.object(pace, "FEWEST", 0):
        outcomes = printed(trial.plant_held_out(read_held_out(file), FOLDER))
    return faults_table(outcomes, 0)


def _faithful(trial: Trial, chosen: argparse.Namespace, folder: Path) -> Made:
    return faithful_table(list(trial.diagnose_faithful(chosen.faithful)))


def _slips(trial: Trial, chosen: argparse.Namespace, folder: Path) -> Made:
    return slips_table(list(plant_slips(chosen.slips, folder)))


PARTS: dict[str, Callable[[Trial, argparse.Namespace, Path], Made]] = {
    "listed": _listed,
    "full-size": _full_size,
    "unlisted": _unlisted,
    "untuned": _untuned,
    "faithful": _faithful,
    "slips": _slips,
}


def _held_out(trial: Trial, file: Path) -> int:
    """Plant the faults of a file; 1 where one of them is taken for another."""
    outcomes = printed(trial.plant_held_out(read_held_out(file), file.parent))
    for outcome in outcomes:
        print(f"{outcome.planted}: {outcome.diagnosis.sentence}")
    print(said_of(outcomes))
    return int(any(outcome.said == "false" for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
