"""The faults that are planted: what the plain pipeline does otherwise."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import torch

#: Ways in which the release itself is made wrong; see `planting`.
Twist = Literal[
    "", "classes reversed", "folders renamed", "background first", "two weights"
]

IMAGENET: dict[str, Any] = {
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
}
OPENAI: dict[str, Any] = {
    "mean": (0.48145466, 0.4578275, 0.40821073),
    "std": (0.26862954, 0.26130258, 0.27577711),
}
HALF: dict[str, Any] = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
NONE: dict[str, Any] = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}


@dataclass(frozen=True)
class Fault:
    """A fault, and which suspect it is.

    `plain` replaces fields of the plain pipeline, `twist` is what is wrong with the
    release where the pipeline is right.
    """

    topic: str
    suspect: str
    checkpoint: str
    plain: dict[str, Any] = field(default_factory=dict)
    twist: Twist = ""


#: Faults are planted in one of these two, but those that move its loss by less than
#: half a percent where they move it most: digits hardly feel an activation or prompts.
SUPERVISED = "supervised/real/320"
CLIP = "clip/real/640"

FAULTS: tuple[Fault, ...] = (
    Fault("normalisation", "ImageNet mean/std", SUPERVISED, IMAGENET),
    Fault("normalisation", "OpenAI's mean/std", SUPERVISED, OPENAI),
    Fault("normalisation", "no normalisation", SUPERVISED, NONE),
    Fault("normalisation", "mean/std of 0.5", CLIP, HALF),
    Fault("normalisation", "ImageNet mean/std", CLIP, IMAGENET),
    Fault(
        "interpolation",
        "bicubic interpolation",
        SUPERVISED,
        {"interpolation": "bicubic"},
    ),
    Fault(
        "interpolation",
        "nearest interpolation",
        SUPERVISED,
        {"interpolation": "nearest"},
    ),
    Fault(
        "interpolation", "bilinear interpolation", CLIP, {"interpolation": "bilinear"}
    ),
    Fault(
        "interpolation",
        "bilinear interpolation without antialias",
        SUPERVISED,
        {"antialias": False},
    ),
    Fault(
        "interpolation",
        "bicubic interpolation without antialias",
        CLIP,
        {"antialias": False},
    ),
    Fault(
        "resize and crop", "a crop of 0.9 of the short side", SUPERVISED, {"resize": 31}
    ),
    Fault(
        "resize and crop", "a crop of 1 of the short side", SUPERVISED, {"resize": 28}
    ),
    Fault("resize and crop", "a crop of 0.875 of the short side", CLIP, {"resize": 32}),
    Fault(
        "resize and crop",
        "the whole image squashed to a square",
        SUPERVISED,
        {"resize": (28, 28)},
    ),
    Fault("colour channels", "channels in the order BGR", SUPERVISED, {"bgr": True}),
    Fault("colour channels", "channels in the order BGR", CLIP, {"bgr": True}),
    Fault("activation", "GELU", "clip/synthetic+real/2560", {"activation": "gelu"}),
    Fault(
        "prompts",
        'the single prompt "a photo of a {}."',
        "clip/synthetic/10240",
        {"templates": ("a photo of a {}.",)},
    ),
    Fault("prompts", "the bare class names as prompts", CLIP, {"templates": ("{}",)}),
    Fault(
        "prompts",
        "the first prompt alone",
        "clip/synthetic+real/1280",
        {"templates": ("a photo of the digit {}.",)},
    ),
    Fault(
        "prompts",
        "the names of folders as class names",
        CLIP,
        {"names": tuple("0123456789")},
    ),
    Fault(
        "prompts",
        "prompts without the full stop",
        CLIP,
        {
            "templates": (
                "a photo of the digit {}",
                "a photo of a {}",
                "the number {} on paper",
                "a {} in blue ink",
                "the digit {}",
                "a small {}",
            )
        },
    ),
    Fault("normalisation", "the same normalisation twice", SUPERVISED, {"twice": True}),
    Fault(
        "normalisation",
        "the same normalisation of pixels from 0 to 255",
        CLIP,
        {"unscaled": True},
    ),
    Fault("interpolation", "a resize by area", SUPERVISED, {"area": True}),
    *(
        Fault(
            "resize and crop",
            "a crop of 0.875 of both sides before the resize",
            checkpoint,
            {"crop_first": 0.875},
        )
        for checkpoint in (SUPERVISED, CLIP)
    ),
    *(
        Fault(
            "views",
            "logits averaged with those of the mirrored image",
            checkpoint,
            {"flips": True},
        )
        for checkpoint in (SUPERVISED, CLIP)
    ),
    Fault("views", "logits averaged over ten crops", SUPERVISED, {"crops": 10}),
    Fault("views", "logits averaged over five crops", CLIP, {"crops": 5}),
    Fault("loss", "labels smoothed by 0.1", SUPERVISED, {"smoothing": 0.1}),
    Fault("logit scale", "a logit scale of 1", CLIP, {"scale": 1.0}),
    Fault("logit scale", "a logit scale of 100", CLIP, {"scale": 100.0}),
    Fault(
        "class order",
        "classes in the order of their names",
        SUPERVISED,
        twist="classes reversed",
    ),
    Fault(
        "class order",
        "classes renamed as the confusion matrix tells",
        SUPERVISED,
        twist="folders renamed",
    ),
    Fault(
        "head",
        "the output after that of each class",
        SUPERVISED,
        twist="background first",
    ),
    Fault(
        "head",
        "the output before that of each class",
        CLIP,
        {"rows": (9, 0, 1, 2, 3, 4, 5, 6, 7, 8)},
    ),
    Fault("pooling", "the average of the patches", SUPERVISED, {"pool": "avg"}),
    Fault("pooling", "the average of the patches", CLIP, {"pool": "avg"}),
    Fault("weights", "the weights under 'ema'", SUPERVISED, twist="two weights"),
)

#: What digits models do not feel, planted in a ViT-B/16 with random weights.
FULL_SIZE: tuple[Fault, ...] = (
    Fault("epsilon", "a LayerNorm epsilon of 1e-05", "ViT-B/16", {"epsilon": 1e-5}),
    Fault("precision", "amp-bf16 arithmetic", "ViT-B/16", {"autocast": torch.bfloat16}),
    Fault("activation", "QuickGELU", "ViT-B/16", {"activation": "quick_gelu"}),
    Fault("normalisation", "ImageNet mean/std", "ViT-B/16", IMAGENET),
)
