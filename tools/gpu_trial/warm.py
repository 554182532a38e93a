"""Warm cases: whether the device waits, what waits for it, and when its memory is full.

Each evaluates mapped pixels of several strata with one model, as a case does.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise, product

import numpy as np
import torch
from torch.autograd import DeviceType  # type: ignore[attr-defined]
from torch.profiler import ProfilerActivity, profile

from benchmarks.pictures import drawn_dataset
from repro.evaluation.batching import BatchSize, give_back
from repro.evaluation.classifier import Classifier
from repro.evaluation.evaluate import evaluate
from repro.evaluation.precision import arithmetic
from repro.evaluation.predictions import Predictions
from repro.published import Precision

from .bench import ARCHITECTURES, IMAGENET, ROUNDING, Bench
from .findings import Step, Verdict, verdict_of

#: From and to, in microseconds.
Spans = list[tuple[float, float]]

#: Of float32, and of what is so fast that waiting is a large part of it.
PRECISIONS: tuple[Precision, ...] = ("fp32", "amp-bf16")
#: The largest part of a case that may be beyond computing, or without a kernel.
MOST_BEYOND, MOST_IDLE = 1.05, 0.03
#: The least part of the time of copies during which something is computed.
LEAST_BESIDE = 0.8
#: Images of a batch that does not fit where another process has most of the memory.
TOO_MANY = 1024


class Warm:
    """A case of a model that is fed from memory.

    Args:
        bench: the device, and how much is tried.
        precision: that is computed in.
        size: of batches; None for that of the bench.
        architecture: of the model.
    """

    def __init__(
        self,
        bench: Bench,
        precision: Precision,
        size: BatchSize | None = None,
        architecture: str = ARCHITECTURES[1],
    ) -> None:
        self.number = 64 if bench.is_dry else 4096
        self.size = size or BatchSize(bench.device.type, 16 if bench.is_dry else 256)
        self.pixels = bench.images(self.number)
        self._device = bench.device
        self._dataset = drawn_dataset(
            np.arange(self.number) * 1000 // self.number, 1000
        )
        strata = enumerate(self._dataset.strata)
        self._strata = [(place, self.pixels[m].numpy()) for place, m in strata]
        self._model = bench.model(architecture)
        self.classifier = Classifier(self._model, *IMAGENET, bench.device, precision)

    def evaluate(self) -> Predictions:
        """Evaluate the case."""
        return evaluate(
            self.classifier,
            self._dataset,
            self._strata,
            batch_size=self.size,
            device=self._device,
        )

    def forward(self) -> Callable[[], None]:
        """Give what computes the same of images that are on the device already."""
        images = self.classifier.normalise(self.pixels)

        def compute() -> None:
            with torch.inference_mode(), arithmetic(self.classifier.precision, device):
                for part in torch.split(images, self.size.current):
                    self._model(part)

        device = self._device
        return compute


def no_gap_between_strata(bench: Bench) -> Iterator[Step]:
    """Evaluating mapped pixels takes hardly longer than computing what is there."""
    for precision in PRECISIONS:
        warm = Warm(bench, precision)
        evaluated = bench.seconds(warm.evaluate, 2)
        ratio = evaluated / bench.seconds(warm.forward(), 2)
        yield Step(
            name=f"a warm case against resident tensors, {precision}",
            verdict=_unless_dry(bench, is_right=ratio <= MOST_BEYOND),
            numbers={"ratio": ratio, "images/s": warm.number / evaluated},
        )


def no_gap_between_batches(bench: Bench) -> Iterator[Step]:
    """The device computes from first to last, and copies beside it."""
    for precision in PRECISIONS:
        warm = Warm(bench, precision)
        warm.evaluate()
        numbers = _traced(bench, warm.evaluate)
        beside = numbers.get("part of copies beside kernels", 1.0)
        is_right = numbers["idle part"] <= MOST_IDLE and beside >= LEAST_BESIDE
        yield Step(
            name=f"no gap between batches, {precision}",
            verdict=_unless_dry(bench, is_right=is_right),
            numbers=numbers,
        )


def _traced(bench: Bench, work: Callable[[], object]) -> dict[str, float]:
    """Trace what the device does meanwhile."""
    kind = DeviceType.CPU if bench.is_dry else DeviceType.CUDA
    also = [] if bench.is_dry else [ProfilerActivity.CUDA]
    with profile(activities=[ProfilerActivity.CPU, *also]) as traced:
        work()
    kernels: Spans = []
    copies: Spans = []
    for event in traced.events() or ():
        if event.device_type == kind:
            place = copies if event.name.startswith("Memcpy HtoD") else kernels
            place.append((event.time_range.start, event.time_range.end))
    if not kernels:
        raise RuntimeError("the profiler saw no kernel; it may need CAP_SYS_ADMIN")
    return idle(kernels, copies)


def idle(kernels: Spans, copies: Spans) -> dict[str, float]:
    """Say for which part of the time nothing was computed, and what copies cost.

    Args:
        kernels: when something was computed, in microseconds.
        copies: when pixels or labels were copied to the device.
    """
    computing, copying = joined(kernels), joined(copies)
    gaps = [after[0] - before[1] for before, after in pairwise(computing)]
    numbers = {
        "idle part": sum(gaps) / (computing[-1][1] - computing[0][0]),
        "longest gap, ms": max(gaps, default=0.0) / 1000,
    }
    if copies:
        either = length(joined([*kernels, *copies]))
        both = length(copying) + length(computing) - either
        numbers["part of copies beside kernels"] = both / length(copying)
    return numbers


def joined(spans: Iterable[tuple[float, float]]) -> Spans:
    """Join what overlaps: ascending, and apart from each other."""
    found: Spans = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return found


def length(spans: Spans) -> float:
    """Add up spans that are apart."""
    return sum(end - start for start, end in spans)


def nothing_waits_for_the_stream(bench: Bench) -> Iterator[Step]:
    """No operation of a case waits until all is computed that came before it."""
    warm = Warm(bench, "fp32")
    warm.evaluate()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        if not bench.is_dry:
            torch.cuda.set_sync_debug_mode("warn")
        try:
            warm.evaluate()
        finally:
            if not bench.is_dry:
                torch.cuda.set_sync_debug_mode("default")
    waits = [w for w in said if "called a synchronizing" in str(w.message)]
    yield Step(
        name="no operation waits for the stream",
        verdict="not here" if bench.is_dry else verdict_of(is_right=not waits),
        said="torch tells of CUDA only"
        if bench.is_dry
        else ", ".join(sorted({f"{w.filename}:{w.lineno}" for w in waits})),
        numbers={"operations that wait": len(waits)},
    )


def the_same_bits_twice(bench: Bench) -> Iterator[Step]:
    """A case gives the same bits again, in batches of the same size."""
    for architecture, precision in product(ARCHITECTURES, PRECISIONS):
        warm = Warm(bench, precision, architecture=architecture)
        one, other = warm.evaluate(), warm.evaluate()
        differing = int((one.losses != other.losses).sum())
        yield Step(
            name=f"the same bits twice, {architecture}, {precision}",
            verdict=verdict_of(is_right=not differing),
            numbers={"losses that differ": differing},
        )


def memory_that_is_full(bench: Bench) -> Iterator[Step]:
    """Where something else has the memory, batches that fit give the same."""
    if bench.is_dry:
        said = "a processor's memory is not filled"
        yield Step(name="a device whose memory is full", verdict="not here", said=said)
        return
    device = bench.device
    wanted = Warm(bench, "fp32").evaluate()
    warm = Warm(bench, "fp32", BatchSize("cuda", TOO_MANY))
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    try:
        warm.evaluate()
    except torch.OutOfMemoryError as error:
        give_back(error, device)
    needed = torch.cuda.max_memory_allocated(device) - before
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info(device)
    # What is left is enough for about a third of such a batch.
    other = torch.empty(max(0, free - needed // 3), dtype=torch.uint8, device=device)
    warm.size = BatchSize("cuda", TOO_MANY)
    try:
        found = warm.evaluate()
    finally:
        del other
    shift = float(np.abs(found.losses - wanted.losses).max())
    is_right = warm.size.current < TOO_MANY and shift <= ROUNDING
    yield Step(
        name="a device whose memory is full",
        verdict=verdict_of(is_right=is_right),
        said=f"batches of {warm.size.current} in place of {TOO_MANY:,}",
        numbers={"largest shift of a loss": shift},
    )


def _unless_dry(bench: Bench, *, is_right: bool) -> Verdict:
    """Give a verdict; what a processor says of time is noise."""
    return "measured" if bench.is_dry else verdict_of(is_right=is_right)


WARM_CASES = (
    no_gap_between_strata,
    no_gap_between_batches,
    nothing_waits_for_the_stream,
    the_same_bits_twice,
    memory_that_is_full,
)
