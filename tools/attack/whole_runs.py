"""A stranger's release, run as its user would, and all that comes of it looked at."""

from __future__ import annotations

import gc
import importlib
import io
import os
import pkgutil
import re
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from .written import obeyed, written_badly

#: Where the user is, below which a run may write into these folders.
PLACE = Path("home/user")
_WRITTEN = ("ledger", "cache", "reports", "temporary")
FACES = ("html", "md", "csv", "json", "badge.json")
_SUITE = """
import pytest

@pytest.mark.repro
def test_checkpoint(case, reproduce):
    reproduce(case)

@pytest.mark.repro
def test_claim(claim, uphold):
    uphold(claim)
"""
# They are imported before pytest is.
_INI = "[pytest]\nfilterwarnings = ignore::pytest.PytestAssertRewriteWarning\n"
#: Processor time of a run as a whole, and what it may take on a clock.
_SECONDS, _LONGEST = 10, 90
#: Run well, with divergences, ended before the first case, asked for wrongly, nothing.
_STATUSES = {0, 1, 2, 4, 5}
_BROKEN = re.compile(
    r"Traceback \(most recent call last\)|INTERNALERROR|^\S+\.py:\d+: \w+"
    r"|[^\n]*Fatal Python error[^\n]*|[^\n]*Warning: [^\n]*",
    re.MULTILINE,
)


def whole_run(*options: str) -> str:
    """Run all cases of the release, and show and report what the ledger says of them.

    It is done by a fork: a run leaves much behind in a process.
    """
    _imported_once()
    (PLACE / "temporary").mkdir(parents=True)
    (PLACE / "test_release.py").write_text(_SUITE)
    (PLACE / "pytest.ini").write_text(_INI)
    before = dict(_files())
    said = Path("said").resolve()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Threads and forks.
        child = os.fork()
    if not child:
        _run_and_exit(said, options)
    ended = _waited_for(child)
    if os.WIFSIGNALED(ended):
        killed = signal.Signals(os.WTERMSIG(ended)).name
        late = killed in {"SIGVTALRM", "SIGXCPU", "SIGKILL"}
        return f"it takes more than {_SECONDS} s" if late else f"it ended by {killed}"
    text = said.read_text("utf-8", "surrogateescape")
    said.unlink()
    return (
        _strays(before)
        or _said_badly(text, os.WEXITSTATUS(ended))
        or written_badly(PLACE / "reports")
    )


def _waited_for(child: int) -> int:
    """Wait for a fork, and end it and what it has started where that takes too long."""
    until = time.monotonic() + _LONGEST
    while True:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return status
        if time.monotonic() > until:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.01)


@cache
def _imported_once() -> None:
    """Import what is heavy before the first fork."""
    import torch

    torch.set_num_threads(1)
    heavy = "repro.engine.evaluator timm open_clip torchvision scipy.stats httpcore"
    rooms = "plugin records report claims planning diagnosis cli data"
    own = (
        f"repro.{room}.{module.name}"
        for room in rooms.split()
        for module in pkgutil.iter_modules(
            [str(Path(importlib.import_module("repro").__path__[0], room))]
        )
        if module.name != "__main__"
    )
    for name in (*heavy.split(), *own):
        importlib.import_module(name)
    gc.collect()
    gc.freeze()


def _run_and_exit(said: Path, options: tuple[str, ...]) -> None:
    """Run, and leave what pytest and the commands print in a file."""
    status = 99
    try:
        signal.signal(signal.SIGVTALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_VIRTUAL, _SECONDS)
        with said.open("wb") as stream:
            for number in (1, 2):
                os.dup2(stream.fileno(), number)
        sys.stdout, sys.stderr = (
            io.TextIOWrapper(io.FileIO(number, "w", closefd=False), "utf-8", "replace")
            for number in (1, 2)
        )
        status = _run(options)
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        import traceback

        os.write(2, traceback.format_exc().encode("utf-8", "replace"))
    finally:
        os._exit(status)


def _run(options: tuple[str, ...]) -> int:
    import pytest
    from click.testing import CliRunner

    from repro.cli import cli

    os.chdir(PLACE)
    here = Path.cwd()
    sys.dont_write_bytecode = True
    for name in [n for n in os.environ if n.startswith(("PYTEST", "REPRO"))]:
        del os.environ[name]
    places = {"HOME": here, "TMPDIR": here / "temporary"}
    os.environ |= {name: str(place) for name, place in places.items()}
    reports = [f"--repro-report=reports/r.{face}" for face in FACES]
    status = pytest.main(
        [
            *("-pno:cacheprovider", "-pno:hypothesispytest", "-pno:xdist", "-q"),
            *("-pno:anyio", "-pno:faulthandler", "-rA", "--color=no"),
            "--import-mode=importlib",
            "--junitxml=reports/junit.xml",
            *("--repro-expected=release", "--repro-cache=cache"),
            *("--repro-ledger=ledger", "--repro-device=cpu", *reports, *options),
            "test_release.py",
        ]
    )
    if Path("ledger").exists():
        for command in (
            "runs --ledger ledger",
            "show last --ledger ledger",
            "history supervised/real/80@digits-supervised --ledger ledger",
            *(f"report --ledger ledger -o reports/again.{face}" for face in FACES),
        ):
            done = CliRunner().invoke(cli, command.split())
            print(done.output)
            if done.exception and not isinstance(done.exception, SystemExit):
                raise done.exception
    return int(status)


def _files() -> Iterator[tuple[Path, tuple[int, int]]]:
    for file in sorted(Path().rglob("*")):
        if not file.is_dir() or file.is_symlink():
            state = file.lstat()
            yield file, (state.st_size, state.st_mtime_ns)


def _strays(before: dict[Path, tuple[int, int]]) -> str:
    """Say what was written elsewhere than a run writes, or changed."""
    allowed = [PLACE / name for name in _WRITTEN]
    for file, state in _files():
        if before.get(file) == state:
            continue
        if not any(file.is_relative_to(folder) for folder in allowed):
            return f"it wrote {file}"
    left = [*(PLACE / "temporary").glob("*")]
    return f"it left {left[0].name} in the temporary folder" if left else ""


def _said_badly(text: str, status: int) -> str:
    if found := _BROKEN.search(text):
        return f"it prints {found[0][:300]!r}"
    if status not in _STATUSES:
        return f"it ends with {status}"
    if bad := obeyed(text):
        return f"it prints {bad}"
    if status in {2, 4}:
        lines = text.splitlines()
        if not any(len(line) > 20 for line in lines):
            return f"it ends with {status} and says nothing"
    return ""
