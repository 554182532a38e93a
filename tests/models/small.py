"""Architectures of the libraries, small enough to be saved in fifty ways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import open_clip
import timm
import torch
import torchvision
from torch import Tensor, nn

State = dict[str, Tensor]


class Block(nn.Module):
    """Two convolutions and what they are added to."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(out + x)


class ResNetForCifar(nn.Module):
    """As those of 2015 for images of 32 pixels, but of one width."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.layer1 = nn.Sequential(Block(8), Block(8))
        self.linear = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        found = self.layer1(torch.relu(self.bn1(self.conv1(x))))
        logits: Tensor = self.linear(found.mean((2, 3)))
        return logits


def _clip() -> Any:
    vision = {"image_size": 32, "layers": 2, "width": 64, "patch_size": 16}
    text = {"context_length": 8, "vocab_size": 32, "width": 64, "heads": 1, "layers": 1}
    return open_clip.create_model(
        "ViT-B-32",
        load_weights=False,
        device=None,
        **{"embed_dim": 16, "vision_cfg": vision, "text_cfg": text},
    )


VIT = {"img_size": 32, "embed_dim": 24, "depth": 2, "num_heads": 2, "num_classes": 10}
SWIN = {"img_size": 56, "embed_dim": 12, "depths": [2, 2], "num_heads": [2, 2]}
BUILDERS: dict[str, Callable[[], nn.Module]] = {
    "cifar": ResNetForCifar,
    "resnet": lambda: timm.create_model("test_resnet", num_classes=10),
    "vit": lambda: timm.create_model("vit_tiny_patch16_224", **VIT),
    "deit": lambda: timm.create_model("deit_tiny_distilled_patch16_224", **VIT),
    "swin": lambda: timm.create_model("swin_tiny_patch4_window7_224", **SWIN),
    "torchvision vit": lambda: torchvision.models.VisionTransformer(
        image_size=32,
        patch_size=16,
        num_layers=2,
        num_heads=2,
        hidden_dim=24,
        mlp_dim=48,
    ),
    "densenet": lambda: torchvision.models.DenseNet(8, (2, 2), 16),
    "clip": _clip,
}


def built(name: str) -> nn.Module:
    """Build an architecture as its library does, with other weights than at first."""
    torch.manual_seed(0)
    model = BUILDERS[name]()
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.add_(0.1 * torch.rand_like(tensor))
    # torch multiplies in another order where a gradient is wanted.
    return model.eval().requires_grad_(False)


@torch.inference_mode()
def predictions(model: nn.Module) -> Tensor:
    """Compute what a model says of the same four images."""
    torch.manual_seed(1)
    side = 56 if "SwinTransformer" in type(model).__name__ else 32
    images = torch.randn(4, 3, side, side)
    if not hasattr(model, "encode_text"):
        logits: Tensor = model(images)
        return logits
    texts = torch.arange(24).reshape(3, 8)
    features = model(images, texts)
    scaled: Tensor = features[2] * features[0] @ features[1].T
    return scaled
