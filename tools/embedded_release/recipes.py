"""What the embedded release consists of: families, models, protocols, prompts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import open_clip
import timm
from torchvision import transforms
from torchvision.transforms import InterpolationMode

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

Loader: TypeAlias = Literal["timm", "open_clip"]
Pool: TypeAlias = Literal["real", "synthetic"]

CLASS_NAMES = (
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
)
TEMPLATES = (
    "a photo of the digit {}.",
    "a photo of a {}.",
    "the number {} on paper.",
    "a {} in blue ink.",
    "the digit {}.",
    "a small {}.",
)

VIT_ARCHITECTURE = "vit_tiny_patch16_224"
VIT_OPTIONS: dict[str, int] = {
    "img_size": 28,
    "patch_size": 7,
    "embed_dim": 48,
    "depth": 3,
    "num_heads": 4,
    "mlp_ratio": 2,
    "num_classes": 10,
}

CONTEXT_LENGTH = 32
CLIP_CONFIG: dict[str, Any] = {
    "embed_dim": 32,
    "quick_gelu": True,
    "vision_cfg": {
        "image_size": 28,
        "patch_size": 7,
        "width": 48,
        "head_width": 12,
        "layers": 3,
        "mlp_ratio": 2.0,
    },
    "text_cfg": {
        "context_length": CONTEXT_LENGTH,
        # 256 bytes, 256 bytes that end a word, start and end of the text.
        "vocab_size": 514,
        "width": 24,
        "heads": 2,
        "layers": 1,
        "mlp_ratio": 2.0,
    },
}


@dataclass(frozen=True)
class Protocol:
    """How the published values are measured: pixels, then mean and deviation."""

    name: str
    geometry: str
    short_side: int
    interpolation: InterpolationMode
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    crop: int = 28

    def pixels(self) -> transforms.Compose:
        """Give the geometry alone: an RGB photograph to a PIL image of 28 x 28."""
        return transforms.Compose(
            [
                transforms.Resize(self.short_side, self.interpolation),
                transforms.CenterCrop(self.crop),
            ]
        )

    def transform(self) -> transforms.Compose:
        """Give the whole preprocessing: a photograph to a tensor `[3, 28, 28]`."""
        return transforms.Compose(
            [
                self.pixels(),
                transforms.ToTensor(),
                transforms.Normalize(self.mean, self.std),
            ]
        )


SUPERVISED = Protocol(
    name="digits-supervised",
    geometry="rgb|resize(32,bilinear)|center_crop(28)",
    short_side=32,
    interpolation=InterpolationMode.BILINEAR,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
)
CLIP = Protocol(
    name="digits-clip",
    geometry="rgb|resize(28,bicubic)|center_crop(28)",
    short_side=28,
    interpolation=InterpolationMode.BICUBIC,
    mean=(0.48145466, 0.4578275, 0.40821073),
    std=(0.26862954, 0.26130258, 0.27577711),
)
PROTOCOLS: dict[Loader, Protocol] = {"timm": SUPERVISED, "open_clip": CLIP}


@dataclass(frozen=True)
class Family:
    """Checkpoints of one recipe; `sizes` are numbers of training images."""

    name: str
    loader: Loader
    pools: tuple[Pool, ...]
    sizes: tuple[int, ...]
    training_data: str
    note: str

    @property
    def protocol(self) -> Protocol:
        """The protocol that this family is measured with."""
        return PROTOCOLS[self.loader]


REAL_SIZES = (40, 80, 160, 320, 640, 1280)
SYNTHETIC_SIZES = (40, 160, 640, 2560, 10240, 40960)
HANDWRITTEN = "handwritten digits (UCI, CC BY 4.0)"
DRAWN = "digits drawn from fonts with random distortion"

FAMILIES = (
    Family(
        name="supervised/real",
        loader="timm",
        pools=("real",),
        sizes=REAL_SIZES,
        training_data=HANDWRITTEN,
        note="A checkpoint's name is the number of its training images.",
    ),
    Family(
        name="supervised/synthetic",
        loader="timm",
        pools=("synthetic",),
        sizes=SYNTHETIC_SIZES,
        training_data=DRAWN,
        note="A checkpoint's name is the number of its training images.",
    ),
    Family(
        name="clip/real",
        loader="open_clip",
        pools=("real",),
        sizes=REAL_SIZES,
        training_data=HANDWRITTEN,
        note="A checkpoint's name is the number of its training images.",
    ),
    Family(
        name="clip/synthetic",
        loader="open_clip",
        pools=("synthetic",),
        sizes=SYNTHETIC_SIZES,
        training_data=DRAWN,
        note="A checkpoint's name is the number of its training images.",
    ),
    Family(
        name="clip/synthetic+real",
        loader="open_clip",
        pools=("synthetic", "real"),
        sizes=tuple(2 * size for size in REAL_SIZES),
        training_data=f"{HANDWRITTEN} and as many {DRAWN}",
        note=(
            "A checkpoint's name is the number of its training images, half of them "
            "real and half synthetic."
        ),
    ),
)


def build_model(loader: Loader) -> nn.Module:
    """Build a family's model with random weights."""
    model: nn.Module
    if loader == "timm":
        model = timm.create_model(VIT_ARCHITECTURE, pretrained=False, **VIT_OPTIONS)
    else:
        model = open_clip.CLIP(**CLIP_CONFIG)
    return model


def build_tokenizer(merges: Path) -> open_clip.SimpleTokenizer:
    """Build the tokenizer that spells prompts byte by byte."""
    return open_clip.SimpleTokenizer(
        bpe_path=str(merges), context_length=CONTEXT_LENGTH
    )


def clip_config_text() -> str:
    """Write the CLIP model's configuration as open_clip reads it."""
    return json.dumps(CLIP_CONFIG, indent=4) + "\n"
