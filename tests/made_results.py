"""Results as a run would give them, made without a model."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from repro.claims.result import ClaimResult, ClaimVerdict, Finding
from repro.evaluation.predictions import Metrics, Predictions
from repro.judgement.verdict import ReferenceCheck, Verdict
from repro.records.identity import Environment
from repro.records.result import CaseResult, Measurement

ENVIRONMENT = Environment(
    packages={
        "pytest-repro": "0.1.0",
        "torch": "2.15.0",
        "torchvision": "0.29.0",
        "timm": "1.0.31",
        "open_clip_torch": "3.3.0",
    },
    python="3.13.1",
    system="Linux-6.1-x86_64",
    cpu="a processor",
    cores=8,
    decoder="Pillow 13.0.0; libjpeg-turbo 3.1.2",
    device="a graphics card",
    cuda="13.0",
    driver="580.1",
    commit="0123456789abcdef",
)


def predictions(
    images: int = 200, classes: int = 10, seed: int = 0, accuracy: float = 0.7
) -> Predictions:
    """Draw predictions of a whole dataset whose labels come in order."""
    rng = np.random.default_rng(seed)
    labels = np.sort(rng.integers(classes, size=images)).astype(np.int64)
    order = rng.random((images, classes)).argsort(axis=1)
    order[:, 0] = np.where(rng.random(images) < accuracy, labels, order[:, 0])
    top = np.stack([_distinct(row)[:5] for row in order]).astype(np.int32)
    return Predictions(
        indices=np.arange(images, dtype=np.int64),
        labels=labels,
        classes=top,
        losses=rng.exponential(size=images),
        total=images,
    )


def _distinct(row: np.ndarray) -> np.ndarray:
    return np.array(list(dict.fromkeys([*row.tolist(), *range(len(row))])))


def metrics(**fields: Any) -> Metrics:
    made = Metrics(images=50_000, top1=38_250, top5=46_500, loss_sum=40_005.0)
    return msgspec.structs.replace(made, **fields)


def measurement(measured: Metrics | None = None, **fields: Any) -> Measurement:
    measured = measured or metrics()
    made = Measurement(
        metrics=measured,
        total=measured.images,
        seconds=61.5,
        device="cuda:0",
        precision="fp32",
        weights="weights/real/1M.pt",
        weights_sha256="ab" * 32,
        dataset_fingerprint="cd" * 32,
        environment=ENVIRONMENT,
    )
    return msgspec.structs.replace(made, **fields)


def comparison(
    metric: str = "top1",
    published: str = "76.500",
    difference: float | None = 0.0,
    verdict: Verdict = Verdict.REPRODUCED,
    images: int = 50_000,
    **fields: Any,
) -> ReferenceCheck:
    is_loss = metric == "loss"
    tolerance = 0.001 * float(published) if is_loss else 0.0505
    measured = None if difference is None else float(published) + difference
    shift = None if is_loss or difference is None else difference * images / 100
    made = ReferenceCheck(
        metric=metric,
        published=published,
        measured=measured,
        difference=difference,
        difference_images=shift,
        tolerance=tolerance,
        tolerance_images=None if is_loss else tolerance * images / 100,
        tolerance_origin="25 of 50,000 images plus half a printed digit",
        source="table",
        source_title="Table 2 of the paper",
        source_url="https://example.org/paper",
        verdict=verdict,
    )
    return msgspec.structs.replace(made, **fields)


def result(
    checkpoint: str = "1M",
    verdict: Verdict = Verdict.REPRODUCED,
    *,
    difference: float = 0.0,
    family: str = "supervised/real",
    **fields: Any,
) -> CaseResult:
    """Make the result of a case with two published numbers, or of one not run."""
    ran = verdict not in (Verdict.NOT_RUN, Verdict.FAILED)
    number = 100 * float(checkpoint[:-1]) if checkpoint.endswith("M") else 0
    made = CaseResult(
        id=f"{family}/{checkpoint}@plain",
        release="made",
        family=family,
        checkpoint=checkpoint,
        training_images=round(number * 10_000),
        protocol="plain",
        geometry="rgb|resize(256,bilinear)|center_crop(224)",
        dataset="imagenet-val",
        kind="supervised",
        position=(0, round(number)),
        verdict=verdict,
        measurement=measurement() if ran else None,
        comparisons=(
            comparison(difference=difference if ran else None, verdict=verdict),
            comparison(
                "loss",
                "0.800000",
                difference=0.0001 if ran else None,
                verdict=Verdict.REPRODUCED if ran else verdict,
            ),
        ),
        reason="" if ran else "no weights: get them from their publisher",
    )
    return msgspec.structs.replace(made, **fields)


def made_claim(
    verdict: ClaimVerdict,
    expected: str = "holds",
    text: str = "Real images are better.",
) -> ClaimResult:
    """Give a claim with one number."""
    finding = Finding(
        subject="real better by",
        value=-0.00042,
        interval=(-0.00051, -0.00033),
        origin="images resampled",
        wanted="above 0",
        verdict=verdict,
    )
    return ClaimResult(
        id="order",
        release="made",
        kind="ordering",
        text=text,
        metric="loss",
        dataset="imagenet-val",
        protocol="plain",
        source="paper",
        source_title="a paper",
        source_url="https://example.org/paper",
        expected=expected,
        verdict=verdict,
        findings=(finding,),
    )
