"""What a GPU adds: warm cases of reduced precision, and a suite of many checkpoints."""

from __future__ import annotations

from collections.abc import Callable

import torch

from benchmarks import limits
from benchmarks.evaluating import Warm
from benchmarks.row import Goal, Row
from benchmarks.setting import Setting
from benchmarks.timing import Spread, seconds, spread
from repro.published import Precision

CHECKPOINTS = 24
IMAGES = 50_000
NOTE = "needs a GPU"
BOUNDS: dict[Precision, float] = {"fp32": 1.05, "amp-bf16": 1.10}
PRECISIONS: tuple[Precision, ...] = ("fp32", "tf32", "amp-bf16", "amp-fp16")
#: Of the matrix products that a precision computes with.
TYPES: dict[Precision, torch.dtype] = {
    "fp32": torch.float32,
    "tf32": torch.float32,
    "amp-bf16": torch.bfloat16,
    "amp-fp16": torch.float16,
}


def warm_on_gpu(setting: Setting) -> list[Row]:
    """Evaluate from pixels on disk, against a loop on tensors on the GPU."""
    rows: list[Row] = []
    for precision, bound in BOUNDS.items():
        value, parts = None, {}
        if setting.device.type == "cuda":
            warm = _warm(setting, precision)
            found = warm.compare(setting.repetitions)
            value = found.ratio
            parts = {"case, images/s": len(warm.images) / found.ours.median}
        rows.append(
            Row(
                id=f"gpu-warm-{precision}",
                what=f"GPU: warm case / resident tensors, ViT-B/16, {precision}",
                unit="ratio",
                value=value,
                goal=Goal(bound),
                note="" if value else NOTE,
                parts=parts,
            )
        )
    return rows


def suite_on_gpu(setting: Setting) -> list[Row]:
    """Evaluate 24 ViT-B/16 on 50,000 photographs, in each precision.

    Photographs are decoded once; their strata are evaluated as often as it takes.
    """
    rows: list[Row] = []
    for precision in PRECISIONS:
        value: Spread | None = None
        parts: dict[str, float] = {}
        if setting.device.type == "cuda":
            warm = _warm(setting, precision)
            warm.search()
            rounds = -(-IMAGES // len(warm.images))
            taken = CHECKPOINTS * rounds * seconds(warm.evaluate)
            peak = limits.matrix_peak(setting.device, TYPES[precision])
            operations = limits.operations(warm.model) * IMAGES * CHECKPOINTS
            value = spread([taken])
            parts = {"part of the matrix product peak": operations / taken / peak}
        rows.append(
            Row(
                id=f"gpu-suite-{precision}",
                what=f"GPU: {CHECKPOINTS} ViT-B/16 on {IMAGES:,} images, {precision}",
                unit="s",
                value=value,
                note="" if value else NOTE,
                parts=parts,
            )
        )
    return rows


def _warm(setting: Setting, precision: Precision) -> Warm:
    (case,) = setting.stand_ins.cases("supervised/vit-b16", "most")
    cache = setting.stand_ins.folder / "cache-gpu"
    engine = setting.engine(cache, precision=precision)
    return Warm(setting, engine, case, 1 if setting.is_quick else 4, precision)


MEASUREMENTS: list[Callable[[Setting], list[Row]]] = [warm_on_gpu, suite_on_gpu]
