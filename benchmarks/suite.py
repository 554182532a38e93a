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
        alone, parts = _Alone(setting, engine, cases[0]), list[float]()
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
            # In turns with these, so that other work on the machine meets all three.
            parts.append(alone.checkpoint(case))
        needed = alone.decoding() + sum(parts)
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
                "part of what that allows": needed / sum(ours),
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


class _Alone:
    """What a checkpoint costs at least: its text, and its forward passes.

    Args:
        setting: what to compute on.
        engine: that has measured it.
        case: one of the checkpoints, which all have as many images.
    """

    def __init__(self, setting: Setting, engine: Evaluator, case: Case) -> None:
        self._setting, self._engine = setting, engine
        dataset = engine.dataset(case)
        self._paths = [dataset.root / name for name in dataset.files]
        size = len(self._paths), 3, 224, 224
        self._images = torch.randn(size, device=setting.device)
        self._tokenizer = open_clip.get_tokenizer("ViT-B-16")

    def decoding(self) -> float:
        """Time what is done once for all of them."""
        cores = self._setting.cores
        return seconds(lambda: limits.decoding(self._paths, cores, plain.CLIP_GEOMETRY))

    def checkpoint(self, case: Case) -> float:
        """Time the text and the forward passes of one, whose model is loaded."""
        model: Any = self._engine.model(case)
        size = self._engine.batch_size(case).current
        text, device = case.protocol.text, self._setting.device
        assert text is not None
        encode = partial(zeroshot_classifier, model, self._tokenizer, text, device)
        return seconds(encode) + seconds(
            lambda: limits.forward(model.visual, self._images, size)
        )


MEASUREMENTS: list[Callable[[Setting], list[Row]]] = [eight_checkpoints]
