"""What is disturbed: commands, what comes of them, and what they begin with."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from repro.records.ledger import Ledger
from tests.fetching.host import running_host
from tests.fetching.released import weights
from tests.releases import FAMILY, release_toml

from .processes import done

TEST = """
import pytest

@pytest.mark.repro
def test_case(case, reproduce):
    reproduce(case)
"""
CASES = "supervised/real/80 or supervised/synthetic/160 or clip/real/80"
REPRO = (str(Path(sys.executable).with_name("repro")),)
PYTEST = (
    *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_own.py"),
    *("--repro-expected=embedded", "--repro-device=cpu", "-k", CASES),
    # Else the size that is quickest counts, and rounds losses in another way each time.
    "--repro-batch-size=50",
)
REPORTS = ("r.json", "r.md", "r.csv", "r.html")


class Deed(msgspec.Struct, frozen=True):
    """A command, what comes of it in its folder, and what may be there before its end.

    `after` is what its own sentence says to do where all but its report was done.
    """

    command: tuple[str, ...]
    result: Callable[[Path], object]
    after: tuple[str, ...] = ()
    halfway: Callable[[Path], object] = lambda folder: None


def _reported(name: str, place: Path) -> Any:
    """Read a report without what no two runs have in common."""
    content = json.loads((place / name).read_text("utf-8"))
    del content["run"]
    for case in content["cases"]:
        case.pop("seconds")
    return content


def _merged(place: Path) -> object:
    with Ledger(place / "joined") as ledger:
        runs = len(ledger.runs())
    return runs, _reported("r.json", place)


def _files(names: tuple[str, ...], place: Path) -> object:
    return {name: (place / name).read_bytes() for name in names}


def _whole_files(names: tuple[str, ...], place: Path) -> object:
    """Give reports as they are; None where one is not there yet."""
    if all((place / name).exists() for name in names):
        return _files(names, place)
    return None


def _fetched(place: Path) -> object:
    files = (place / "weights").rglob("*.pt")
    return {str(f.relative_to(place)): f.read_bytes() for f in sorted(files)}


DEEDS = ("report", "merge", "fetch", "run")


@contextlib.contextmanager
def prepared(folder: Path) -> Iterator[dict[str, Deed]]:
    """Make ledgers of two parts, a release to fetch, and a test of cases."""
    (folder / "test_own.py").write_text(TEST)
    (folder / "tmp").mkdir()
    for part in ("1", "2"):
        shard = (f"--repro-shard={part}/2", f"--repro-ledger=part{part}")
        found = done((*PYTEST, *shard), folder)
        if found.returncode:
            sys.exit(found.stdout + found.stderr)
    with running_host() as host:
        how: dict[str, Any] = {"ranges": True, "pause": 0.05, "pieces": 20}
        link = host.share("/1M.pt", weights(1, 2_000_000), **how)
        other = host.share("/2M.pt", weights(2, 1_000_000), **how)
        files = {"files": {"1M.pt": link, "2M.pt": other}}
        numbers = release_toml(family={"supervised/real": FAMILY | files})
        (folder / "numbers.toml").write_text(numbers)
        reports = tuple(f"-o{name}" for name in REPORTS)
        yield {
            "report": Deed(
                (*REPRO, "report", "--ledger", "part1", *reports),
                partial(_files, REPORTS),
                halfway=partial(_whole_files, REPORTS),
            ),
            "merge": Deed(
                (
                    *(*REPRO, "merge", "part1", "part2", "--ledger", "joined"),
                    *("--expected", "embedded", "-o", "r.json"),
                ),
                _merged,
                (*REPRO, "report", "1", "--ledger", "joined", "-o", "r.json"),
            ),
            "fetch": Deed(
                (
                    *(*REPRO, "fetch", "--expected", "numbers.toml"),
                    *("--checkpoints", "weights"),
                ),
                _fetched,
            ),
            "run": Deed(
                (
                    *(*PYTEST, "-n2", "--repro-resume", "--repro-ledger=own"),
                    "--repro-report=r.json",
                ),
                partial(_reported, "r.json"),
            ),
        }
