"""Two workers against one, on the embedded release: cold, and with decoded pixels.

    python -m benchmarks.workers [--repeats 5] [--json FILE]

Timed is what lies between the first case's start and the last one's end, in the process
that deals them. Start-up is taken off: each worker has imported torch by then, and
evaluated a case of each kind, so that libraries have built what they keep. Runs
alternate, and the median of each counts.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

#: Where the controller writes the seconds of its cases.
SECONDS = "REPRO_BENCHMARK_SECONDS"
SUITE = """
import pytest

@pytest.mark.repro
def test_checkpoint(case, reproduce):
    reproduce(case)
"""


class Stopwatch:
    """Times the cases of a run, in the process that deals them."""

    def __init__(self) -> None:
        self._first = 0.0
        self._last = 0.0

    def pytest_runtest_logstart(self) -> None:
        """Start with the first case."""
        self._first = self._first or time.perf_counter()

    def pytest_runtest_logreport(self) -> None:
        """End with the last report."""
        self._last = time.perf_counter()

    def pytest_sessionfinish(self) -> None:
        """Write the time down."""
        Path(os.environ[SECONDS]).write_text(f"{self._last - self._first}\n")


def pytest_configure(config: pytest.Config) -> None:
    """Take start-up off: workers import what is heavy before any case is dealt."""
    if hasattr(config, "workerinput"):
        _start_up()
    else:
        config.pluginmanager.register(Stopwatch())


def _start_up() -> None:
    """Evaluate a case of each kind, keeping nothing on disk."""
    from repro.cases import list_cases
    from repro.engine.evaluator import Evaluator
    from repro.engine.settings import EngineSettings
    from repro.published import EMBEDDED, read_releases

    engine = Evaluator(EngineSettings(cache=None, device="cpu"))
    cases = list_cases(read_releases([EMBEDDED]))
    for case in {case.protocol.kind: case for case in cases}.values():
        engine.measure(case)


def measure(workers: int, cache: Path, folder: Path) -> float:
    """Run all cases of the embedded release; give their seconds."""
    output = folder / "seconds"
    subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *("-p", "benchmarks.workers", f"-n{workers}", str(folder)),
            *("--repro-expected=embedded", "--repro-ledger=none"),
            f"--repro-cache={cache}",
        ],
        cwd=folder,
        env={
            **os.environ,
            SECONDS: str(output),
            "PYTHONPATH": str(Path(__file__).parents[1]),
        },
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return float(output.read_text())


def compare(repeats: int) -> dict[str, Any]:
    """Measure one and two workers in turn, without and with decoded pixels."""
    seconds: dict[str, dict[int, list[float]]] = {
        kind: {1: [], 2: []} for kind in ("cold", "warm")
    }
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "test_release.py").write_text(SUITE)
        for repeat in range(repeats):
            for workers in (1, 2):
                cache = folder / f"cache-{workers}-{repeat}"
                for kind in ("cold", "warm"):
                    seconds[kind][workers].append(measure(workers, cache, folder))
    return {
        kind: {
            "one_worker_seconds": statistics.median(found[1]),
            "two_workers_seconds": statistics.median(found[2]),
            "ratio": statistics.median(found[2]) / statistics.median(found[1]),
            "repeats": repeats,
        }
        for kind, found in seconds.items()
    }


def main() -> None:
    """Measure, and print or write what was found."""
    parser = argparse.ArgumentParser(description="Two workers against one.")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    found = compare(arguments.repeats)
    for kind, values in found.items():
        print(
            f"{kind}: {values['one_worker_seconds']:.2f} s with one worker, "
            f"{values['two_workers_seconds']:.2f} s with two, "
            f"ratio {values['ratio']:.2f}"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
