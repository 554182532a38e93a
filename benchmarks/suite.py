"""Eight checkpoints, against eight plain loops."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import open_clip
import torch

from benchmarks import limits, plain
from benchmarks.row import Goal, Row
from benchmarks.setting import Setting
from benchmarks.stand_ins import CLIP_CONFIG, class_names
from benchmarks.timing import Spread, seconds
from repro.cases import Case
from repro.engine.evaluator import Evaluator
from repro.evaluation.predictions import Metrics
from repro.models.zeroshot import zeroshot_classifier


def eight_checkpoints(setting: Setting) -> list[Row]:
    """Evaluate eight CLIP checkpoints from photographs and prompts, both ways in turns.

    What the saved work allows is computed from parts measured here: the plain loop,
    less what is done once or no more.
    """
    cases = setting.stand_ins.cases("clip/small", "few")
    folder = setting.stand_ins.folder
    names = class_names(len(cases[0].dataset.classes))
    ours: list[float] = []
    others: list[float] = []
    text: list[float] = []
    with setting.empty_cache() as cache:
        engine = setting.engine(cache, cases)
        for case in cases[: 2 if setting.is_quick else None]:
            weights = folder / case.family.id / f"{case.checkpoint}.pt"
            start = time.perf_counter()
            measurement, _ = engine.measure(case)
            between = time.perf_counter()
            expected = plain.evaluate_clip(
                CLIP_CONFIG, weights, folder / "few", names, setting.cores
            )
            ours.append(between - start)
            others.append(time.perf_counter() - between)
            text.append(expected.text_seconds)
            _check(case, measurement.metrics, expected)
        needed = _needed(setting, engine, cases[0], len(ours))
    allowed = sum(others) / needed
    pairs = [other / own for own, other in zip(ours, others, strict=True)]
    return [
        Row(
            id="checkpoints",
            what=f"{len(ours)} CLIP checkpoints with text / plain loops, times faster",
            unit="times",
            # Of all together; the first one decodes, so it gains least.
            value=Spread(sum(others) / sum(ours), min(pairs), max(pairs)),
            goal=Goal(round(allowed, 2), at_most=False),
            parts={
                "ours, s": sum(ours),
                "plain loops, s": sum(others),
                "plain loops, text alone, s": sum(text),
                "what must be done at least, s": needed,
            },
        )
    ]


def _check(case: Case, found: Metrics, expected: plain.Evaluated) -> None:
    is_same = found.top1 == expected.right and abs(found.loss - expected.loss) < 1e-4
    if not is_same:
        raise RuntimeError(
            f"{case.id}: {found.top1} images are right, mean loss {found.loss}; the "
            f"plain loop has {expected.right} and {expected.loss}"
        )


def _needed(
    setting: Setting,
    engine: Evaluator,
    case: Case,
    checkpoints: int,
) -> float:
    """Sum up decoding once, and texts and forward passes of each checkpoint, alone."""
    dataset, model = engine.dataset(case), engine.model(case)
    paths = [dataset.root / name for name in dataset.files]
    decoding = [
        seconds(lambda: limits.decoding(paths, setting.cores, plain.CLIP_GEOMETRY))
        for _ in range(3)
    ]
    images = torch.randn(len(paths), 3, 224, 224, device=setting.device)
    size = engine.batch_size(case).current
    tower: Any = model
    forwards = [
        seconds(lambda: limits.forward(tower.visual, images, size)) for _ in range(3)
    ]
    text = case.protocol.text
    assert text is not None
    tokenizer = open_clip.get_tokenizer("ViT-B-16")
    encode = partial(zeroshot_classifier, model, tokenizer, text, setting.device)
    texts = [seconds(encode) for _ in range(3)]
    return min(decoding) + checkpoints * (min(texts) + min(forwards))


MEASUREMENTS: list[Callable[[Setting], list[Row]]] = [eight_checkpoints]
