"""What a diagnosis costs, counted in images that a model has seen."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from torch import Tensor

from repro.data.geometry import Pixels
from repro.diagnosis import laboratory, pace
from repro.diagnosis.findings import Diagnosis
from repro.diagnosis.pace import Pace
from repro.engine.evaluator import Evaluator
from repro.engine.settings import EngineSettings
from repro.evaluation.evaluate import compute_features

from .planted import planted


class Diagnosed(msgspec.Struct, frozen=True):
    """A diagnosis, and the images of each forward pass that it took."""

    found: Diagnosis
    seen: list[int]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts the images of each forward pass of a diagnosis."""
    return counting(monkeypatch)


def counting(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    counts: list[int] = []

    def counted(body: Any, pixels: Pixels, *rest: Any) -> Tensor:
        # Of each image, or of each of its views.
        counts.append(pixels[..., 0, 0, 0].size)
        return compute_features(body, pixels, *rest)

    monkeypatch.setattr(laboratory, "compute_features", counted)
    return counts


@pytest.fixture(scope="module")
def diagnosed(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str, float], Diagnosed]:
    """Diagnose a number that nothing explains: `diagnosed(name, share)`, once each."""
    cache = tmp_path_factory.mktemp("diagnosed")

    @lru_cache
    def diagnosed(name: str, share: float) -> Diagnosed:
        case = planted(name, top1="70.00", top5="90.00", loss="1.000000")
        settings = EngineSettings(cache=cache, device="cpu", diagnose_share=share)
        engine = Evaluator(settings)
        _, predictions = engine.measure(case)
        with pytest.MonkeyPatch.context() as patch:
            # A share is one of larger sets.
            patch.setattr(pace, "FEWEST", 0)
            seen = counting(patch)
            return Diagnosed(engine.diagnose(case, predictions), seen)

    return diagnosed


@pytest.mark.slow
@pytest.mark.parametrize(
    "share", [0.03, *(pytest.param(s, marks=pytest.mark.slow) for s in (0.1, 0.3))]
)
@pytest.mark.parametrize("name", ["supervised/real/160", "clip/real/160"])
def test_each_suspect_costs_at_most_its_share_of_an_evaluation(
    name: str, share: float, diagnosed: Callable[[str, float], Diagnosed]
) -> None:
    found, seen = diagnosed(name, share).found, diagnosed(name, share).seen
    assert len(found.trials) > 20
    assert sum(seen) == found.images
    assert sum(seen) <= share * found.total * len(found.trials)
    # It does use what it may.
    assert sum(seen) > 0.5 * share * found.total * len(found.trials)


def test_what_differs_in_prompts_or_outputs_only_shares_the_forward_pass(
    diagnosed: Callable[[str, float], Diagnosed],
) -> None:
    one = diagnosed("clip/real/160", 0.03)
    shared = [
        trial.images
        for trial in one.found.trials
        if trial.topic in ("prompts", "logit scale", "class order", "head")
    ]
    assert len(shared) > 5
    assert len(set(shared)) == 1
    alone = [trial for trial in one.found.trials if trial.topic != "views"]
    assert sum(trial.images for trial in alone) > sum(one.seen)


def test_all_of_a_small_set_may_be_seen_where_the_promised_time_is_enough() -> None:
    quick, slow = (Pace(None, 0.1, 40, 400) for _ in range(2))
    assert quick.budget(40) == 400 * 40
    quick.learn(1e-3, 1e-3)
    assert quick.budget(40) == 400 * 40
    # Half a minute is enough for 30 images each, where a tenth is more than that.
    slow.learn(0.025, 0.1)
    assert slow.budget(40) == 40 * 40
    # Of a larger set the share alone counts, and less time than asked for is never.
    large = Pace(None, 0.1, 40, 50_000)
    large.learn(1e-3, 1e-3)
    assert large.budget(40) == 5_000 * 40
    asked = Pace(2.0, 0.1, 40, 400)
    asked.learn(1e-3, 1e-3)
    assert asked.budget(40) == 50 * 40


@pytest.mark.slow
def test_a_larger_share_settles_what_a_tenth_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "FEWEST", 0)
    # Bilinear interpolation, as tools/planted_faults measures it: a loss alone.
    case = planted("clip/real/640", top1="97.80", top5="99.80", loss="0.163471")
    outcomes = []
    for share in (0.1, 0.5):
        settings = EngineSettings(cache=tmp_path, device="cpu", diagnose_share=share)
        engine = Evaluator(settings)
        _, predictions = engine.measure(case)
        found = engine.diagnose(case, predictions)
        outcomes.append((found.outcome, found.cause))
        if found.outcome == "unsettled":
            assert "--repro-diagnose-share" in found.advice
            assert "--repro-limit" not in found.advice
    assert outcomes[1] == ("restored", "bilinear interpolation")
    assert outcomes[0] != outcomes[1]


@pytest.mark.slow
def test_a_suspect_that_takes_much_longer_is_left_out_with_a_word(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen = 0

    def slow(body: Any, pixels: Pixels, *rest: Any) -> Tensor:
        # As a processor without the instructions for it computes in bfloat16.
        nonlocal seen
        if getattr(body, "precision", "") == "amp-bf16":
            time.sleep(0.1 * len(pixels))
            seen += len(pixels)
        return compute_features(body, pixels, *rest)

    monkeypatch.setattr(laboratory, "compute_features", slow)
    case = planted("supervised/real/160", top1="70.00", top5="90.00", loss="1.000000")
    settings = EngineSettings(
        cache=tmp_path, device="cpu", diagnose_time=20, diagnose_share=0.03
    )
    engine = Evaluator(settings)
    _, predictions = engine.measure(case)
    found = engine.diagnose(case, predictions)
    assert "times as long here" in found.untried["amp-bf16 arithmetic"]
    assert "amp-bf16 arithmetic" not in {trial.suspect for trial in found.trials}
    assert 0 < seen <= 8
    assert len(found.trials) > 20


def test_without_time_nothing_is_tried_and_that_is_said(
    seen: list[int], tmp_path: Path
) -> None:
    case = planted("supervised/real/160", top1="70.00", top5="90.00", loss="1.000000")
    settings = EngineSettings(cache=tmp_path, device="cpu", diagnose_time=1e-6)
    engine = Evaluator(settings)
    _, predictions = engine.measure(case)
    found = engine.diagnose(case, predictions)
    assert not found.trials
    assert set(found.untried.values()) == {"the time was spent"}
    assert len(found.untried) > 20
    assert found.sentence == "Nothing could be tried that would explain it."
    assert sum(seen) < 0.1 * found.total
