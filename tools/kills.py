"""Kill what repro does at any moment, or fill its disk, and see how it ends.

    python -m tools.kills --count N --seed S [DEED...]

Each deed is begun in a folder of its own and disturbed once; then it is done again to
its end. What comes of it has to be what came of an undisturbed one, with a sound cache,
no process that is left and an empty temporary folder.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from repro.records.ledger import Ledger
from tests.fetching.host import running_host
from tests.fetching.released import weights
from tests.releases import FAMILY, release_toml

HERE = Path(__file__).parents[1]
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
_ALREADY = "these parts are run 1 of"
#: Bytes that a file may have where the size of files is limited.
LEAST, MOST = 0, 2**18
#: A full disk, which only root can make; bytes of the disk before and after, more than
#: a download leaves to others.
FULL, DISK, PAGE = "disk full", 2**30, 4096
#: Seconds that a process has to notice that whoever started it is gone.
MERCY = 30.0


class Deed(msgspec.Struct, frozen=True):
    """A command, what comes of it in its folder, and what may be there before its end.

    `after` is what its own sentence says to do where all but its report was done.
    """

    command: tuple[str, ...]
    result: Callable[[Path], object]
    after: tuple[str, ...] = ()
    halfway: Callable[[Path], object] = lambda folder: None


def main() -> int:
    """Disturb deeds, one after the other; 1 where one ends otherwise than it should."""
    parser = argparse.ArgumentParser(prog="python -m tools.kills")
    parser.add_argument("deed", nargs="*", choices=[*_DEEDS, []], help="all without")
    parser.add_argument("--count", type=int, default=500, help="of all deeds together")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    when = f"{version('pytest-repro')}, {datetime.now(UTC):%Y-%m-%d}"
    print(f"seed {chosen.seed}, {chosen.count} in all, {when}", flush=True)
    drawn, faults = random.Random(chosen.seed), 0
    names = chosen.deed or list(_DEEDS)
    ways = [how for how in _DISTURBANCES if how != FULL or _can_mount()]
    done = dict.fromkeys(((n, how) for n in names for how in ways), 0)
    with TemporaryDirectory() as folder, _prepared(Path(folder)) as world:
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
        sum(n for (_, by), n in done.items() if by == how) for how in _DISTURBANCES
    ]
    row = command, *counts, chosen.count - faults, when
    print(f"| {' | '.join(map(str, row))} |")
    return int(bool(faults))


class Known(msgspec.Struct, frozen=True):
    """What comes of a deed that nothing disturbs, its seconds, and bytes of files."""

    result: object
    seconds: float
    size: int


class World:
    """Deeds with what they begin with, each time in a new folder."""

    def __init__(self, folder: Path, deeds: dict[str, Deed]) -> None:
        self._folder = folder
        self._deeds = deeds

    def undisturbed(self, name: str) -> Known:
        """Do a deed, and give what comes of it."""
        with self._begun() as place:
            start, before = time.monotonic(), _size(place)
            if said := self._finish(name, place):
                sys.exit(f"{name} fails undisturbed: {said}")
            result, seconds = self._deeds[name].result(place), time.monotonic() - start
            return Known(result, seconds, _size(place) - before)

    def disturb(self, name: str, how: str, drawn: random.Random, known: Known) -> str:
        """Disturb a deed and do it to its end; say what is not as it should be."""
        result, deed = known.result, self._deeds[name]
        with self._begun(mounted=how == FULL) as place:
            _DISTURBANCES[how](deed.command, place, drawn, known)
            for there in _left_over(place):
                return f"process {there} is left"
            if deed.halfway(place) not in (None, result):
                return "what is there is half of it"
            _age(place / "tmp")
            if said := self._finish(name, place):
                return f"done again it fails: {said}"
            if found := _difference(deed.result(place), result):
                return f"another result: {found}"
            check = _done((*REPRO, "cache", "check"), place)
            if check.returncode:
                return f"a damaged cache: {check.stdout}"
            names = [file.name for file in (place / "tmp").iterdir()]
            # Pytest keeps folders of its own of runs that failed.
            left = [name for name in names if not name.startswith("pytest-of-")]
            return f"left in the temporary folder: {left[:5]}" if left else ""

    def _finish(self, name: str, place: Path) -> str:
        deed = self._deeds[name]
        done = _done(deed.command, place)
        if done.returncode and deed.after and _ALREADY in done.stdout + done.stderr:
            done = _done(deed.after, place)
        return (done.stdout + done.stderr)[-2000:] if done.returncode else ""

    @contextlib.contextmanager
    def _begun(self, *, mounted: bool = False) -> Iterator[Path]:
        with (
            TemporaryDirectory() as folder,
            _small_disk(folder) if mounted else contextlib.nullcontext(),
        ):
            place = Path(folder, "world")
            shutil.copytree(self._folder, place)
            (place / "tmp").mkdir(exist_ok=True)
            yield place


def _difference(ours: object, theirs: object, where: str = "") -> str:
    """Say where two results differ first; empty where they do not."""
    if (
        isinstance(ours, dict)
        and isinstance(theirs, dict)
        and ours.keys() == theirs.keys()
    ):
        parts = ((ours[key], theirs[key], f"{where}.{key}") for key in ours)
    elif (
        isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs)
    ):
        pairs = enumerate(zip(ours, theirs, strict=True))
        parts = ((a, b, f"{where}[{number}]") for number, (a, b) in pairs)
    else:
        return "" if ours == theirs else f"{where} {ours!r:.200} for {theirs!r:.200}"
    return next(filter(None, (_difference(*part) for part in parts)), "")


# Disturbances -------------------------------------------------------------------------


def _kill_all(
    command: tuple[str, ...], place: Path, drawn: random.Random, known: Known
) -> None:
    with _started(command, place) as process:
        _wait(process, drawn.uniform(0, known.seconds))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _kill_one(
    command: tuple[str, ...], place: Path, drawn: random.Random, known: Known
) -> None:
    """Kill the process that was started, and none of those that it has started."""
    with _started(command, place) as process:
        _wait(process, drawn.uniform(0, known.seconds))
        process.kill()


def _interrupt(
    command: tuple[str, ...], place: Path, drawn: random.Random, known: Known
) -> None:
    """Do what a key does in a terminal: all processes are told."""
    with _started(command, place) as process:
        _wait(process, drawn.uniform(0, known.seconds))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        _wait(process, MERCY)
        process.kill()


def _fill_disk(
    command: tuple[str, ...], place: Path, drawn: random.Random, known: Known
) -> None:
    """Leave less room than the deed needs, for the time of the disturbance."""
    disk = str(place.parent)
    room = drawn.randrange(max(known.size, 1))
    _mount("-o", f"remount,size={_size(place) + room}", disk)
    with _started(command, place) as process:
        _wait(process, 10 * known.seconds + MERCY)
        process.kill()
    _mount("-o", f"remount,size={DISK}", disk)


def _mount(*arguments: str) -> bool:
    mounted = subprocess.run(["mount", *arguments], capture_output=True, check=False)
    return not mounted.returncode


@contextlib.contextmanager
def _small_disk(folder: str) -> Iterator[None]:
    """Let a folder be a disk of its own, which is gone afterwards."""
    if not _mount("-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", folder):
        raise PermissionError(f"{folder} cannot become a disk of its own")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def _can_mount() -> bool:
    with (
        contextlib.suppress(OSError, PermissionError),
        TemporaryDirectory() as folder,
        _small_disk(folder),
    ):
        return True
    return False


def _size(place: Path) -> int:
    """Sum up the bytes below a folder, as whole pages."""
    files = (file for file in place.rglob("*") if file.is_file())
    return sum(-(-file.stat().st_size // PAGE) * PAGE for file in files)


def _limit_files(
    command: tuple[str, ...], place: Path, drawn: random.Random, known: Known
) -> None:
    """Refuse what makes a file larger than some size, as a quota would."""
    most = int(LEAST + (MOST - LEAST) * drawn.random() ** 4)
    limited = (sys.executable, "-c", _LIMITED, str(most), *command)
    with _started(limited, place) as process:
        _wait(process, 10 * known.seconds + MERCY)
        process.kill()


_LIMITED = """
import os, resource, sys
most = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
os.execv(sys.argv[2], sys.argv[2:])
"""
_DISTURBANCES: dict[str, Callable[..., None]] = {
    "all killed": _kill_all,
    "one killed": _kill_one,
    "interrupted": _interrupt,
    FULL: _fill_disk,
    "files limited": _limit_files,
}


def _wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)


def _started(command: tuple[str, ...], place: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        cwd=place,
        env=_environment(place),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _done(command: tuple[str, ...], place: Path) -> subprocess.CompletedProcess[str]:
    environment = _environment(place)
    return subprocess.run(
        command, cwd=place, env=environment, capture_output=True, text=True, check=False
    )


def _environment(place: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return kept | {
        "PYTHONPATH": str(HERE),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "HOME": str(place / "home"),
        "TMPDIR": str(place / "tmp"),
        # Where torch keeps what it compiles, by default in the temporary folder.
        "TORCHINDUCTOR_CACHE_DIR": str(place / "inductor"),
        "REPRO_CACHE": str(place / "cache"),
    }


def _age(folder: Path) -> None:
    """Let what is there be older than a run may take to begin, which is spared."""
    long_ago = time.time() - 3600
    for one in folder.iterdir():
        os.utime(one, (long_ago, long_ago))


def _left_over(place: Path) -> list[str]:
    """Name the processes that were started in a folder and do not end."""
    end = time.monotonic() + MERCY
    while (found := _in_folder(place)) and time.monotonic() < end:
        time.sleep(0.1)
    return found


def _in_folder(place: Path) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cwd").readlink().is_relative_to(place):
                found.append(process.name)
    return found


# Deeds --------------------------------------------------------------------------------


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


_DEEDS = ("report", "merge", "fetch", "run")


@contextlib.contextmanager
def _prepared(folder: Path) -> Iterator[World]:
    """Make ledgers of two parts, a release to fetch, and a test of cases."""
    (folder / "test_own.py").write_text(TEST)
    (folder / "tmp").mkdir()
    for part in ("1", "2"):
        shard = (f"--repro-shard={part}/2", f"--repro-ledger=part{part}")
        done = _done((*PYTEST, *shard), folder)
        if done.returncode:
            sys.exit(done.stdout + done.stderr)
    with running_host() as host:
        how: dict[str, Any] = {"ranges": True, "pause": 0.05, "pieces": 20}
        link = host.share("/1M.pt", weights(1, 2_000_000), **how)
        other = host.share("/2M.pt", weights(2, 1_000_000), **how)
        files = {"files": {"1M.pt": link, "2M.pt": other}}
        numbers = release_toml(family={"supervised/real": FAMILY | files})
        (folder / "numbers.toml").write_text(numbers)
        reports = tuple(f"-o{name}" for name in REPORTS)
        yield World(
            folder,
            {
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
            },
        )


if __name__ == "__main__":
    sys.exit(main())
