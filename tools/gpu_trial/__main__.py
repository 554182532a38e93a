"""`python -m tools.gpu_trial -o FILE.json [--device cpu]`: try all that runs on a GPU.

With `--device cpu` every step is run on a few images, to see that it can be run. Beside
the file is written a table, which `python -m benchmarks.quote` puts into its document.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from repro.engine.device import choose_device
from repro.errors import OptionError
from repro.files import replace_bytes
from repro.records.identity import describe_environment

from .bench import Bench
from .findings import Step, Trial, encode, table
from .paths import PATHS, Tried


def main(arguments: Sequence[str] | None = None) -> int:
    """Run each step, write what it found, and say 1 where one is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tools.gpu_trial")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--only", action="append", default=[], metavar="PART")
    chosen = parser.parse_args(arguments)
    try:
        device = choose_device(chosen.device)
    except OptionError as error:
        parser.error(str(error).replace("--repro-device", "--device"))
    steps: list[Step] = []
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(device, Path(folder))
        for path in PATHS:
            name = path.__name__.replace("_", " ")
            if chosen.only and not any(part in name for part in chosen.only):
                continue
            for step in _run(name, path, bench):
                steps.append(step)
                print(step, flush=True)
            trial = Trial(
                environment=describe_environment(str(device)),
                properties=_properties(device),
                seconds=time.perf_counter() - start,
                steps=steps,
            )
            # After each: a driver that ends the process has not taken all with it.
            replace_bytes(chosen.output, encode(trial))
            replace_bytes(chosen.output.with_suffix(".md"), table(trial).encode())
    wrong = sum(step.verdict == "wrong" for step in steps)
    print(f"{len(steps)} steps, {wrong} wrong: {chosen.output}")
    return int(wrong > 0)


def _run(name: str, path: Tried, bench: Bench) -> Iterator[Step]:
    """Yield the steps of a path; whatever it raises is one."""
    steps = path(bench)
    while True:
        start = time.perf_counter()
        try:
            step = next(steps, None)
        # A driver raises what it likes, and the other paths are to be tried too.
        except Exception as error:
            said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            step = Step(name=name, verdict="wrong", said=said)
        if step is None:
            return
        step.seconds = time.perf_counter() - start
        yield step


def _properties(device: torch.device) -> dict[str, str]:
    """Say what is told of a device beside its name."""
    if device.type != "cuda":
        return {}
    found = torch.cuda.get_device_properties(device)
    return {
        "compute capability": f"{found.major}.{found.minor}",
        "memory, bytes": str(found.total_memory),
        "multiprocessors": str(found.multi_processor_count),
        "devices": str(torch.cuda.device_count()),
    }


if __name__ == "__main__":
    sys.exit(main())
