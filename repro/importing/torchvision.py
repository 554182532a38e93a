"""torchvision's accuracies: every weights entry of the installed package says its own.

Digits are those of torchvision's documentation, which prints the same floats: a zero
that ends a number is not printed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from repro.importing.preprocessing import torchvision_preprocessing
from repro.importing.rows import Row, Table

_PRECISION_NOTE = (
    "float32: evaluate() of the reference script has no autocast, https://github.com/"
    "pytorch/vision/blob/017e9b99b5daddec3d82d5b05fe26f6834c48fa9/references/"
    "classification/train.py"
)
_METRICS: dict[str, str] = {"top1": "acc@1", "top5": "acc@5"}


def torchvision_table() -> Table:
    """Read all classification entries of the installed torchvision."""
    import torchvision

    version = torchvision.__version__.partition("+")[0]
    return Table(
        library="torchvision",
        version=version,
        title="Models and pre-trained weights of torchvision",
        code="https://github.com/pytorch/vision",
        source=f"torchvision {version}, the entries of torchvision.models",
        url=f"https://github.com/pytorch/vision/tree/v{version}/torchvision/models",
        kind="supervised",
        rows=tuple(_rows()),
        precision="fp32",
        precision_note=_PRECISION_NOTE,
        protocol_note="transforms() of the weights entry",
    )


def _rows() -> Iterator[Row]:
    from torchvision import models

    for architecture in models.list_models(module=models):
        for entry in models.get_model_weights(architecture):
            measured = entry.meta["_metrics"]["ImageNet-1K"]
            yield Row(
                checkpoint=f"{architecture}.{entry.name}",
                preprocessing=torchvision_preprocessing(entry.transforms()),
                numbers={
                    metric: str(measured[key])
                    for metric, key in _METRICS.items()
                    # Weights for features alone have no accuracy.
                    if math.isfinite(measured[key])
                },
                gflops=entry.meta["_ops"],
                file=entry.url,
            )
