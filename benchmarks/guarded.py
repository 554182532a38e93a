"""Guarded precision: what it costs, and whether it decides as float32 does."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import timm
import torch

from benchmarks.pictures import in_memory, varied
from benchmarks.precision import fit_head
from benchmarks.row import Goal, Row
from benchmarks.setting import Setting
from benchmarks.timing import seconds, spread
from repro.cases import Case, list_cases
from repro.engine.evaluator import Evaluator
from repro.engine.guarding import CHEAP, Both, Images, evaluate_guarded
from repro.engine.settings import EngineSettings
from repro.engine.stores import Stores
from repro.evaluation.batching import BatchSize
from repro.evaluation.classifier import Classifier
from repro.evaluation.evaluate import evaluate
from repro.evaluation.predictions import Predictions
from repro.published import EMBEDDED, METRICS, read_releases

#: Images of each checkpoint; classes of the stand-in, and how many fit its head.
IMAGES, CLASSES, FITTED = 10_000, 48, 960
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
    both = _both(engine.classifier(case), 64)
    exact, cheap = (_plain(one, images) for one in (both.exact, both.cheap))
    found, report = evaluate_guarded(both, (), images)
    again = number if report.reason else report.recomputed
    return Decided(number, _differing(found, exact), _differing(cheap, exact), again)


def guarded_stand_in(setting: Setting) -> list[Row]:
    """Time guarded precision against plain float32, of a model of full size."""
    number = IMAGES // 2 if setting.is_quick else IMAGES
    images, classifier = _stand_in(setting.device, number)
    both = _both(classifier, 16 if setting.device.type == "cpu" else 256)
    found: list[Predictions] = []
    both.exact(torch.zeros(16, 3, 224, 224, dtype=torch.uint8))
    plain = seconds(lambda: found.append(_plain(both.exact, images)))
    mixed = seconds(lambda: found.append(_plain(both.cheap, images)))
    reports = []
    taken = seconds(lambda: reports.append(evaluate_guarded(both, (), images)))
    ((guarded, report),) = reports
    exact, cheap = found
    return [
        Row(
            id="guarded-vit-ti16",
            what=f"guarded / plain warm case, ViT-Ti/16, {number:,} images",
            unit="ratio",
            value=spread([taken / plain]),
            goal=Goal(0.45 if setting.device.type == "cpu" else 0.4),
            parts={
                f"{both.cheap.precision} alone / plain": mixed / plain,
                "part of the images again in fp32": report.recomputed / number,
                "decisions that differ": _differing(guarded, exact),
                "decisions of cheap arithmetic that differ": _differing(cheap, exact),
                "right in fp32, percent": exact.metrics().percent("top1"),
            },
        )
    ]


def _stand_in(device: torch.device, number: int) -> tuple[Images, Classifier]:
    """Draw images of classes that a ViT-Ti/16 tells apart, mostly.

    Its weights are random, its head is fitted; an image is what its class has in
    common, and more that it has not.
    """
    random = np.random.default_rng(0)
    common = random.normal(0, 24, (CLASSES, 3, 14, 14))
    labels = np.arange(number) % CLASSES
    pixels = np.empty((number, 3, 224, 224), dtype=np.uint8)
    for image, label in enumerate(labels):
        shades = 128 + common[label] + random.normal(0, 24, common[label].shape)
        large = shades.repeat(16, 1).repeat(16, 2)
        pixels[image] = (large + random.normal(0, 8, large.shape[1:])).clip(0, 255)
    torch.manual_seed(0)
    model = timm.create_model("vit_tiny_patch16_224", num_classes=CLASSES).eval()
    model.requires_grad_(requires_grad=False).to(device)
    classifier = Classifier(model, _HALF, _HALF, device)
    some = classifier.normalise(torch.from_numpy(pixels[:FITTED]))
    fit_head(model, some, torch.from_numpy(labels[:FITTED]).to(device))
    return in_memory(pixels, labels, CLASSES), classifier


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
    guarded_stand_in,
]
