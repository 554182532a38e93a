"""What a batch is on a GPU, by tensors of CUDA that have no values and need no GPU.

Torch refuses to mix those of two devices, and to say a value that would be waited for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    FakeTensorMode,
)

from repro.evaluation.classifier import Classifier, clip_forward
from repro.evaluation.evaluate import _score, has_float64
from repro.evaluation.precision import input_type
from repro.published import Precision, Protocol, TextSpec

pytestmark = pytest.mark.skipif(
    torch.version.cuda is None, reason="torch was built without CUDA"
)

GPU = torch.device("cuda", 0)
HALF = (0.5, 0.5, 0.5)
#: Of mixed precision torch asks the GPU itself.
PRECISIONS: tuple[Precision, ...] = ("fp32", "tf32", "fp16", "bf16")
PROTOCOL = Protocol(
    id="zero",
    geometry="rgb|center_crop(8)",
    mean=HALF,
    std=HALF,
    source="made",
    text=TextSpec(classnames=("a",), templates=("{}",)),
    logit_scale=100.0,
)


@pytest.fixture(autouse=True)
def without_values() -> Iterator[None]:
    has_float64.cache_clear()
    with FakeTensorMode():
        yield
    has_float64.cache_clear()


class Tower(nn.Module):
    """Encodes images as a model of CLIP does, on a GPU."""

    def __init__(self, precision: Precision) -> None:
        super().__init__()
        how: Any = {"device": GPU, "dtype": input_type(precision)}
        layers = nn.Conv2d(3, 4, 4, 4, **how), nn.GELU(), nn.Flatten()
        self.encode_image = nn.Sequential(*layers, nn.Linear(16, 12, **how))


def scored(classifier: Classifier) -> None:
    """Compute a batch, and what is kept of it: all of it is on the GPU."""
    pixels = torch.empty(6, 3, 8, 8, dtype=torch.uint8, device=GPU)
    labels = torch.zeros(6, dtype=torch.int64, device=GPU)
    with torch.inference_mode():
        logits = classifier(pixels)
        found = _score(logits, labels, with_margins=True)
    assert [(part.device, part.dtype, part.shape[0]) for part in found] == [
        (GPU, torch.int64, 6),
        (GPU, torch.float64, 6),
        (GPU, torch.float64, 6),
        (GPU, torch.float32, 6),
    ]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_batch_of_a_supervised_model_stays_on_the_gpu_and_waits_for_nothing(
    precision: Precision,
) -> None:
    forward, columns = Tower(precision).encode_image, range(1, 12, 2)
    scored(Classifier(forward, HALF, HALF, GPU, precision, columns))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_batch_of_a_model_of_clip_stays_on_the_gpu_and_waits_for_nothing(
    precision: Precision,
) -> None:
    text = torch.empty(7, 12, device=GPU)
    forward = clip_forward(Tower(precision), text, PROTOCOL, precision)
    scored(Classifier(forward, HALF, HALF, GPU, precision))


def test_a_model_that_asks_for_a_value_would_be_noticed() -> None:
    def asking(images: Tensor) -> Tensor:
        return images.flatten(1) * images.amax().item()

    with pytest.raises(DataDependentOutputException):
        scored(Classifier(asking, HALF, HALF, GPU))
