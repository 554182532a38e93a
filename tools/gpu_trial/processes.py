"""Paths that are whole runs: workers, a diagnosis, the benchmarks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from repro.engine.evaluator import Evaluator
from repro.engine.settings import EngineSettings
from repro.machine import gpus_for

from .bench import FEW, Bench
from .findings import Step

#: Asks CUDA before any case is collected, and chooses by the newer of torch's two
#: interfaces how it multiplies, as people's own do.
CONFTEST = """
import os
from pathlib import Path

import torch

torch.cuda.is_available()
torch.backends.fp32_precision = "ieee"

def pytest_sessionfinish(session):
    if worker := os.environ.get("PYTEST_XDIST_WORKER"):
        seen = os.environ.get("CUDA_VISIBLE_DEVICES", "all")
        Path(__file__).with_name(f"{worker}.seen").write_text(seen)
"""
SUITE = """
import pytest

@pytest.mark.repro(expected="embedded")
def test_checkpoint(case, reproduce):
    reproduce(case)
"""
#: Reads a number that is not there, which the device itself notices.
FAILING = """
import os
import sys

import torch

from repro.errors import EvaluationError
from repro.evaluation.batching import telling_failures

device = torch.device(sys.argv[1])
# What the driver says itself comes before the sentence.
os.dup2(1, 2)
try:
    with telling_failures(device):
        torch.zeros(2, device=device)[torch.tensor([5], device=device)].cpu()
except EvaluationError as error:
    print(error)
"""
#: Benchmarks that fit into the trial; 'tox -e bench' has all of them.
ROWS = ("warm_on_gpu", "precision_shift")


def failure(bench: Bench) -> Iterator[Step]:
    """A device that fails, which its process does not survive, is one sentence."""
    name = "a device that fails is one sentence"
    if bench.is_dry:
        said = "a processor raises where it reads what is not there"
        yield Step(name=name, verdict="not here", said=said)
        return
    said = _run(["-c", FAILING, str(bench.device)], Path.cwd())
    is_right = f"{bench.device} failed (CUDA error: device-side assert" in said
    yield Step(name=name, verdict="right" if is_right else "wrong", said=said)


def workers_of_xdist(bench: Bench) -> Iterator[Step]:
    """Two workers reproduce the embedded release, each on the GPU that it was given."""
    folder = bench.folder / "suite"
    folder.mkdir()
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_release.py").write_text(SUITE)
    report = folder / "run.json"
    options = [
        "-n2",
        "-q",
        "-p",
        "no:cacheprovider",
        f"--repro-device={bench.device}",
        f"--repro-cache={bench.folder / 'cache'}",
        "--repro-ledger=none",
        f"--repro-report={report}",
    ]
    if bench.is_dry:
        options += [f"--repro-case={name}*" for name in FEW]
    said = _run(["-m", "pytest", *options], folder)
    cases = msgspec.json.decode(report.read_bytes())["cases"] if report.exists() else []
    reproduced = sum(case["verdict"] == "reproduced" for case in cases)
    seen = sorted(file.read_text() for file in folder.glob("*.seen"))
    is_right = bool(cases) and reproduced == len(cases)
    gpus = gpus_for(str(bench.device), os.environ)
    if len(gpus) > 1:
        is_right &= len(set(seen)) == len(seen) == 2
    yield Step(
        name="two workers reproduce the embedded release",
        verdict="right" if is_right else "wrong",
        said=f"they see {' and '.join(seen)}" if reproduced else said,
        numbers={"cases": len(cases), "reproduced": reproduced},
    )


def diagnosis(bench: Bench) -> Iterator[Step]:
    """A diagnosis names the fault that was planted."""
    # The tools are no package, and so not known to type checkers by this name.
    faults: Any = import_module("tools.planted_faults.faults")
    planting: Any = import_module("tools.planted_faults.planting")
    for fault in faults.FAULTS[: 1 if bench.is_dry else 3]:
        folder = bench.folder / "planted" / fault.suspect.replace("/", "-")
        folder.mkdir(parents=True)
        planted = planting.plant(fault, folder)
        engine = Evaluator(
            EngineSettings(
                cache=bench.folder / "cache",
                device=str(bench.device),
                checkpoints=planted.checkpoints,
                data=planted.data,
            )
        )
        _, predictions = engine.measure(planted.case)
        named = engine.diagnose(planted.case, predictions).cause
        yield Step(
            name=f"a diagnosis names {fault.suspect}",
            verdict="right" if named == fault.suspect else "wrong",
            said=f"it names {named or 'nothing'}",
        )


def benchmark_rows(bench: Bench) -> Iterator[Step]:
    """The rows of a GPU, as the benchmarks have them."""
    output = bench.folder / "rows.json"
    rows = ROWS[:1] if bench.is_dry else ROWS
    chosen = [f"--only={row}" for row in rows]
    said = _run(["-m", "benchmarks", "--quick", "-o", str(output), *chosen], Path.cwd())
    if not output.exists():
        yield Step(name="benchmark rows", verdict="wrong", said=said)
        return
    for row in msgspec.json.decode(output.read_bytes())["rows"]:
        value = row["value"]
        yield Step(
            name=row["what"],
            verdict="measured" if value else "not here",
            said=row["note"],
            numbers={row["unit"]: value["median"], **row["parts"]} if value else {},
        )


def _run(arguments: list[str], folder: Path) -> str:
    """Run Python there, and give the last that it printed."""
    paths = [str(Path.cwd()), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        text=True,
        check=False,
    )
    return " ".join(f"{done.stdout}\n{done.stderr}".split())[-300:]
