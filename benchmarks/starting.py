"""What being installed costs a project that does not use it."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable

from benchmarks.row import Goal, Row
from benchmarks.setting import Setting
from benchmarks.timing import spread


def start_up(setting: Setting) -> list[Row]:
    """Collect one test with the plugin and without it, in turns."""
    with setting.empty_cache() as folder:
        (folder / "test_other.py").write_text("def test_nothing():\n    pass\n")

        def milliseconds(*options: str) -> float:
            """Processor time, to which other load on the machine adds little."""
            command = [sys.executable, "-m", "pytest", "--collect-only", "-q", *options]
            # Without bytecode of its own everything would be compiled each time.
            kept = {k: v for k, v in os.environ.items() if k != _NO_BYTECODE}
            before = _children_seconds()
            subprocess.run(
                command, cwd=folder, check=True, capture_output=True, env=kept
            )
            return 1000 * (_children_seconds() - before)

        milliseconds()
        pairs = [
            (milliseconds(), milliseconds("-p", "no:repro"))
            for _ in range(3 * setting.repetitions)
        ]
    return [
        Row(
            id="start-up",
            what="pytest in a project that does not use the plugin, with it - without",
            unit="ms",
            value=spread([with_ - without for with_, without in pairs]),
            goal=Goal(10.0),
            parts={"pytest without it, ms": spread([w for _, w in pairs]).median},
        )
    ]


def _children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


_NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"

MEASUREMENTS: list[Callable[[Setting], list[Row]]] = [start_up]
