"""Threads of torch leave the core to whoever has work; its memory has large pages."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from repro.machine import LARGE_PAGES, prepare_for_torch
from repro.published import EMBEDDED


@pytest.mark.parametrize(
    "chosen",
    [
        {"OMP_WAIT_POLICY": "active"},
        {"GOMP_SPINCOUNT": "7"},
        {"THP_MEM_ALLOC_ENABLE": "0"},
    ],
    ids=lambda chosen: next(iter(chosen)),
)
def test_what_the_user_has_set_is_left_alone(chosen: dict[str, str]) -> None:
    environment = dict(chosen)
    prepare_for_torch(environment)
    assert environment.items() >= chosen.items()
    assert not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} <= environment.keys()


def test_a_system_without_large_pages_is_not_asked_for_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("repro.machine.LARGE_PAGES", tmp_path / "enabled")
    environment: dict[str, str] = {}
    prepare_for_torch(environment)
    assert "THP_MEM_ALLOC_ENABLE" not in environment


@pytest.mark.skipif(
    not LARGE_PAGES.is_file() or "[never]" in LARGE_PAGES.read_text(),
    reason="the system gives no large pages",
)
def test_a_large_tensor_lies_in_large_pages() -> None:
    script = (
        "import os; from repro.machine import prepare_for_torch\n"
        "prepare_for_torch(os.environ); import torch\n"
        "kept = torch.ones(16 * 2**20)\n"
        "print(open('/proc/self/smaps_rollup').read())"
    )
    environment = {k: v for k, v in os.environ.items() if k != "THP_MEM_ALLOC_ENABLE"}
    run = subprocess.run(
        [sys.executable, "-c", script],
        check=True,
        env=environment,
        text=True,
        capture_output=True,
    )
    (line,) = (n for n in run.stdout.splitlines() if n.startswith("AnonHugePages"))
    # 64 MiB; a system short of memory need not have all of it in large pages.
    assert int(line.split()[1]) >= 8 * 2**10


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
