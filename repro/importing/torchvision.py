"""torchvision's accuracies: every weights entry of the installed package says its own.

Digits are those of torchvision's documentation, which prints the same floats: a zero
that ends a number is not printed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from repro.importing.preprocessing import torchvision_preprocessing
from repro.importing.tables import Row, Table, unknown_checkpoint

_PRECISION_NOTE = (
    "float32: evaluate() of the reference script has no autocast, https://github.com/"
    "pytorch/vision/blob/017e9b99b5daddec3d82d5b05fe26f6834c48fa9/references/"
    "classification/train.py"
)
_METRICS: dict[str, str] = {"top1": "acc@1", "top5": "acc@5"}


def torchvision_table() -> Table:
    """Read all classification entries of the installed torchvision."""
    from torchvision import models

    return _table(
        _row(architecture, entry)
        for architecture in models.list_models(module=models)
        for entry in models.get_model_weights(architecture)
    )


def torchvision_checkpoint(name: str) -> Table:
    """Read one entry, such as `mobilenet_v2.IMAGENET1K_V1`, or the default one.

    Raises:
        ExpectedError: the installed torchvision has none of that name.
    """
    import torchvision
    from torchvision import models

    architecture, _, wanted = name.partition(".")
    owner = f"torchvision {torchvision.__version__}"
    if architecture not in (known := models.list_models(module=models)):
        raise unknown_checkpoint(owner, architecture, known)
    entries = models.get_model_weights(architecture)
    if wanted and wanted not in entries.__members__:
        raise unknown_checkpoint(
            owner, name, [f"{architecture}.{entry.name}" for entry in entries]
        )
    return _table([_row(architecture, entries[wanted or "DEFAULT"])])


def _table(rows: Iterable[Row]) -> Table:
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
        rows=tuple(rows),
        precision="fp32",
        precision_note=_PRECISION_NOTE,
        protocol_note="transforms() of the weights entry",
    )


def _row(architecture: str, entry: Any) -> Row:
    measured = entry.meta["_metrics"]["ImageNet-1K"]
    return Row(
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
