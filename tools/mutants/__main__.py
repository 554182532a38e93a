"""Plant small changes in rooms, one after the other; do the tests there notice?

    python -m tools.mutants --count N --seed S [PLACE...]

It works in a copy of the working tree, and prints rows for docs/reliability.md.
"""

from __future__ import annotations

import argparse
import compileall
import contextlib
import importlib
import math
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from py_compile import PycInvalidationMode

from .asking import notice, seen_by
from .changes import Change, made, modules, sample

#: Rooms, and tests of others that are about them: commands that only show them.
ROOMS = {
    "judgement": (),
    "claims": (),
    "evaluation": (),
    "data": (),
    "published": ("tests/evaluation/test_metrics_*.py", "tests/test_extending.py"),
    "records": (
        "tests/cli/test_ledger_commands.py",
        "tests/cli/test_accept_command.py",
    ),
}
#: Packages of others that take seconds to import.
HEAVY = ("torch", "torchvision", "timm", "open_clip", "scipy.stats", "hypothesis")
#: The part of mutants that tests must notice.
WANTED = 0.9


def main() -> int:
    """Print what survives; 1 where too much does."""
    parser = argparse.ArgumentParser(prog="python -m tools.mutants")
    parser.add_argument("place", nargs="*", type=Path, help="modules or rooms; all six")
    parser.add_argument("--count", type=int, default=100, help="of each place at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=math.inf, help="of each place")
    chosen = parser.parse_args()
    when = f"{version('pytest-repro')}, {datetime.now(UTC):%Y-%m-%d}"
    print(f"seed {chosen.seed}, {when}", flush=True)
    enough = True
    with tempfile.TemporaryDirectory() as folder, _copied_tree(Path(folder)):
        for place in chosen.place or [Path("repro", room) for room in ROOMS]:
            end = time.monotonic() + 60 * chosen.minutes
            drawn = random.Random(chosen.seed)
            number, survivors = tried(place, chosen.count, drawn, end)
            reasons = [found.reason for found in survivors if found.reason]
            counted = number - len(reasons)
            noticed = number - len(survivors)
            enough &= noticed >= WANTED * counted
            command = f"`--count {chosen.count} --seed {chosen.seed} {place}`"
            row = command, number, noticed, len(reasons), counted - noticed, when
            print(f"| {' | '.join(map(str, row))} |", flush=True)
    return int(not enough)


def tried(
    place: Path, count: int, drawn: random.Random, end: float
) -> tuple[int, list[Change]]:
    """Make changes until the clock says `end`: how many, and those that survive."""
    room = modules(place)[0].parent
    survivors: list[Change] = []
    number = 0
    besides = [file for name in ROOMS[room.name] for file in sorted(Path().glob(name))]
    with tempfile.TemporaryDirectory() as folder:
        seen = seen_by([Path("tests", room.name), *besides], room, Path(folder))
    if seen is None:
        sys.exit(f"the tests of {room} fail as they are")
    for mutation in sample(place, count, drawn):
        if time.monotonic() >= end:
            break
        lines = mutation.start_pos[0], mutation.end_pos[0]
        asked = seen.tests_of(Path(mutation.module_path), *lines)
        with made(mutation) as change:
            number += change is not None
            if change and not (asked and notice(seen, asked)):
                survivors.append(change)
                print(f"{number}, {len(asked)} tests asked: {change.reason}")
                print(f"{change.diff}\n", flush=True)
    return number, survivors


@contextlib.contextmanager
def _copied_tree(folder: Path) -> Iterator[None]:
    """Work in a copy, which Python finds before what is installed."""
    copy = folder / "tree"
    ignored = shutil.ignore_patterns(".*", "__pycache__")
    shutil.copytree(Path(), copy, ignore=ignored, symlinks=True)
    # A module is changed faster than the second that its compiled file tells it by.
    by_hash = PycInvalidationMode.CHECKED_HASH
    compileall.compile_dir(copy / "repro", quiet=2, invalidation_mode=by_hash)
    os.environ["PYTHONPATH"] = str(copy)
    sys.path.insert(0, str(copy))
    for package in HEAVY:
        importlib.import_module(package)
    with contextlib.chdir(copy):
        yield


if __name__ == "__main__":
    sys.exit(main())
