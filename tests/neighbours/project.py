"""A small project of somebody else's, and what a run of pytest in it leaves."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from repro.published import EMBEDDED

from ..plugin.conftest import ReleaseCopy
from .rows import Row

#: Two cases keep a row short.
SELECTION = "real/80 or real/640 or own"
CASES = """
import pathlib, os, time
import pytest

@pytest.mark.repro(kind="supervised", family="supervised/real")
def test_checkpoint(case, reproduce):
    waiting = pathlib.Path(os.environ.get("SIGNALS", "."), "waiting")
    if "SIGNALS" in os.environ and case.checkpoint == "640" and not waiting.exists():
        waiting.touch()
        time.sleep(120)
    reproduce(case)
"""
OWN = """
def test_own():
    assert True
"""
CONFTEST = """
import os, pathlib
import pytest

@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report):
    signals = os.environ.get("SIGNALS")
    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    if signals and not is_worker and hasattr(report, "repro"):
        pathlib.Path(signals, "measured").touch()
"""
#: Root writes also where nobody may; these are the two powers that it takes.
WITHOUT_POWERS = ("dac_override", "dac_read_search")


class Outcome(msgspec.Struct, frozen=True):
    """What a run did, and what it said.

    Args:
        status: exit status.
        verdicts: of the cases, by checkpoint, as the JSON report has them.
        said: on standard output and standard error.
    """

    status: int
    verdicts: dict[str, str]
    said: str


class Project:
    """The project, with folders of its own for all that a run could write to.

    Args:
        folder: in which they are made.
        row: what is run in it.
        cache: what was decoded before; it is copied.
    """

    def __init__(self, folder: Path, row: Row, cache: Path | None = None) -> None:
        self._row = row
        self.root = folder / "project"
        self.home, self.temporary, self.cache, self.out, self.signals = (
            folder / name for name in ("home", "tmp", "cache", "out", "signals")
        )
        for made in (self.home, self.temporary, self.out, self.signals):
            made.mkdir()
        if cache:
            shutil.copytree(cache, self.cache)
        table = "tool.pytest" if row.ini_file == "pyproject.toml" else "pytest"
        files = {
            row.ini_file: f"[{table}]\n{row.ini}\n",
            "tests/test_cases.py": CASES,
            "tests/test_own.py": OWN,
            "tests/conftest.py": CONFTEST,
        }
        for name, text in {**files, **row.files}.items():
            file = self.root / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    def start(self, number: int = 0) -> subprocess.Popen[str]:
        """Start pytest as the row says; the number tells runs of one row apart."""
        return subprocess.Popen(
            self._command(number),
            cwd=self.root / self._row.folder,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def end(self, started: subprocess.Popen[str], number: int = 0) -> Outcome:
        """Wait until it has ended, and read what it found."""
        said = started.communicate()[0]
        report = self._report(number)
        cases = json.loads(report.read_text())["cases"] if report.exists() else []
        verdicts = {case["checkpoint"]: case["verdict"] for case in cases}
        return Outcome(started.returncode, verdicts, said)

    def interrupt(self, by: signal.Signals) -> Outcome:
        """Send a signal when one case is measured and the other's test has begun.

        A terminal sends SIGINT to all processes in it, `kill` SIGTERM to one.
        """
        started = self.start()
        while started.poll() is None and len(list(self.signals.iterdir())) < 2:
            time.sleep(0.05)
        if by is signal.SIGINT:
            os.killpg(started.pid, by)
        else:
            started.send_signal(by)
        return self.end(started)

    def passes_without_repro(self) -> bool:
        """Whether the project's own test passes where repro is not loaded at all."""
        arguments = [text for text in self._others() if not text.startswith("--repro")]
        return not subprocess.run(
            [*arguments, "-pno:repro", "-kown"],
            cwd=self.root / self._row.folder,
            env=self._environment(),
            capture_output=True,
            check=False,
        ).returncode

    def names(self) -> set[str]:
        """List what there is in all folders, but for the bytecode of modules.

        Whoever imports timm gets an empty folder of torch's compiler, and the workers
        of xdist one for the `tmp_path` of their tests.
        """
        passing = ("torchinductor_", "pytest-of-")
        places = (self.root, self.home, self.temporary, EMBEDDED)
        return {
            f"{place.name}/{path.relative_to(place)}"
            for place in places
            for path in place.rglob("*")
            if "__pycache__" not in path.parts
            and not path.relative_to(place).parts[0].startswith(passing)
        }

    def cached(self) -> set[str]:
        """List what there is in the cache."""
        return {str(path.relative_to(self.cache)) for path in self.cache.rglob("*")}

    def left_running(self) -> list[int]:
        """List processes of a run that are still there."""
        mark = f"TMPDIR={self.temporary}".encode()
        return [number for number, said in _environments() if mark in said]

    def _report(self, number: int) -> Path:
        return self.out / f"report{number}.json"

    def _command(self, number: int) -> list[str]:
        row = self._row
        command = [
            *self._others(),
            *(() if row.plugins is None else ("-prepro",)),
            *("-k", SELECTION),
            f"--repro-expected={self._planted() if row.planted else 'embedded'}",
            f"--repro-report={self._report(number)}",
            "--repro-no-diagnose",
        ]
        if row.way == "read-only" and os.geteuid() == 0:
            powers = ",".join(f"-{power}" for power in WITHOUT_POWERS)
            dropped = (f"--inh-caps={powers}", f"--bounding-set={powers}")
            command = ["setpriv", *dropped, *command]
        return command

    def _others(self) -> list[str]:
        """Make the command without what is repro's."""
        return [
            *(sys.executable, "-m", "pytest"),
            *(f"-p{name}" for name in self._row.plugins or ()),
            *(self._filled(text) for text in self._row.arguments),
        ]

    def _filled(self, text: str) -> str:
        return text.format(out=self.out)

    def _environment(self) -> dict[str, str]:
        passed = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "OMP_NUM_THREADS")
        row = self._row
        found: dict[str, str | None] = {
            **{name: os.environ.get(name) for name in passed},
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "REPRO_CACHE": str(self.cache),
            "SIGNALS": str(self.signals) if row.way.startswith("SIG") else None,
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": None if row.plugins is None else "1",
            **row.environment,
        }
        return {name: self._filled(text) for name, text in found.items() if text}

    def _planted(self) -> Path:
        """Copy the release and publish more of a checkpoint than it scores."""
        folder = self.out / "release"
        if not folder.exists():
            copy = ReleaseCopy(folder)
            copy.keep("supervised/real/80", "supervised/real/640")
            top1 = copy.published("supervised/real/640", "top1")
            copy.edit("references.toml", (f'"{top1}"', '"97.00"'))
        return folder


def _environments() -> Iterator[tuple[int, list[bytes]]]:
    """Read the environment that each process of the machine was started with."""
    for place in Path("/proc").glob("[0-9]*"):
        try:
            yield int(place.name), (place / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
