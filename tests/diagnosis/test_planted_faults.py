"""The trial of docs/diagnosis.md: planted faults are named, faithful cases are not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ..conftest import Often

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_nine_of_ten_planted_faults_are_named_and_nothing_is_wrongly(
    often: Often,
) -> None:
    """The command fails where fewer are, or something else is named."""
    options = ("--embedded-only", f"--faithful={often(30, 10)}")
    ended = subprocess.run(
        [sys.executable, "-m", "tools.planted_faults", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    rows = ended.stdout.splitlines()
    assert len(rows) > 25
    assert "0 as something else" in rows[-1]
