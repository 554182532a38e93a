"""The paths that are tried, in the order of what rests on what."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.guarded import decide
from repro.errors import EvaluationError
from repro.evaluation.accelerators import ACCELERATORS, Accelerated
from repro.evaluation.batching import BatchSize, within_memory
from repro.evaluation.classifier import normaliser
from repro.evaluation.evaluate import compute_features, most_likely
from repro.evaluation.precision import arithmetic, multiplying_float32
from repro.evaluation.predictions import TOP, Predictions
from repro.published import PRECISIONS, Precision

from .bench import ARCHITECTURES, IMAGENET, ROUNDING, Bench
from .findings import Step, Verdict, verdict_of
from .processes import benchmark_rows, diagnosis, failure, workers_of_xdist
from .warm import WARM_CASES

Tried = Callable[[Bench], Iterator[Step]]
#: How far a product in float32 may be off, as a part of its largest number; those in
#: TF32 are ten times as far.
FLOAT32 = 5e-5


def normalised_pixels(bench: Bench) -> Iterator[Step]:
    """Every level of every channel has the bits of a processor."""
    levels = torch.arange(256, dtype=torch.uint8).expand(2, 3, 4, 256).contiguous()
    wanted = normaliser(*IMAGENET, torch.device("cpu"))(levels)
    found = normaliser(*IMAGENET, bench.device)(levels.to(bench.device)).cpu()
    differing = int((found != wanted).sum())
    yield Step(
        name="normalised pixels",
        verdict=verdict_of(is_right=not differing),
        numbers={"levels that differ": differing},
    )


def equal_logits(bench: Bench) -> Iterator[Step]:
    """Of equal logits the class is first that is first on a processor."""
    differing = equal = 0
    for images, classes in ((512, 10), (512, 1000), (64, 21_841)):
        torch.manual_seed(0)
        # In bf16 and close together, so that many are equal.
        logits = torch.randn(images, classes).bfloat16().float()
        found = most_likely(logits.to(bench.device), TOP).cpu()
        differing += int((found != most_likely(logits, TOP)).sum())
        largest = logits.topk(2, dim=1).values
        equal += int((largest[:, 0] == largest[:, 1]).sum())
    yield Step(
        name="the first five of equal logits",
        verdict=verdict_of(is_right=not differing and bool(equal)),
        numbers={"images of equal logits": equal, "classes that differ": differing},
    )


def rounding(bench: Bench) -> Iterator[Step]:
    """Float32 is no TF32, whatever the process has chosen before."""
    torch.manual_seed(0)
    one, other = torch.randn(256, 1024), torch.randn(1024, 256)
    image, kernel = torch.randn(4, 128, 16, 16), torch.randn(64, 128, 3, 3)
    works: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], Tensor, Tensor]] = {
        "a product": (torch.matmul, one, other),
        "a convolution": (functional.conv2d, image, kernel),
    }
    precisions: tuple[Precision, ...] = ("fp32", "tf32")
    for precision in precisions:
        numbers: dict[str, float] = {}
        for name, (work, first, second) in works.items():
            exact = work(first.double(), second.double())
            given = first.to(bench.device), second.to(bench.device)
            with (
                torch.inference_mode(),
                multiplying_float32(as_tf32=True),
                arithmetic(precision, bench.device),
            ):
                found = work(*given).cpu().double()
            numbers[f"error of {name}"] = float((found - exact).abs().max())
            numbers[f"error of {name}"] /= float(exact.abs().max())
        is_right = max(numbers.values()) <= FLOAT32
        yield Step(
            name=f"{precision} against float64",
            verdict=verdict_of(is_right=is_right)
            if precision == "fp32"
            else "measured",
            numbers=numbers,
        )


def precisions(bench: Bench) -> Iterator[Step]:
    """Float32 decides as a processor; how often others decide otherwise is counted."""
    for precision in PRECISIONS:
        engine = bench.engine(precision=precision)
        numbers = {"images": 0.0, "first classes that differ": 0.0}
        numbers |= {"largest shift of a loss": 0.0, "largest shift of top-1": 0.0}
        for case in bench.cases:
            _compare(engine.measure(case)[1], bench.exact(case), numbers)
        differing = numbers["first classes that differ"]
        shift = numbers["largest shift of a loss"]
        verdict: Verdict = "measured"
        if precision == "fp32":
            verdict = verdict_of(is_right=not differing and shift <= ROUNDING)
        name = f"{precision} against float32 of a processor"
        said = f"{len(bench.cases)} checkpoints of the embedded release"
        yield Step(name=name, verdict=verdict, said=said, numbers=numbers)


def guarded_decisions(bench: Bench) -> Iterator[Step]:
    """Guarded precision decides as float32 of the same device."""
    number = 2000 if bench.is_dry else 10_000
    numbers = {"images": 0.0, "decisions that differ": 0.0}
    numbers |= {"decisions of cheap arithmetic that differ": 0.0, "again in fp32": 0.0}
    for case in bench.cases:
        found = decide(bench.device, case, number)
        counts = found.images, found.guarded, found.cheap, found.again
        for name, count in zip(numbers, counts, strict=True):
            numbers[name] += count
    yield Step(
        name="guarded precision against float32",
        verdict=verdict_of(is_right=not numbers["decisions that differ"]),
        said=f"{len(bench.cases)} checkpoints of the embedded release",
        numbers=numbers,
    )


def _compare(found: Predictions, exact: Predictions, numbers: dict[str, float]) -> None:
    """Add what one checkpoint shows."""
    numbers["images"] += len(exact.labels)
    differing = found.classes[:, 0] != exact.classes[:, 0]
    numbers["first classes that differ"] += int(differing.sum())
    shift = float(np.abs(found.losses - exact.losses).max())
    top1 = abs(found.metrics().top1 - exact.metrics().top1)
    for name, value in ("of a loss", shift), ("of top-1", top1):
        key = f"largest shift {name}"
        numbers[key] = max(numbers[key], value)


def memory_that_runs_out(bench: Bench) -> Iterator[Step]:
    """A batch that does not fit is halved, and what never fits is one sentence."""
    pixels = bench.images(16).numpy()
    sizes: list[int] = []

    def hungry(batch: Tensor) -> Tensor:
        sizes.append(len(batch))
        found = batch.to(bench.device).float().flatten(1)
        # More than any device has, for more than four images.
        torch.empty(max(0, len(batch) - 4) << 50, device=bench.device)
        return found

    size = BatchSize(bench.device.type, 16)
    found = compute_features(hungry, pixels, size, bench.device)
    is_right = np.array_equal(found.cpu().numpy(), pixels.reshape(16, -1))
    yield Step(
        name="batches are halved until they fit",
        verdict=verdict_of(is_right=is_right and sizes == [16, 8, 4, 4, 4, 4]),
        said=f"batches of {', '.join(map(str, sizes))}",
    )
    said = ""
    try:
        with within_memory(bench.device, "a petabyte"):
            torch.empty(1 << 50, dtype=torch.uint8, device=bench.device)
    except EvaluationError as error:
        said = str(error)
    yield Step(
        name="what never fits is one sentence",
        verdict=verdict_of(is_right=said.startswith("a petabyte does not fit")),
        said=said,
    )


def accelerated_forward_passes(bench: Bench) -> Iterator[Step]:
    """Each accelerator stays within its limit; how much faster it is is measured."""
    # Compiling takes its time, however small a model is.
    for architecture in ARCHITECTURES[: 1 if bench.is_dry else 2]:
        for accelerator in ACCELERATORS:
            yield _accelerate(bench, architecture, accelerator.name)


def _accelerate(bench: Bench, architecture: str, name: str) -> Step:
    model = bench.model(architecture)
    images = normaliser(*IMAGENET, bench.device)(
        bench.images(4 if bench.is_dry else 64).to(bench.device)
    )
    with torch.inference_mode(), arithmetic("fp32", bench.device):
        plain = bench.seconds(lambda: model(images))
        faster = Accelerated(model, model, bench.device, [name])
        taken = bench.seconds(lambda: faster(images))
    (tried,) = faster.accelerations
    verdict = verdict_of(is_right=tried.used)
    if tried.reason.startswith(("it needs a CUDA", "the model has no conv")):
        verdict = "not here"
    numbers = {"part of the plain time": taken / plain}
    if tried.difference is not None:
        numbers["largest difference of a logit"] = tried.difference
    step = f"{name} on {'a small network' if bench.is_dry else architecture}"
    return Step(name=step, verdict=verdict, said=tried.reason, numbers=numbers)


PATHS: tuple[Tried, ...] = (
    normalised_pixels,
    equal_logits,
    rounding,
    precisions,
    guarded_decisions,
    memory_that_runs_out,
    accelerated_forward_passes,
    *WARM_CASES,
    failure,
    workers_of_xdist,
    diagnosis,
    benchmark_rows,
)
