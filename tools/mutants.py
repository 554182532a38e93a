"""Plant small changes in modules, one after the other, and see whether tests notice.

cosmic-ray makes the changes; here are which of them are tried, in a copy of the working
tree, and which tests are asked: those of the module's name first, then its folder's.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import os
import random
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from cosmic_ray.commands import init
from cosmic_ray.mutating import mutate_and_test
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec, TestOutcome

ROOMS = ("judgement", "claims", "evaluation", "data", "published", "records")
#: Seconds after which tests that no longer end have noticed.
PATIENCE = 300.0
#: The part of mutants that tests must notice.
WANTED = 0.9

Position = tuple[int, int]


def main() -> int:
    """Print what survives; 1 where too much does."""
    parser = argparse.ArgumentParser(prog="python -m tools.mutants")
    parser.add_argument("place", nargs="*", type=Path, help="modules or rooms; all six")
    parser.add_argument("--count", type=int, default=150, help="of each place at most")
    parser.add_argument("--seed", type=int, default=0)
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
            found = sample(place, chosen.count, random.Random(chosen.seed))
            survivors = 0
            for mutation in found:
                if changed := survivor(mutation):
                    survivors += 1
                    print(f"{changed}\n", flush=True)
            tried += len(found)
            noticed += len(found) - survivors
            print(f"{place}: {len(found) - survivors} of {len(found)}", flush=True)
    print(f"{noticed} of {tried} are noticed")
    return int(noticed < WANTED * tried)


def sample(place: Path, count: int, drawn: random.Random) -> list[MutationSpec]:
    """Draw some of the changes that can be made in a module or room, in their order."""
    modules = sorted(place.glob("*.py")) if place.is_dir() else [place]
    found = [mutation for module in modules for mutation in changes(module)]
    chosen = drawn.sample(range(len(found)), min(count, len(found)))
    return [found[number] for number in sorted(chosen)]


def changes(module: Path) -> list[MutationSpec]:
    """List the changes of a module that are of what is evaluated."""
    with (
        tempfile.TemporaryDirectory() as folder,
        use_db(Path(folder) / "session.sqlite", WorkDB.Mode.create) as database,
    ):
        init([module], database, {})
        items = [item.mutations[0] for item in database.work_items]
    typed = list(unevaluated(module.read_text(encoding="utf-8")))
    return [
        item
        for item in items
        if not any(begin <= item.start_pos < end for begin, end in typed)
    ]


def unevaluated(source: str) -> Iterator[tuple[Position, Position]]:
    """Yield where types stand that nothing evaluates."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            arguments = node.args
            every = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
            for type_ in (node.returns, *(each.annotation for each in every)):
                if type_ is not None:
                    end = type_.end_lineno or 0, type_.end_col_offset or 0
                    yield (type_.lineno, type_.col_offset), end


def survivor(mutation: MutationSpec) -> str:
    """Make a change and ask the tests; the change where none notices, else nothing."""
    result = mutate_and_test([mutation], shlex.join(_command(mutation)), PATIENCE)
    return str(result.diff) if result.test_outcome == TestOutcome.SURVIVED else ""


def _command(mutation: MutationSpec) -> Sequence[str]:
    module = Path(mutation.module_path)
    tests = Path("tests", module.parent.name)
    own = tests / f"test_{module.stem}.py"
    asked = [str(own)] * own.exists() + [str(tests)]
    return sys.executable, "-m", "pytest", "-qx", "-pno:cacheprovider", *asked


@contextlib.contextmanager
def _copied_tree(folder: Path) -> Iterator[None]:
    """Work in a copy, which Python finds before what is installed."""
    copy = folder / "tree"
    ignored = shutil.ignore_patterns(".*", "__pycache__")
    shutil.copytree(Path(), copy, ignore=ignored, symlinks=True)
    os.environ["PYTHONPATH"] = str(copy)
    # A module is changed faster than the second that its compiled file tells it by.
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    with contextlib.chdir(copy):
        yield


if __name__ == "__main__":
    sys.exit(main())
