"""Evaluating a checkpoint, against the forward pass of its model alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from benchmarks import limits, plain
from benchmarks.row import Goal, Row
from benchmarks.setting import Setting
from benchmarks.timing import Comparison, compare, seconds, spread
from repro.cases import Case
from repro.data.dataset import Dataset
from repro.data.pixels import PixelStore
from repro.engine.evaluator import Evaluator
from repro.evaluation.batching import CANDIDATES, TRIES, BatchSize
from repro.evaluation.classifier import Classifier
from repro.evaluation.evaluate import evaluate
from repro.evaluation.precision import arithmetic
from repro.published import Precision


class Warm:
    """A checkpoint with its pixels on disk, and the same pixels on the device.

    Args:
        setting: what to compute on.
        engine: that loads it.
        case: of the checkpoint.
        strata: how many strata are evaluated.
    """

    def __init__(
        self,
        setting: Setting,
        engine: Evaluator,
        case: Case,
        strata: int,
        precision: Precision = "fp32",
    ) -> None:
        self.device = setting.device
        self.precision = precision
        self.dataset: Dataset = engine.dataset(case)
        self.numbers = range(strata)
        cache = engine.settings.cache
        assert cache is not None
        self.store = PixelStore(
            self.dataset, case.protocol.geometry_steps, cache, setting.cores
        )
        self.model = engine.model(case)
        self.classifier: Classifier = engine.classifier(case)
        pixels = [pixels for _, pixels in self.store.iterate(self.numbers)]
        self.images: Tensor = torch.cat(
            [self.classifier.normalise(torch.from_numpy(np.array(p))) for p in pixels]
        )
        self.batch_size = BatchSize(self.device.type)

    def search(self) -> None:
        """Find the batch size."""
        while self.batch_size.is_searching:
            self.evaluate()

    def evaluate(self) -> None:
        """Go from pixels on disk to metrics."""
        evaluate(
            self.classifier,
            self.dataset,
            self.store.iterate(self.numbers),
            batch_size=self.batch_size,
            device=self.device,
        ).metrics()

    def forward(self) -> None:
        """Compute the logits of resident tensors."""
        with arithmetic(self.precision, self.device):
            limits.forward(self.model, self.images, self.batch_size.current)

    def compare(self, repetitions: int) -> Comparison:
        """Time both in turns."""
        self.search()
        self.forward()
        return compare(self.evaluate, self.forward, repetitions)


def warm_case(setting: Setting) -> list[Row]:
    """Evaluate from pixels on disk, against the forward pass on resident tensors."""
    found: list[Row] = []
    peak = limits.matrix_peak(setting.device)
    for architecture, dataset, strata, bound in (
        ("vit-b16", "some", 1, 1.02),
        ("vit-ti16", "many", 1, 1.05),
    ):
        (case,) = setting.stand_ins.cases(f"supervised/{architecture}", dataset)
        with setting.empty_cache() as cache:
            warm = Warm(setting, setting.engine(cache), case, strata)
            result = warm.compare(setting.repetitions)
        rate = len(warm.images) / result.other.median
        operations = limits.operations(warm.model)
        found.append(
            Row(
                id=f"warm-{architecture}",
                what=f"warm case / forward alone, {_title(architecture)}",
                unit="ratio",
                value=result.ratio,
                goal=Goal(bound) if setting.device.type == "cpu" else None,
                parts={
                    "case, images/s": len(warm.images) / result.ours.median,
                    "forward alone, images/s": rate,
                    "forward alone, part of the matrix product peak": rate
                    * operations
                    / peak,
                    "batch size found": warm.batch_size.current,
                },
            )
        )
    row = Row(
        id="limit-matrix-product",
        what="product of large float32 matrices",
        unit="TFLOP/s",
        value=spread([peak / 1e12]),
    )
    return [*found, row]


def cold_case(setting: Setting) -> list[Row]:
    """Evaluate from photographs, against decoding and computing one after the other."""
    (case,) = setting.stand_ins.cases("supervised/vit-ti16", "many")
    strata = 1 if setting.is_quick else 2
    with setting.empty_cache() as cache:
        warm = Warm(setting, setting.engine(cache), case, strata)
        warm.search()
    dataset, size = warm.dataset, warm.batch_size
    paths = [
        dataset.root / dataset.files[index]
        for stratum in warm.numbers
        for index in dataset.strata[stratum]
    ]

    def cold() -> None:
        with setting.empty_cache() as cache:
            geometry = case.protocol.geometry_steps
            warm.store = PixelStore(dataset, geometry, cache, setting.cores)
            warm.evaluate()

    def apart() -> None:
        limits.decoding(paths, setting.cores, plain.SUPERVISED_GEOMETRY)
        warm.forward()

    result = compare(cold, apart, min(3, setting.repetitions))
    return [
        Row(
            id="cold-case",
            what="cold case / decode, then forward, ViT-Ti/16",
            unit="ratio",
            value=result.ratio,
            goal=Goal(1.15),
            parts={
                "cold, s": result.ours.median,
                "apart, s": result.other.median,
                "batch size found": size.current,
            },
        )
    ]


def batch_size_search(setting: Setting) -> list[Row]:
    """Compute what finding the batch size costs a case of 50,000 images."""
    (case,) = setting.stand_ins.cases("supervised/vit-ti16", "many")
    with setting.empty_cache() as cache:
        warm = Warm(setting, setting.engine(cache), case, 1)
    sizes = CANDIDATES[setting.device.type]
    times: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(setting.repetitions):
        for size in sizes:
            images = warm.images[: max(size, 64)]
            taken = seconds(partial(limits.forward, warm.model, images, size))
            times[size].append(taken / len(images))
    best = {size: min(found) for size, found in times.items()}
    quickest = min(best.values())
    lost = sum(TRIES * size * (taken - quickest) for size, taken in best.items())
    return [
        Row(
            id="batch-size-search",
            what="time lost to finding the batch size in 50,000 images, ViT-Ti/16",
            unit="ratio",
            value=spread([lost / (50_000 * quickest)]),
            parts={f"images/s at {size}": 1 / taken for size, taken in best.items()},
        )
    ]


def _title(architecture: str) -> str:
    return {"vit-b16": "ViT-B/16", "vit-ti16": "ViT-Ti/16"}[architecture]


MEASUREMENTS: list[Callable[[Setting], list[Row]]] = [
    warm_case,
    cold_case,
    batch_size_search,
]
