"""Kill what repro does at any moment, or fill its disk, and see how it ends.

    python -m tools.kills --count N --seed S [DEED...]

Each deed is begun in a folder of its own and disturbed once; then it is done again to
its end. What comes of it has to be what came of an undisturbed one, with a sound cache,
no process that is left and an empty temporary folder.
"""

from __future__ import annotations

import argparse
import random
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from .deeds import DEEDS, prepared
from .disturbances import DISTURBANCES, FULL, can_mount
from .world import World


def main() -> int:
    """Disturb deeds, one after the other; 1 where one ends otherwise than it should."""
    parser = argparse.ArgumentParser(prog="python -m tools.kills")
    parser.add_argument("deed", nargs="*", choices=[*DEEDS, []], help="all without")
    parser.add_argument("--count", type=int, default=500, help="of all deeds together")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    when = f"{version('pytest-repro')}, {datetime.now(UTC):%Y-%m-%d}"
    print(f"seed {chosen.seed}, {chosen.count} in all, {when}", flush=True)
    drawn, faults = random.Random(chosen.seed), 0
    names = chosen.deed or list(DEEDS)
    ways = [how for how in DISTURBANCES if how != FULL or can_mount()]
    done = dict.fromkeys(((n, how) for n in names for how in ways), 0)
    with TemporaryDirectory() as folder, prepared(Path(folder)) as deeds:
        world = World(Path(folder), deeds)
        known = {name: world.undisturbed(name) for name in names}
        for number in range(chosen.count):
            name = names[number % len(names)]
            how = drawn.choice(ways)
            if fault := world.disturb(name, how, drawn, known[name]):
                print(f"{number}: {name}, {how}: {fault}", flush=True)
                faults += 1
            done[name, how] += 1
    for (name, how), count in done.items():
        print(f"{name:<8}{how:<16}{count}")
    print(f"{chosen.count - faults} of {chosen.count} end as an undisturbed one")
    command = f"`--count {chosen.count} --seed {chosen.seed} {' '.join(names)}`"
    counts = [
        sum(n for (_, by), n in done.items() if by == how) for how in DISTURBANCES
    ]
    row = command, *counts, chosen.count - faults, when
    print(f"| {' | '.join(map(str, row))} |")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
