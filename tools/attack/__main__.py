"""Attack, and keep what falls short: `python -m tools.attack --seed S KIND`."""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import hypothesis
import msgspec
from hypothesis import HealthCheck, Phase, given, seed, settings

from .attack import MEMORY, Attack, limited_memory
from .kinds import KINDS

#: A whole run takes as long as some attacks of another kind.
AS_LONG_AS = {"releases": 5}
#: What fell short once is tried again by each run of the tests.
KEPT = Path("tests/attack/kept")


class ShortcomingError(AssertionError):
    """Raised for hypothesis to look for the smallest attack that does the same."""


def main() -> int:
    """Attack each kind in a process of its own; 1 where one falls short.

    Each is a fork: they share what takes seconds to import, and none the other's fate.
    """
    parser = argparse.ArgumentParser(prog="python -m tools.attack")
    parser.add_argument("kind", nargs="*", choices=[*KINDS, []], help="all without")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--count", type=int, default=200, help="of each kind; of releases a fifth"
    )
    chosen = parser.parse_args()
    print(
        f"seed {chosen.seed}, {chosen.count} of each kind, "
        f"repro {version('pytest-repro')}, {datetime.now(UTC):%Y-%m-%d}"
    )
    with tempfile.TemporaryDirectory() as tempfile.tempdir:
        done = [_is_withstood(kind, chosen) for kind in chosen.kind or KINDS]
    return int(not all(done))


def _is_withstood(kind: str, chosen: argparse.Namespace) -> bool:
    """Attack with a kind, and say how it went and what processor time it took."""
    begun = resource.getrusage(resource.RUSAGE_CHILDREN)
    count = max(1, chosen.count // AS_LONG_AS.get(kind, 1))
    done = multiprocessing.get_context("fork").Process(
        target=_attack_and_exit, args=(kind, chosen.seed, count)
    )
    done.start()
    done.join()
    taken = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = taken.ru_utime + taken.ru_stime - begun.ru_utime - begun.ru_stime
    said = "as they should be" if not done.exitcode else "NOT as they should be"
    print(f"{kind:<12} {count} {said}, {seconds:.1f} s", flush=True)
    return not done.exitcode


def _attack_and_exit(kind: str, seeded: int, count: int) -> None:
    sys.exit(attack(kind, seeded, count))


def attack(kind: str, seeded: int, count: int) -> int:
    """Attack in this process; keep the smallest attack that falls short."""
    least: dict[str, Attack] = {}

    @seed(seeded)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(KINDS[kind]())
    def all_are_as_they_should_be(tried: Attack) -> None:
        if said := tried.shortcoming():
            least[said.partition(":")[0]] = tried
            raise ShortcomingError(said)

    try:
        with limited_memory(MEMORY):
            all_are_as_they_should_be()
    except (ShortcomingError, ExceptionGroup, hypothesis.errors.Flaky) as error:
        print(f"{kind}: {error}")
        for said, found in least.items():
            print(f"  {said}: {keep(found)}")
        return 1
    return 0


def keep(found: Attack) -> Path:
    """Write an attack down, for a test to try it again."""
    content = msgspec.json.format(msgspec.json.encode(found)) + b"\n"
    KEPT.mkdir(parents=True, exist_ok=True)
    file = KEPT / f"{found.kind}-{sha256(content).hexdigest()[:8]}.json"
    file.write_bytes(content)
    return file


if __name__ == "__main__":
    sys.exit(main())
