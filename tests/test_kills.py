"""What was killed at any moment, or met a full disk, ends as if nothing had been."""

from __future__ import annotations

import subprocess
import sys

import pytest

from .conftest import Often


@pytest.mark.slow
def test_what_is_disturbed_ends_as_an_undisturbed_one(often: Often) -> None:
    count = often(100, 8)
    done = subprocess.run(
        [sys.executable, "-m", "tools.kills", f"--count={count}", "--seed=3"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{count} of {count} end as an undisturbed one" in done.stdout
