"""Zero-shot text classifiers, against the release's loop over classes."""

from __future__ import annotations

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


def text_classifier(setting: Setting) -> list[Row]:
    """Encode classes x 80 prompts with the text tower of ViT-B-16.

    Both ways take the same time for every prompt, so each gets as many classes as it
    does in a few seconds. Those that ours gets are fewer than ImageNet's, which makes
    it look slower than it is: beginnings are computed once for all classes.
    """
    classes = class_names(60 if setting.is_quick else 200)
    torch.manual_seed(0)
    model: Any = open_clip.create_model("ViT-B-16").eval().to(setting.device)
    tokenizer = open_clip.get_tokenizer("ViT-B-16")
    text = TextSpec(
        classnames=tuple(classes), templates="open_clip:OPENAI_IMAGENET_TEMPLATES"
    )
    ours: list[float] = []
    others: list[float] = []
    difference = 0.0
    for number in range(1 if setting.is_quick else 2):
        few = classes[number * PLAIN_CLASSES : (number + 1) * PLAIN_CLASSES]
        start = time.perf_counter()
        expected = plain.encode_classes(model, tokenizer, few)
        others.append((time.perf_counter() - start) / len(few))
        with setting.empty_cache() as cache:
            tokenize = RememberingTokenizer(tokenizer)
            encode = partial(
                zeroshot_classifier, model, tokenize, text, setting.device, cache
            )
            ours.append(seconds(encode) / len(classes))
            again = seconds(encode)
            found = encode()[number * PLAIN_CLASSES :][: len(few)]
        difference = max(difference, (found - expected).abs().max().item())
    ratio = [other / own for own, other in zip(ours, others, strict=True)]
    return [
        Row(
            id="text",
            what="text classifier, times faster than a class at a time, ViT-B-16",
            unit="times",
            value=spread(ratio),
            goal=Goal(15, at_most=False),
            parts={
                "1,000 classes, s": 1000 * spread(ours).median,
                "1,000 classes a class at a time, s": 1000 * spread(others).median,
                "classes measured": len(classes),
            },
        ),
        Row(
            id="text-difference",
            what="largest difference of a class embedding from the plain loop's",
            unit="number",
            value=spread([difference]),
            goal=Goal(1e-6),
        ),
        Row(
            id="text-again",
            what="text classifier, the second time / the first time",
            unit="ratio",
            value=spread([again / (ours[-1] * len(classes))]),
            goal=Goal(0.01),
            parts={"second time, s": again, "classes": len(classes)},
        ),
    ]


MEASUREMENTS: list[Callable[[Setting], list[Row]]] = [text_classifier]
