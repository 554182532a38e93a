"""A model that is larger than its weights is given up before it takes what it likes."""

from __future__ import annotations

import json
import re
import resource
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from repro.errors import WeightsError
from repro.models.building import load_checkpoint
from repro.models.skeleton import no_larger_than
from repro.models.state import read_contents
from repro.published import ModelSpec
from tests.stand_ins import CLIP_CONFIG

CPU = torch.device("cpu")
SMALL = {"img_size": 32, "embed_dim": 24, "depth": 2, "num_heads": 2}
VALUES = r"would have more than 268,\d\d\d,\d\d\d values"
TENSORS = r"would have more than 5,004 tensors"
ROW = r"would have more than 4,194,304 of something"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    file = tmp_path / "a.safetensors"
    save_file({"a": torch.ones(3, 4)}, file)
    return file


def refused(spec: ModelSpec, weights: Path) -> str:
    """Load a model that is too large; say why it was not, and what it took."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    with pytest.raises(WeightsError) as caught:
        load_checkpoint(spec, weights.parent, weights, CPU)
    assert time.process_time() - started < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**20
    return str(caught.value)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"depth": 10**9}, ROW),
        ({"depth": 10**6}, TENSORS),
        ({"num_classes": 10**9}, VALUES),
        ({"embed_dim": 10**5}, VALUES),
        ({"embed_dim": 10**4, "depth": 1000}, VALUES),
        ({"img_size": 10**5}, VALUES),
        ({"mlp_ratio": 10**6}, VALUES),
        ({"reg_tokens": 10**8}, VALUES),
        ({"in_chans": 10**8}, VALUES),
    ],
    ids=str,
)
def test_options_of_timm_ask_for_no_more_than_the_weights_hold(
    options: dict[str, Any], why: str, weights: Path
) -> None:
    spec = ModelSpec(
        id="m",
        loader="timm",
        architecture="vit_tiny_patch16_224",
        options=SMALL | options,
    )
    said = refused(spec, weights)
    assert said.startswith(f"{weights} holds 12 values, and the model 'm'")
    assert re.search(why, said)


@pytest.mark.parametrize(
    ("tower", "key", "value", "why"),
    [
        ("vision_cfg", "layers", 10**9, TENSORS),
        ("text_cfg", "layers", 10**5, TENSORS),
        ("vision_cfg", "image_size", 10**6, VALUES),
        ("text_cfg", "vocab_size", 10**9, VALUES),
        ("text_cfg", "context_length", 10**6, VALUES),
    ],
)
def test_a_configuration_asks_for_no_more_than_the_weights_hold(
    tower: str, key: str, value: int, why: str, weights: Path
) -> None:
    config: Any = json.loads(json.dumps(CLIP_CONFIG))
    config[tower][key] = value
    (weights.parent / "large.json").write_text(json.dumps(config))
    spec = ModelSpec(
        id="m", loader="open_clip", architecture="large", config="large.json"
    )
    assert re.search(why, refused(spec, weights))


def test_models_of_other_threads_do_not_count(weights: Path) -> None:
    spec = ModelSpec(id="m", loader="timm", architecture="a")
    wide: list[nn.Module] = []

    def build() -> None:
        wide.extend(nn.Linear(1, 1) for _ in range(6000))

    with no_larger_than(read_contents(weights), spec):
        other = threading.Thread(target=build)
        other.start()
        other.join()
    assert len(wide) == 6000


def test_modules_without_tensors_count_too(weights: Path) -> None:
    spec = ModelSpec(id="m", loader="timm", architecture="a")
    with (
        pytest.raises(WeightsError, match="would have more than 20,016 modules"),
        no_larger_than(read_contents(weights), spec),
    ):
        nn.Sequential(*(nn.Identity() for _ in range(30_000)))


def test_nothing_is_counted_once_a_model_is_built(weights: Path) -> None:
    spec = ModelSpec(id="m", loader="timm", architecture="a")
    with no_larger_than(read_contents(weights), spec):
        pass
    nn.Sequential(*(nn.Linear(1, 1) for _ in range(6000)))
    torch.arange(2**22 + 1)
