"""Threads of torch that wait for each other leave the core to whoever has work."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from repro.machine import let_threads_sleep
from repro.published import EMBEDDED


@pytest.mark.parametrize(
    "chosen",
    [{"OMP_WAIT_POLICY": "active"}, {"GOMP_SPINCOUNT": "7"}],
    ids=lambda chosen: next(iter(chosen)),
)
def test_what_the_user_has_set_is_left_alone(chosen: dict[str, str]) -> None:
    environment = dict(chosen)
    let_threads_sleep(environment)
    assert environment == chosen


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="torch has GNU OpenMP on Linux")
def test_the_openmp_of_torch_has_read_it_when_a_case_is_measured(
    tmp_path: Path,
) -> None:
    """`OMP_DISPLAY_ENV` makes OpenMP say what is in force when it is loaded."""
    names = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
    environment = {name: os.environ[name] for name in os.environ if name not in names}
    tests = tmp_path / "test_release.py"
    tests.write_text(
        f"import pytest\n\n@pytest.mark.repro(expected={str(EMBEDDED)!r})\n"
        "def test_checkpoint(case, reproduce):\n    reproduce(case)\n"
    )
    run = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-s", tests),
            "--repro-case=supervised/real/80@*",
            f"--repro-cache={tmp_path / 'cache'}",
        ],
        check=False,
        env={**environment, "OMP_DISPLAY_ENV": "verbose"},
        cwd=tmp_path,
        text=True,
        capture_output=True,
    )
    assert run.returncode == 0, run.stdout
    assert "GOMP_SPINCOUNT = '1000'" in run.stderr
