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
from repro.models.clip import RememberingTokenizer
from repro.models.zeroshot import zeroshot_classifier
from repro.published import TextSpec

PROMPTS = 80
PLAIN_CLASSES = 2


@dataclasses.dataclass
class Found:
    """What was measured: seconds a class of both ways, in pairs, and the rest once."""

    classes: int
    ours: list[float] = dataclasses.field(default_factory=list)
    others: list[float] = dataclasses.field(default_factory=list)
    again: float = 0.0
    difference: float = 0.0


def text_classifier(setting: Setting) -> list[Row]:
    """Encode classes x 80 prompts with the text tower of ViT-B-16.

    Both ways take the same time for every prompt, so each gets as many classes as it
    does in a few seconds. Those that ours gets are fewer than ImageNet's, which makes
    it look slower than it is: beginnings are computed once for all classes.
    """
    classes = class_names(60 if setting.is_quick else 200)
    torch.manual_seed(0)
    model: Any = open_clip.create_model("ViT-B-16").eval().to(setting.device)
    found = Found(len(classes))
    for number in range(1 if setting.is_quick else 2):
        few = slice(number * PLAIN_CLASSES, (number + 1) * PLAIN_CLASSES)
        _measure(setting, model, classes, few, found)
    return _rows(found)


def _measure(
    setting: Setting, model: Any, classes: list[str], few: slice, found: Found
) -> None:
    """Encode a few classes the plain way, then all of them ours, twice."""
    tokenizer = open_clip.get_tokenizer("ViT-B-16")
    text = TextSpec(
        classnames=tuple(classes), templates="open_clip:OPENAI_IMAGENET_TEMPLATES"
    )
    start = time.perf_counter()
    expected = plain.encode_classes(model, tokenizer, classes[few])
    found.others.append((time.perf_counter() - start) / len(classes[few]))
    with setting.empty_cache() as cache:
        tokenize = RememberingTokenizer(tokenizer)
        encode = partial(
            zeroshot_classifier, model, tokenize, text, setting.device, cache
        )
        found.ours.append(seconds(encode) / len(classes))
        found.again = seconds(encode)
        difference = (encode()[few] - expected).abs().max().item()
    found.difference = max(found.difference, difference)


def _rows(found: Found) -> list[Row]:
    pairs = zip(found.ours, found.others, strict=True)
    return [
        Row(
            id="text",
            what="text classifier, times faster than a class at a time, ViT-B-16",
            unit="times",
            value=spread([other / own for own, other in pairs]),
            goal=Goal(15, at_most=False),
            parts={
                "1,000 classes, s": 1000 * spread(found.ours).median,
                "1,000 classes a class at a time, s": (
                    1000 * spread(found.others).median
                ),
                "classes measured": found.classes,
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
            value=spread([found.again / (found.ours[-1] * found.classes)]),
            goal=Goal(0.01),
            parts={"second time, s": found.again, "classes": found.classes},
        ),
    ]


MEASUREMENTS: list[Callable[[Setting], list[Row]]] = [text_classifier]
