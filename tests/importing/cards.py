"""Model cards of the Hub, and configurations as libraries write them."""

from __future__ import annotations

from typing import Any

#: As timm writes it today, and as it did in 2022.
TIMM = {
    "architecture": "resnet18",
    "num_classes": 1000,
    "pretrained_cfg": {
        "tag": "mine_in1k",
        "input_size": [3, 224, 224],
        "test_input_size": [3, 288, 288],
        "interpolation": "bicubic",
        "crop_pct": 0.95,
        "test_crop_pct": 1.0,
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
    },
}


OLD_TIMM = {
    "architecture": "resnet18",
    "num_classes": 1000,
    "input_size": [3, 224, 224],
    "crop_pct": 0.875,
    "interpolation": "bilinear",
    "mean": [0.5, 0.5, 0.5],
    "std": [0.5, 0.5, 0.5],
}


OPEN_CLIP = {
    "model_cfg": {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
        "text_cfg": {
            "context_length": 77,
            "vocab_size": 49408,
            "width": 64,
            "heads": 1,
            "layers": 1,
        },
    },
    "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
}


IMAGENET = {"name": "ImageNet-1k", "type": "imagenet-1k"}


TOP1 = ("accuracy", "Top 1 Accuracy", "79.10")


def entry(
    *metrics: tuple[str, str, Any],
    dataset: dict[str, Any] | None = None,
    task: str = "image-classification",
    **others: Any,
) -> dict[str, Any]:
    return {
        "task": {"type": task, "name": "a task"},
        "dataset": dataset or IMAGENET,
        "metrics": [
            {"type": type_, "value": value} | ({"name": name} if name else {})
            for type_, name, value in metrics
        ],
        **others,
    }


def index(*entries: dict[str, Any], name: str = "a-resnet") -> dict[str, Any]:
    return {"name": name, "results": list(entries)}
