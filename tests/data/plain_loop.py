"""What a script of twenty lines predicts: Pillow, and a linear map of the pixels."""

from __future__ import annotations

import io
from collections.abc import Mapping

import torch
from PIL import Image
from torch import Tensor

from repro.data.dataset import Dataset
from repro.data.listing import digest_of
from repro.data.pixels import stream
from repro.evaluation.batching import BatchSize
from repro.evaluation.evaluate import evaluate
from repro.published import parse_geometry

GEOMETRY = parse_geometry("rgb|resize(16,bilinear)|center_crop(16)")


def logits(pixels: Tensor, classes: int) -> Tensor:
    """Map uint8 `[N, 3, 16, 16]` to logits, the same ones everywhere."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(3 * 16 * 16, classes, generator=generator)
    return (pixels.float() / 255 - 0.5).flatten(1) @ weights


def loop(images: Mapping[str, bytes], classes: tuple[str, ...]) -> dict[str, list[int]]:
    """Predict images `<class>/<image>`: label and prediction by digest."""
    found = {}
    for name, content in images.items():
        image = Image.open(io.BytesIO(content)).convert("RGB")
        width, height = image.size
        short = min(width, height)
        size = int(16 * width / short), int(16 * height / short)
        image = image.resize(size, Image.Resampling.BILINEAR)
        left, top = round((size[0] - 16) / 2), round((size[1] - 16) / 2)
        image = image.crop((left, top, left + 16, top + 16))
        data = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
        pixels = data.reshape(1, 16, 16, 3).permute(0, 3, 1, 2)
        label = classes.index(name.partition("/")[0])
        predicted = int(logits(pixels, len(classes)).argmax())
        found[digest_of(content)] = [label, predicted]
    return found


def predicted(dataset: Dataset) -> dict[str, list[int]]:
    """Predict a dataset as it is evaluated: label and prediction by digest."""
    classes = len(dataset.classes)
    predictions = evaluate(
        lambda pixels: logits(pixels, classes),
        dataset,
        stream(dataset, GEOMETRY, range(len(dataset.strata))),
        batch_size=BatchSize("cpu", 4),
        device=torch.device("cpu"),
    )
    rows = zip(
        predictions.indices.tolist(),
        predictions.labels.tolist(),
        predictions.classes[:, 0].tolist(),
        strict=True,
    )
    return {dataset.digests[index]: [label, class_] for index, label, class_ in rows}
