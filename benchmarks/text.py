"""Zero-shot text classifiers, against the release's loop over classes."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import open_clip
import torch

from benchmarks import plain
from benchmarks.row import Goal, Row
from benchmarks.setting import Setting
from benchmarks.stand_ins import class_names
from benchmarks.timing import seconds, spread
from repro.models.zeroshot import RememberingTokenizer, zeroshot_classifier
from repro.published import TextSpec

PROMPTS = 80
PLAIN_CLASSES = 3


@dataclasses.dataclass
class Found:
    """What was measured: seconds a class of both ways, and the rest once."""

    classes: int
    ours: float
    others: list[float]
    again: float
    difference: float


def text_classifier(setting: Setting) -> list[Row]:
    """Encode classes x 80 prompts with the text tower of ViT-B-16.

    A class at a time takes the same for every class, so a few are measured, before and
    after ours. Ours gets all of them, since beginnings of prompts are computed once.
    """
    classes = class_names(60 if setting.is_quick else 1000)
    torch.manual_seed(0)
    model: Any = open_clip.create_model("ViT-B-16").eval().to(setting.device)
    return _rows(_measure(setting, model, classes))


def _measure(setting: Setting, model: Any, classes: list[str]) -> Found:
    """Encode a few classes the plain way, all of them ours, twice, and a few again."""
    tokenizer = open_clip.get_tokenizer("ViT-B-16")
    text = TextSpec(
        classnames=tuple(classes), templates="open_clip:OPENAI_IMAGENET_TEMPLATES"
    )
    chosen = [slice(0, PLAIN_CLASSES), slice(len(classes) - PLAIN_CLASSES, None)]
    others, expected = [], []

    def encode_a_few(few: slice) -> None:
        start = time.perf_counter()
        expected.append(plain.encode_classes(model, tokenizer, classes[few]))
        others.append((time.perf_counter() - start) / PLAIN_CLASSES)

    encode_a_few(chosen[0])
    with setting.empty_cache() as cache:
        tokenize = RememberingTokenizer(tokenizer)
        encode = partial(
            zeroshot_classifier, model, tokenize, text, setting.device, cache
        )
        ours = seconds(encode) / len(classes)
        again = seconds(encode)
        found = encode()
    encode_a_few(chosen[1])
    difference = max(
        (found[few] - wanted).abs().max().item()
        for few, wanted in zip(chosen, expected, strict=True)
    )
    return Found(len(classes), ours, others, again, difference)


def _rows(found: Found) -> list[Row]:
    return [
        Row(
            id="text",
            what="text classifier, times faster than a class at a time, ViT-B-16",
            unit="times",
            value=spread([other / found.ours for other in found.others]),
            goal=Goal(15, at_most=False),
            parts={
                "all classes, s": found.classes * found.ours,
                "all classes a class at a time, s": (
                    found.classes * spread(found.others).median
                ),
                "classes": found.classes,
            },
        ),
        Row(
            id="text-difference",
            what="largest difference of a class embedding from the plain loop's",
            unit="number",
            value=spread([found.difference]),
            goal=Goal(1e-6),
        ),
        Row(
            id="text-again",
            what="text classifier, the second time / the first time",
            unit="ratio",
            value=spread([found.again / (found.ours * found.classes)]),
            goal=Goal(0.01),
            parts={"second time, s": found.again, "classes": found.classes},
        ),
    ]


MEASUREMENTS: list[Callable[[Setting], list[Row]]] = [text_classifier]
