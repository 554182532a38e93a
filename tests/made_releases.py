"""Releases of a few families, made without a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from repro.published import (
    DatasetSpec,
    Family,
    ModelSpec,
    Protocol,
    Reference,
    Release,
    Source,
    printed,
)

MODELS = {"small": 1.0, "large": 10.0}


def protocol(name: str, size: int = 224) -> Protocol:
    return Protocol(
        id=name,
        geometry=f"rgb|center_crop({size})",
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        source="paper",
    )


def dataset(name: str, images: int) -> DatasetSpec:
    return DatasetSpec(
        id=name, title=name, folder=name, classes=("a", "b"), images=images
    )


def family(
    name: str,
    model: str = "small",
    protocols: Sequence[str] = ("plain",),
    datasets: Sequence[str] = ("val",),
) -> Family:
    return Family(
        id=name,
        model=model,
        training_data="photographs",
        protocols=tuple(protocols),
        datasets=tuple(datasets),
    )


def reference(
    families: str | tuple[str, ...],
    checkpoint: str = "1M",
    dataset: str = "val",
    protocol: str = "plain",
    metric: str = "top1",
) -> Reference:
    return Reference(
        metric=metric,
        published=printed("50.0"),
        families=(families,) if isinstance(families, str) else families,
        checkpoint=checkpoint,
        dataset=dataset,
        protocol=protocol,
        source="paper",
    )


def release(
    families: Sequence[Family],
    references: Sequence[Reference] = (),
    *,
    name: str = "tiny",
    location: Path = Path(),
    checkpoints: str = "",
) -> Release:
    return Release(
        id=name,
        title=name,
        location=location,
        default_dataset="val",
        sources={"paper": Source(id="paper", title="Paper", url="https://x.org")},
        datasets={"val": dataset("val", 100), "extra": dataset("extra", 50)},
        protocols={"plain": protocol("plain"), "other": protocol("other", 320)},
        models={
            model: ModelSpec(id=model, loader="timm", architecture="x", gflops=cost)
            for model, cost in MODELS.items()
        },
        families={family.id: family for family in families},
        references=tuple(references),
        checkpoints=checkpoints,
    )
