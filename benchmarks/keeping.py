"""Memory that is kept for the next batch, against memory that is given anew."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial

import timm
import torch

from benchmarks.row import Row
from benchmarks.setting import Setting
from benchmarks.timing import spread
from repro.evaluation.memory import keeping_memory

#: Architectures with random weights, and whether channels come last, as in a run.
ARCHITECTURES = {
    "vit_base_patch16_224": torch.contiguous_format,
    "resnet50": torch.channels_last,
    "efficientnet_b0": torch.channels_last,
}
BATCH = 8


def kept_memory(setting: Setting) -> list[Row]:
    """Compute the same batch in two processes, in turns: one keeps its memory."""
    chosen = list(ARCHITECTURES)[: 1 if setting.is_quick else None]
    return [_row(setting, architecture) for architecture in chosen]


def _row(setting: Setting, architecture: str) -> Row:
    what = f"a batch of {BATCH}, {architecture}: memory kept / given anew"
    row = partial(Row, id=f"kept-memory-{architecture}", what=what, unit="ratio")
    if setting.device.type != "cpu":
        return row(note="is about processors")
    ways = [_Computing(architecture, how) for how in ("kept", "anew")]
    pairs: list[tuple[float, float]] = []
    for number in range(4 * setting.repetitions + 1):
        order = ways if number % 2 else ways[::-1]
        spent = {way: way.seconds() for way in order}
        if number:  # The first one chooses kernels.
            pairs.append((spent[ways[0]], spent[ways[1]]))
    for way in ways:
        way.end()
    return row(
        value=spread([kept / anew for kept, anew in pairs]),
        parts={"given anew, s": spread([anew for _, anew in pairs]).median},
    )


class _Computing:
    """A process that computes a batch whenever it is asked to.

    Args:
        architecture: of the model.
        how: `kept` or `anew`, as the process has its memory.
    """

    def __init__(self, architecture: str, how: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.keeping", architecture, how],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def seconds(self) -> float:
        """Let it compute a batch, and tell how long this took."""
        assert self._process.stdin
        assert self._process.stdout
        print(file=self._process.stdin, flush=True)
        return float(self._process.stdout.readline())

    def end(self) -> None:
        """Let it end."""
        self._process.communicate()


def _compute(architecture: str, how: str) -> None:
    """Compute a batch for each line of the standard input."""
    torch.manual_seed(0)
    model = timm.create_model(architecture).eval().requires_grad_(requires_grad=False)
    layout = ARCHITECTURES[architecture]
    model.to(memory_format=layout)
    images = torch.randn(BATCH, 3, 224, 224).to(memory_format=layout)
    keeping = keeping_memory(torch.device("cpu")) if how == "kept" else nullcontext()
    with torch.inference_mode(), keeping:
        for _ in sys.stdin:
            start = time.perf_counter()
            model(images)
            print(time.perf_counter() - start, flush=True)


MEASUREMENTS: list[Callable[[Setting], list[Row]]] = [kept_memory]

if __name__ == "__main__":
    _compute(*sys.argv[1:])
