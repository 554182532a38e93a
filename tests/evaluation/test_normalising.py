"""Pixels become what torchvision makes of them, to the last bit, on every device."""

from __future__ import annotations

import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision import transforms

from repro.evaluation.classifier import normaliser, table_of

CPU = torch.device("cpu")
STATISTICS = {
    "ImageNet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "halves": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "CLIP": (
        (0.48145466, 0.4578275, 0.40821073),
        (0.26862954, 0.26130258, 0.27577711),
    ),
    "none": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}


@pytest.fixture(scope="module")
def levels() -> Tensor:
    """All 256 levels, in another order in each channel: `[1, 3, 16, 16]`."""
    one = torch.arange(256, dtype=torch.uint8)
    return torch.stack([one, one.flip(0), one.roll(77)]).view(1, 3, 16, 16)


def wanted(levels: Tensor, name: str) -> Tensor:
    mean, std = STATISTICS[name]
    image = Image.fromarray(levels[0].permute(1, 2, 0).numpy())
    steps = [transforms.ToTensor(), transforms.Normalize(mean, std)]
    found: Tensor = transforms.Compose(steps)(image)
    return found[None]


@pytest.mark.parametrize("name", STATISTICS)
def test_a_processor_computes_what_torchvision_does(levels: Tensor, name: str) -> None:
    found = normaliser(*STATISTICS[name], CPU)(levels)
    assert torch.equal(found, wanted(levels, name))


@pytest.mark.parametrize("name", STATISTICS)
def test_a_table_has_what_a_processor_computes(levels: Tensor, name: str) -> None:
    mean, std = STATISTICS[name]
    look_up = table_of(normaliser(mean, std, CPU), 3, CPU)
    assert torch.equal(look_up(levels), wanted(levels, name))
    batch = levels.flip(2).expand(5, 3, 16, 16)
    assert torch.equal(look_up(batch), normaliser(mean, std, CPU)(batch))


def test_what_is_no_processor_looks_pixels_up(levels: Tensor) -> None:
    meta = torch.device("meta")
    found = normaliser(*STATISTICS["halves"], meta)(levels.to(meta))
    assert (found.device, found.dtype) == (meta, torch.float32)
    assert found.shape == levels.shape


def test_the_reciprocal_that_cuda_takes_would_be_something_else(levels: Tensor) -> None:
    found = levels.to(torch.float32).mul_(torch.tensor(1 / 255))
    differing = found != wanted(levels, "none")
    assert differing.sum() == 3 * 126


@pytest.mark.gpu
@pytest.mark.parametrize("name", STATISTICS)
def test_a_gpu_has_the_same_bits(levels: Tensor, name: str) -> None:
    device = torch.device("cuda")
    found = normaliser(*STATISTICS[name], device)(levels.to(device))
    assert torch.equal(found.cpu(), wanted(levels, name))
