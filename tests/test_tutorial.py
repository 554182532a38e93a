"""Whoever follows docs/tutorial.md from an empty folder sees what it shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(
    r"^```(\w+)\n(.*?)^```", (ROOT / "docs/tutorial.md").read_text("utf-8"), re.M | re.S
)
#: What its reader has on the path, from this clone and interpreter.
COMMANDS = {"python": "", "pytest": "-m pytest", "repro": "-m repro.cli"}


def follow(lines: str, here: Path) -> str:
    """Run lines of the shell, each of which ends well unless it says that it fails."""
    said = []
    for line in lines.splitlines():
        done = subprocess.run(
            line,
            shell=True,
            cwd=here,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            env={
                **os.environ,
                "PATH": f"{here.parent / 'bin'}{os.pathsep}{os.environ['PATH']}",
                "PYTHONPATH": str(ROOT),
                "REPRO_CACHE": str(here.parent / "cache"),
                "COLUMNS": "100",
            },
        )
        assert done.returncode == line.endswith("# fails"), f"{line}\n{done.stdout}"
        said.append(done.stdout)
    return "".join(said)


def alike(line: str) -> str:
    return " ".join(line.split()).replace("[", "[[]").replace("...", "*")


@pytest.mark.slow
def test_the_tutorial_works_and_shows_what_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "REPRO_EXPECTED"):
        monkeypatch.delenv(name, raising=False)
    here = tmp_path / "empty"
    here.mkdir()
    (tmp_path / "bin").mkdir()
    for name, arguments in COMMANDS.items():
        command = tmp_path / "bin" / name
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
        command.chmod(0o755)
    said = ""
    for kind, block in BLOCKS:
        if kind == "sh":
            said = follow(block, here)
        elif kind == "text":
            # Where a line breaks hangs on what was measured.
            seen = " ".join(said.split())
            for line in block.splitlines():
                assert fnmatchcase(seen, f"*{alike(line)}*"), said
        else:
            file = here / block.split()[1]
            file.write_text(block, "utf-8")
