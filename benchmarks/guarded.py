"""Guarded precision: what it costs, and whether it decides as float32 does."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import timm
import torch
import torchvision
from torch import nn

from benchmarks.pictures import photographs, ten_crops, varied
from benchmarks.precision import fit_head
from benchmarks.row import Goal, Row
from benchmarks.setting import Setting
from benchmarks.timing import Spread, compare, seconds, spread
from repro.cases import Case, list_cases
from repro.data.geometry import Pixels
from repro.engine.evaluator import Evaluator
from repro.engine.guarding import CHEAP, Both, Images, evaluate_guarded
from repro.engine.settings import EngineSettings
from repro.engine.sources import Stores
from repro.evaluation.acceleration import AUTO
from repro.evaluation.batching import BatchSize, wait_for
from repro.evaluation.classifier import Classifier
from repro.evaluation.evaluate import evaluate
from repro.evaluation.predictions import Predictions
from repro.published import EMBEDDED, METRICS, read_releases

#: Images of each checkpoint, and of the one that stands for a case of ImageNet's size.
IMAGES, IMAGENET, SEEN = 10_000, 50_000, "clip/real/640@"
#: Architectures with random weights, by the library that builds them.
FULL_SIZE = {
    "vit_tiny_patch16_224": timm.create_model,
    "mobilenet_v2": torchvision.models.get_model,
    "resnet50": torchvision.models.get_model,
    "vit_base_patch16_224": timm.create_model,
}
#: Photographs that each decides about, in ten crops.
PHOTOGRAPHS = 100
_HALF = (0.5, 0.5, 0.5)


class Decided(NamedTuple):
    """How many decisions differ from float32's, of guarded and of cheap arithmetic."""

    images: int
    guarded: int
    cheap: int
    again: int


def embedded_decisions(setting: Setting) -> list[Row]:
    """Count the decisions that differ, of every checkpoint of the embedded release."""
    cases = list_cases(read_releases([EMBEDDED]))
    chosen = cases[:: 10 if setting.is_quick else 1]
    found = [decide(setting.device, case, IMAGES) for case in chosen]
    images, guarded, cheap, again = map(sum, zip(*found, strict=True))
    return [
        Row(
            id="guarded-embedded",
            what="decisions of guarded precision that differ from fp32, "
            f"{len(chosen)} embedded checkpoints, {IMAGES:,} images each",
            unit="number",
            value=spread([guarded]),
            goal=Goal(0),
            parts={
                "images": images,
                "decisions of cheap arithmetic that differ": cheap,
                "part of the images again in fp32": again / images,
            },
        )
    ]


def decide(device: torch.device, case: Case, number: int) -> Decided:
    """Let an embedded checkpoint decide about many images, moved and noisy ones.

    Losses are left out: those of the release would need most images in float32.
    """
    settings = EngineSettings(device=str(device))
    engine, stores = Evaluator(settings, [case]), Stores(settings, [case], 1)
    dataset = engine.dataset(case)
    pixels = partial(stores.pixels, dataset, case)
    images = varied(Images(dataset, range(len(dataset.strata)), pixels), number)
    return decided(_both(engine.classifier(case), 64), images)[0]


def decided(both: Both, images: Images) -> tuple[Decided, dict[str, float]]:
    """Let a model decide in all three ways; give how long two took of float32."""
    found: list[Predictions] = []
    again = images.number

    def guard() -> None:
        nonlocal again
        predictions, report = evaluate_guarded(both, (), images)
        found.append(predictions)
        again = images.number if report.reason else report.recomputed

    ways: list[Callable[[], None]] = [
        lambda: found.append(_plain(both.exact, images)),
        lambda: found.append(_plain(both.cheap, images)),
        guard,
    ]
    exactly, cheaply, guarded = map(seconds, ways)
    exact, cheap, ours = found
    differing = _differing(ours, exact), _differing(cheap, exact)
    return Decided(images.number, *differing, again), {
        f"{both.cheap.precision} alone / fp32": cheaply / exactly,
        "guarded / fp32": guarded / exactly,
    }


def guarded_case(setting: Setting) -> list[Row]:
    """Say what guarded precision takes of a plain case of ImageNet's size.

    That is mixed precision alone, timed with a model of full size, and the part of as
    many images that a checkpoint computes again, counted with a small one.
    """
    torch.manual_seed(0)
    model = timm.create_model("vit_base_patch16_224").eval()
    model.requires_grad_(requires_grad=False).to(setting.device)
    classifier = Classifier(model, _HALF, _HALF, setting.device)
    classifier.accelerate(model, [AUTO])
    both = _both(classifier, 0)
    number = 16 if setting.device.type == "cpu" else 256
    batch = torch.randint(0, 256, (number, 3, 224, 224), dtype=torch.uint8)

    def work(classifier: Classifier) -> None:
        classifier(batch)
        wait_for(setting.device)

    work(both.cheap)
    ways = partial(work, both.cheap), partial(work, both.exact)
    found = compare(*ways, max(3, setting.repetitions))
    (case,) = (
        c for c in list_cases(read_releases([EMBEDDED])) if c.id.startswith(SEEN)
    )
    counted = decide(setting.device, case, IMAGENET)
    again = counted.again / counted.images
    return [
        Row(
            id="guarded-vit-b16",
            what=f"guarded / plain case, ViT-B/16, {IMAGENET:,} images (of parts)",
            unit="ratio",
            value=Spread(
                again + found.ratio.median,
                again + found.ratio.low,
                again + found.ratio.high,
            ),
            goal=Goal(0.45 if setting.device.type == "cpu" else 0.4),
            parts={
                f"{both.cheap.precision} alone / fp32": found.ratio.median,
                "part of the images again in fp32": again,
                "decisions that differ": counted.guarded,
                "decisions of cheap arithmetic that differ": counted.cheap,
            },
        )
    ]


def full_size_decisions(setting: Setting) -> list[Row]:
    """Count the decisions that differ, of models of full size with random weights.

    Counted is on ten crops of each photograph, which their last layer is fitted to.
    Each way is timed once, as a whole case with pixels in memory.
    """
    seen = photographs(setting.photographs, PHOTOGRAPHS)
    chosen = list(FULL_SIZE)[: 1 if setting.is_quick else None]
    return [_full_size(setting, architecture, seen) for architecture in chosen]


def _full_size(setting: Setting, architecture: str, seen: Pixels) -> Row:
    model = stand_in(architecture, len(seen)).to(setting.device)
    classifier = Classifier(model, _HALF, _HALF, setting.device)
    classifier.accelerate(model, [AUTO])
    images = ten_crops(seen)
    fit_to(classifier, model, images)
    found, taken = decided(_both(classifier, 16), images)
    return Row(
        id=f"guarded-{architecture}",
        what="decisions of guarded precision that differ from fp32, "
        f"{architecture} with random weights, {found.images:,} crops of photographs",
        unit="number",
        value=spread([found.guarded]),
        goal=Goal(0),
        parts={
            "decisions of cheap arithmetic that differ": found.cheap,
            "part of the images again in fp32": found.again / found.images,
            **taken,
        },
    )


def stand_in(architecture: str, classes: int) -> nn.Module:
    """Build a model with random weights."""
    torch.manual_seed(0)
    model: nn.Module = FULL_SIZE[architecture](architecture, num_classes=classes)
    return model.eval().requires_grad_(requires_grad=False)


def fit_to(classifier: Classifier, model: nn.Module, images: Images) -> None:
    """Let a model tell images, those of every fourth class wrong.

    Features are normalised first by what some of them show: with the statistics that a
    new network has, those of a deep one would be as large as no trained one's.
    """
    parts = list(images.pixels(images.numbers))
    batches = [torch.from_numpy(np.array(pixels)) for _, pixels in parts]
    norms = [part for part in model.modules() if isinstance(part, nn.BatchNorm2d)]
    for norm in norms:
        # One batch says all.
        norm.momentum = 1.0
        norm.train()
    if norms:
        with torch.inference_mode():
            model(classifier.normalise(batches[0]))
    model.eval()
    members = [images.dataset.strata[stratum] for stratum, _ in parts]
    labels = torch.from_numpy(images.dataset.labels[np.concatenate(members)])
    fit_head(model, map(classifier.normalise, batches), labels.to(classifier.device))


def _both(exact: Classifier, size: int) -> Both:
    kind = exact.device.type
    cheap = exact.computed_in(CHEAP[kind])
    return Both(cheap, exact, BatchSize(kind, size), BatchSize(kind, size))


def _plain(classifier: Classifier, images: Images) -> Predictions:
    return evaluate(
        classifier,
        images.dataset,
        images.pixels(images.numbers),
        batch_size=BatchSize(classifier.device.type, 64),
        device=classifier.device,
    )


def _differing(found: Predictions, exact: Predictions) -> int:
    """Count the decisions that differ: of the first class, and of the first five."""
    each = (METRICS[name].each for name in ("top1", "top5"))
    return sum(int((one(found) != one(exact)).sum()) for one in each)


MEASUREMENTS: list[Callable[[Setting], list[Row]]] = [
    embedded_decisions,
    full_size_decisions,
    guarded_case,
]
