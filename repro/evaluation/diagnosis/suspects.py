"""The suspects: a line is a variation that is tried on a case that diverges.

Those that are met most often stand first; of two that predict the same, the first one
is named. Where the values come from is said beside them; how often each was the cause,
and what it costs, is in docs/diagnosis.md.
"""

from __future__ import annotations

from collections.abc import Iterator

from repro.evaluation.diagnosis.setup import (
    BGR,
    Activation,
    Pooling,
    Suspect,
    Variation,
)
from repro.published import Filter, Precision

Triple = tuple[float, float, float]

#: torchvision's and timm's (`IMAGENET_DEFAULT_MEAN`), then OpenAI's CLIP.
NORMALISATIONS: dict[str, tuple[Triple, Triple]] = {
    "mean/std of 0.5": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "ImageNet mean/std": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "OpenAI's mean/std": (
        (0.48145466, 0.4578275, 0.40821073),
        (0.26862954, 0.26130258, 0.27577711),
    ),
    "no normalisation": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "ImageNet mean without std": ((0.485, 0.456, 0.406), (1.0, 1.0, 1.0)),
    "pixels from 0 to 255": ((0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)),
}
FILTERS: tuple[Filter, ...] = ("bilinear", "bicubic", "nearest", "lanczos", "box")
#: Without antialias, as OpenCV and torch resize tensors.
POINT_FILTERS: tuple[Filter, ...] = ("bilinear", "bicubic")
#: torchvision's and timm's usual ones.
CROP_SHARES = (0.875, 0.9, 0.95, 1.0)
TEMPLATES: dict[str, tuple[str, ...] | str] = {
    'the single prompt "a photo of a {}."': ("a photo of a {}.",),
    "the bare class names as prompts": ("{}",),
    "OpenAI's 80 templates": "open_clip:OPENAI_IMAGENET_TEMPLATES",
    "the 7 simple templates": "open_clip:SIMPLE_IMAGENET_TEMPLATES",
}
ACTIVATIONS: dict[str, Activation] = {
    "QuickGELU": "quick_gelu",
    "GELU": "gelu",
    "GELU by tanh": "gelu_tanh",
}
POOLINGS: dict[str, Pooling] = {
    "the average of the patches": "avg",
    "the class token": "token",
}
EPSILONS = (1e-5, 1e-6, 1e-12)
PRECISIONS: tuple[Precision, ...] = ("amp-bf16", "amp-fp16", "fp32")
#: Entries that training scripts write: timm, DeiT, Lightning, DINO, MoCo.
ENTRIES = (
    "model",
    "state_dict",
    "ema",
    "model_ema",
    "state_dict_ema",
    "ema_state_dict",
    "teacher",
    "student",
)


def _suspects() -> Iterator[Suspect]:
    for name, (mean, std) in NORMALISATIONS.items():
        yield Suspect(
            name=name, topic="normalisation", variation=Variation(mean=mean, std=std)
        )
    for name, templates in TEMPLATES.items():
        yield Suspect(
            name=name, topic="prompts", variation=Variation(templates=templates)
        )
    yield Suspect(
        name="the first prompt alone",
        topic="prompts",
        variation=Variation(first_template=True),
    )
    for name, activation in ACTIVATIONS.items():
        yield Suspect(
            name=name, topic="activation", variation=Variation(activation=activation)
        )
    for filter_ in FILTERS:
        yield Suspect(
            name=f"{filter_} interpolation",
            topic="interpolation",
            variation=Variation(filter=filter_, antialias=True),
        )
    for filter_ in POINT_FILTERS:
        yield Suspect(
            name=f"{filter_} interpolation without antialias",
            topic="interpolation",
            variation=Variation(filter=filter_, antialias=False),
        )
    for share in CROP_SHARES:
        yield Suspect(
            name=f"a crop of {share:g} of the short side",
            topic="resize and crop",
            variation=Variation(crop_share=share),
        )
    yield Suspect(
        name="the whole image squashed to a square",
        topic="resize and crop",
        variation=Variation(squash=True),
    )
    yield Suspect(
        name="channels in the order BGR",
        topic="colour channels",
        variation=Variation(channels=BGR),
    )
    yield Suspect(
        name="classes in the order of their names",
        topic="class order",
        variation=Variation(order="sorted"),
    )
    yield Suspect(
        name="classes in the order of the numbers in their names",
        topic="class order",
        variation=Variation(order="by number"),
    )
    yield Suspect(
        name="classes renamed as the confusion matrix tells",
        topic="class order",
        variation=Variation(order="renamed"),
    )
    for offset in (1, -1):
        place = "after" if offset > 0 else "before"
        yield Suspect(
            name=f"the output {place} that of each class",
            topic="head",
            variation=Variation(offset=offset),
        )
    for name, pooling in POOLINGS.items():
        yield Suspect(name=name, topic="pooling", variation=Variation(pooling=pooling))
    for entry in ENTRIES:
        yield Suspect(
            name=f"the weights under {entry!r}",
            topic="weights",
            variation=Variation(weights_key=entry),
        )
    for epsilon in EPSILONS:
        yield Suspect(
            name=f"a LayerNorm epsilon of {epsilon:g}",
            topic="epsilon",
            variation=Variation(epsilon=epsilon),
        )
    for precision in PRECISIONS:
        yield Suspect(
            name=f"{precision} arithmetic",
            topic="precision",
            variation=Variation(precision=precision),
        )
    for scale in (100.0, 1.0):
        yield Suspect(
            name=f"a logit scale of {scale:g}",
            topic="logit scale",
            variation=Variation(logit_scale=scale),
        )
    yield Suspect(
        name="the checkpoint's logit scale",
        topic="logit scale",
        variation=Variation(logit_scale="checkpoint"),
    )


SUSPECTS: tuple[Suspect, ...] = tuple(_suspects())
