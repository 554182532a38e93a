"""Memory of torch in pages of 2 MiB, against pages of 4 KiB."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

import timm
import torch

from benchmarks.row import Row
from benchmarks.setting import Setting
from benchmarks.timing import spread
from repro.machine import LARGE_PAGES

#: Architectures with random weights, and whether channels come last, as in a run.
ARCHITECTURES = {
    "vit_base_patch16_224": torch.contiguous_format,
    "resnet50": torch.channels_last,
    "efficientnet_b0": torch.channels_last,
}
BATCH = 8


def large_pages(setting: Setting) -> list[Row]:
    """Compute the same batch in two processes, in turns: one asks for large pages."""
    chosen = list(ARCHITECTURES)[: 1 if setting.is_quick else None]
    return [_row(setting, architecture) for architecture in chosen]


def _row(setting: Setting, architecture: str) -> Row:
    what = f"a batch of {BATCH}, {architecture}: pages of 2 MiB / of 4 KiB"
    row = partial(Row, id=f"large-pages-{architecture}", what=what, unit="ratio")
    if not LARGE_PAGES.is_file() or setting.device.type != "cpu":
        return row(note="needs Linux and a processor that computes")
    ways = [_Computing(architecture, is_large) for is_large in ("1", "0")]
    pairs: list[tuple[float, float]] = []
    for number in range(4 * setting.repetitions + 1):
        order = ways if number % 2 else ways[::-1]
        spent = {way: way.seconds() for way in order}
        if number:  # The first one chooses kernels.
            pairs.append((spent[ways[0]], spent[ways[1]]))
    for way in ways:
        way.end()
    return row(
        value=spread([large / small for large, small in pairs]),
        parts={"pages of 4 KiB, s": spread([small for _, small in pairs]).median},
    )


class _Computing:
    """A process that computes a batch whenever it is asked to.

    Args:
        architecture: of the model.
        is_large: `1` for large pages, `0` for small ones.
    """

    def __init__(self, architecture: str, is_large: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.pages", architecture],
            env={**os.environ, "THP_MEM_ALLOC_ENABLE": is_large},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def seconds(self) -> float:
        """Let it compute a batch, and tell the processor time that this took."""
        assert self._process.stdin
        assert self._process.stdout
        print(file=self._process.stdin, flush=True)
        return float(self._process.stdout.readline())

    def end(self) -> None:
        """Let it end."""
        self._process.communicate()


def _compute(architecture: str) -> None:
    """Compute a batch for each line of the standard input."""
    torch.manual_seed(0)
    model = timm.create_model(architecture).eval().requires_grad_(requires_grad=False)
    layout = ARCHITECTURES[architecture]
    model.to(memory_format=layout)
    images = torch.randn(BATCH, 3, 224, 224).to(memory_format=layout)
    with torch.inference_mode():
        for _ in sys.stdin:
            start = time.process_time()
            model(images)
            print(time.process_time() - start, flush=True)


MEASUREMENTS: list[Callable[[Setting], list[Row]]] = [large_pages]

if __name__ == "__main__":
    _compute(sys.argv[1])
