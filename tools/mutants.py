"""Plant small changes in modules, one after the other, and see whether tests notice.

cosmic-ray makes the changes; here are which of them are tried, in a copy of the working
tree, and which tests are asked: those of the module's name first, then its folder's.
Each is asked in a fork of this process, which has imported what others wrote already.
"""

from __future__ import annotations

import argparse
import ast
import compileall
import contextlib
import difflib
import importlib
import math
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from py_compile import PycInvalidationMode

import pytest
from cosmic_ray.commands import init
from cosmic_ray.mutating import use_mutation
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec

ROOMS = ("judgement", "claims", "evaluation", "data", "published", "records")
#: Seconds of processor time after which tests that no longer end have noticed, and of a
#: clock, where they sleep.
PATIENCE, ASLEEP = 90, 1200.0
#: Packages of others that take seconds to import.
HEAVY = ("torch", "torchvision", "timm", "open_clip", "scipy.stats", "hypothesis")
#: The part of mutants that tests must notice.
WANTED = 0.9

Position = tuple[int, int]


def main() -> int:
    """Print what survives; 1 where too much does."""
    parser = argparse.ArgumentParser(prog="python -m tools.mutants")
    parser.add_argument("place", nargs="*", type=Path, help="modules or rooms; all six")
    parser.add_argument("--count", type=int, default=150, help="of each place at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=math.inf, help="of each place")
    chosen = parser.parse_args()
    places = chosen.place or [Path("repro", room) for room in ROOMS]
    print(
        f"seed {chosen.seed}, at most {chosen.count} of each, "
        f"repro {version('pytest-repro')}, {datetime.now(UTC):%Y-%m-%d}",
        flush=True,
    )
    tried = noticed = 0
    with tempfile.TemporaryDirectory() as folder, _copied_tree(Path(folder)):
        for place in places:
            if not are_content(_tests_of(_modules(place)[0])):
                sys.exit(f"the tests of {place} fail as they are")
            found = sample(place, chosen.count, random.Random(chosen.seed))
            number = survivors = 0
            end = time.monotonic() + 60 * chosen.minutes
            while number < len(found) and time.monotonic() < end:
                if changed := survivor(found[number]):
                    survivors += 1
                    print(f"{changed}\n", flush=True)
                number += 1
            tried += number
            noticed += number - survivors
            print(f"{place}: {number - survivors} of {number}", flush=True)
    print(f"{noticed} of {tried} are noticed")
    return int(noticed < WANTED * tried)


def sample(place: Path, count: int, drawn: random.Random) -> list[MutationSpec]:
    """Draw some of the changes that can be made in a module or room.

    The first of them are a sample too, for who has no time for all.
    """
    found = [mutation for module in _modules(place) for mutation in changes(module)]
    return drawn.sample(found, min(count, len(found)))


def _modules(place: Path) -> list[Path]:
    return sorted(place.glob("*.py")) if place.is_dir() else [place]


def changes(module: Path) -> list[MutationSpec]:
    """List the changes of a module that are of what is evaluated."""
    with (
        tempfile.TemporaryDirectory() as folder,
        use_db(Path(folder) / "session.sqlite", WorkDB.Mode.create) as database,
    ):
        init([module], database, {})
        items = [item.mutations[0] for item in database.work_items]
    typed = list(without_effect(module.read_text(encoding="utf-8")))
    return [
        item
        for item in items
        if not any(begin <= item.start_pos < end for begin, end in typed)
    ]


def without_effect(source: str) -> Iterator[tuple[Position, Position]]:
    """Yield where types stand that nothing evaluates, and what forbids to write.

    That a struct is `frozen` changes nothing where nobody writes to it.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef):
            for keyword in node.keywords:
                end = keyword.end_lineno or 0, keyword.end_col_offset or 0
                yield (keyword.lineno, keyword.col_offset), end
        if isinstance(node, ast.FunctionDef):
            arguments = node.args
            every = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
            for type_ in (node.returns, *(each.annotation for each in every)):
                if type_ is not None:
                    end = type_.end_lineno or 0, type_.end_col_offset or 0
                    yield (type_.lineno, type_.col_offset), end


def survivor(mutation: MutationSpec) -> str:
    """Make a change and ask the tests; the change where none notices, else nothing."""
    operator = get_operator(mutation.operator_name)(**mutation.operator_args)
    place = mutation.module_path
    with use_mutation(place, operator, mutation.occurrence) as (before, after):
        if after is None or not are_content(_tests_of(Path(place))):
            return ""
    lines = before.splitlines(), after.splitlines()
    return "\n".join(difflib.unified_diff(*lines, str(place), n=2, lineterm=""))


def are_content(tests: Sequence[str]) -> bool:
    """Whether tests pass with the code as it is."""
    asked = multiprocessing.get_context("fork").Process(target=_ask, args=(tests,))
    asked.start()
    asked.join(ASLEEP)
    if asked.exitcode is None and asked.pid is not None:
        os.killpg(asked.pid, signal.SIGKILL)
        asked.join()
    return asked.exitcode == 0


def _ask(tests: Sequence[str]) -> None:
    os.setsid()
    resource.setrlimit(resource.RLIMIT_CPU, (PATIENCE, PATIENCE))
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1), os.dup2(silence, 2)
    sys.exit(pytest.main(["-qx", "-pno:cacheprovider", *tests]))


def _tests_of(module: Path) -> Sequence[str]:
    tests = Path("tests", module.parent.name)
    own = tests / f"test_{module.stem}.py"
    return [str(own)] * own.exists() + [str(tests)]


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
