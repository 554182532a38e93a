"""The entry of a weights file that was named is what is evaluated, or is refused."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from repro.errors import ExpectedError, WeightsError
from repro.extensions import installed
from repro.models.building import load_checkpoint
from repro.models.inspection import inspect_weights
from repro.models.libraries import find_loader
from repro.models.state import state_entries
from repro.published import ModelSpec
from tests.stand_ins import read_state_dict

CPU = torch.device("cpu")
HERE = Path()

#: Tiny towers under a name that open_clip publishes weights for.
TINY_CLIP: dict[str, Any] = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8},
    "text_cfg": {
        "context_length": 77,
        "vocab_size": 64,
        "width": 16,
        "heads": 2,
        "layers": 1,
    },
}
#: A loader, what it builds without and with a published checkpoint's tag, a tensor.
MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "timm": ("timm", "test_resnet", {}),
    "timm, published": ("timm", "test_resnet.r160_in1k", {}),
    "torchvision": ("torchvision", "squeezenet1_1", {}),
    "torchvision, published": ("torchvision", "squeezenet1_1.IMAGENET1K_V1", {}),
    "open_clip": ("open_clip", "RN50", TINY_CLIP),
    "open_clip, published": ("open_clip", "RN50.openai", TINY_CLIP),
    "of another package": ("theirs", "any", {}),
    "of another package, converted": ("theirs", "any.tag", {}),
}
THEIRS = """
from torch import nn
from repro.models.libraries import Loader

class TheirLoader(Loader):
    def build(self, spec, location):
        return nn.Linear(3, 2)

    def load(self, spec, state):
        if "." not in spec.architecture:
            return None
        model = nn.Linear(3, 2)
        model.load_state_dict(state)
        return model
"""


@pytest.fixture(autouse=True)
def their_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Lay out an installed package with a loader that converts tensors itself."""
    folder = tmp_path / "their package"
    information = folder / "their_package-1.dist-info"
    information.mkdir(parents=True)
    (folder / "their_package.py").write_text(THEIRS)
    (information / "METADATA").write_text("Name: their-package\nVersion: 1\n")
    (information / "entry_points.txt").write_text(
        "[repro.loaders]\ntheirs = their_package:TheirLoader\n"
    )
    monkeypatch.syspath_prepend(folder)
    installed.cache_clear()
    yield
    installed.cache_clear()
    find_loader.cache_clear()
    sys.modules.pop("their_package", None)


def spec_of(model: str, weights_key: str = "") -> ModelSpec:
    loader, architecture, options = MODELS[model]
    return ModelSpec(
        id="m",
        loader=loader,
        architecture=architecture,
        options=options,
        weights_key=weights_key,
    )


def filled(model: nn.Module, value: float) -> dict[str, Tensor]:
    return {
        name: torch.full_like(tensor, value) if tensor.is_floating_point() else tensor
        for name, tensor in model.state_dict().items()
    }


#: One that converts tensors itself, and one that does not.
either = pytest.mark.parametrize("model", ["timm, published", "of another package"])


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def raw_and_average(model: str, tmp_path: Path) -> Path:
    """A training checkpoint with weights of 0.25, and their average, 0.75."""
    spec = spec_of(model)
    plain = find_loader(spec.loader).build(
        ModelSpec(
            id="m",
            loader=spec.loader,
            architecture=spec.architecture.partition(".")[0],
            options=spec.options,
        ),
        HERE,
    )
    raw, average = filled(plain, 0.25), filled(plain, 0.75)
    content = {
        "epoch": 90,
        "arch": "any",
        "state_dict": raw,
        "state_dict_ema": average,
        "nested": {"model": dict(average), "lr": 0.1},
        "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": []},
    }
    torch.save(content, tmp_path / "w.pt")
    return tmp_path / "w.pt"


def value_of(model: nn.Module) -> float:
    parameter = next(p for n, p in model.named_parameters() if p.ndim > 1)
    return float(parameter.flatten()[0])


@pytest.mark.parametrize(
    ("key", "value"),
    [("state_dict", 0.25), ("state_dict_ema", 0.75), ("nested.model", 0.75)],
)
def test_the_entry_that_is_named_is_what_is_loaded(
    model: str, raw_and_average: Path, key: str, value: float
) -> None:
    loaded = load_checkpoint(spec_of(model, key), HERE, raw_and_average, CPU).model
    assert value_of(loaded) == value


@either
@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("", "holds tensors under state_dict, state_dict_ema, nested.model, and the"),
        ("ema", "has no entry 'ema'; it has epoch, arch, state_dict, state_dict_ema"),
        ("state_dict.model", "has no entry 'state_dict.model'; it has epoch"),
        ("epoch", "the entry 'epoch' of .* is 90, where a state dict is"),
        ("epoch.model", "has no entry 'epoch.model'; it has epoch"),
        ("arch", "the entry 'arch' of .* is 'any', where a state dict is"),
        ("nested", "the entry 'nested' of .* is a table of model, lr, where a state"),
        ("nested.lr", "the entry 'nested.lr' of .* is 0.1, where a state"),
        ("optimizer.state", "the entry 'optimizer.state' of .* is a table of 0, wh"),
    ],
)
def test_an_entry_that_cannot_be_meant_is_one_sentence(
    model: str, raw_and_average: Path, key: str, told: str
) -> None:
    with pytest.raises(WeightsError, match=told) as caught:
        load_checkpoint(spec_of(model, key), HERE, raw_and_average, CPU)
    message = str(caught.value)
    assert "weights_key" in message
    assert str(raw_and_average) in message
    assert "\n" not in message
    assert len(message) <= 500


def test_the_only_entry_needs_no_name(model: str, raw_and_average: Path) -> None:
    raw = read_state_dict(raw_and_average, "state_dict")
    wrapped = {"epoch": 3, "state_dict": raw, "args": {"lr": 0.1}}
    torch.save(wrapped, raw_and_average.with_suffix(".pth"))
    loaded = load_checkpoint(
        spec_of(model), HERE, raw_and_average.with_suffix(".pth"), CPU
    ).model
    assert value_of(loaded) == 0.25


@either
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_file_that_is_the_state_dict_has_no_entry(
    model: str, raw_and_average: Path, suffix: str
) -> None:
    raw = read_state_dict(raw_and_average, "state_dict")
    file = raw_and_average.with_name(f"bare{suffix}")
    contiguous = {name: tensor.clone() for name, tensor in raw.items()}
    if suffix == ".pt":
        torch.save(contiguous, file)
    else:
        save_file(contiguous, file)
    assert value_of(load_checkpoint(spec_of(model), HERE, file, CPU).model) == 0.25
    with pytest.raises(WeightsError, match=r"'state_dict'.*: leave weights_key out$"):
        load_checkpoint(spec_of(model, "state_dict"), HERE, file, CPU)


# timm leaves the archive open, which is told whenever its error is collected.
@pytest.mark.filterwarnings("ignore:Exception ignored.*w.npz")
def test_an_archive_of_arrays_has_no_entries_either(model: str, tmp_path: Path) -> None:
    arrays: dict[str, Any] = {"head/kernel": np.ones(2, np.float32)}
    np.savez(tmp_path / "w.npz", **arrays)
    with pytest.raises(WeightsError, match=r"w\.npz holds arrays, which have no entry"):
        load_checkpoint(spec_of(model, "kernel"), HERE, tmp_path / "w.npz", CPU)
    with pytest.raises(WeightsError, match=r"w\.npz (holds arrays, wh|can|does|has)"):
        load_checkpoint(spec_of(model), HERE, tmp_path / "w.npz", CPU)
    gc.collect()


ONE, TWO = {"w": torch.zeros(1)}, {"w": torch.ones(1)}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"w": torch.zeros(1), "ema": TWO}, "under ema beside tensors of its own"),
        ({"model": {**ONE, "size": 3}, "model_ema": TWO}, "under model, model_ema,"),
        ({"state": {"model": ONE, "ema": TWO}}, "under state.model, state.ema,"),
        ({"model": {"raw": ONE}, "ema": TWO}, "under model.raw, ema,"),
    ],
)
def test_no_average_is_chosen_where_other_weights_are_there(
    content: dict[str, Any], told: str, tmp_path: Path
) -> None:
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(WeightsError, match=told):
        read_state_dict(tmp_path / "w.pt")


def test_a_name_with_dots_is_one_name_first(tmp_path: Path) -> None:
    torch.save({"a.b": ONE, "a": {"b": TWO}}, tmp_path / "w.pt")
    assert read_state_dict(tmp_path / "w.pt", "a.b") == ONE
    assert state_entries(tmp_path / "w.pt") == ("a.b", "a.b")


def test_a_template_names_the_entry_that_training_scripts_mean(tmp_path: Path) -> None:
    torch.save({"state_dict_ema": TWO, "state_dict": ONE}, tmp_path / "w.pt")
    assert inspect_weights(tmp_path / "w.pt").entry == "state_dict"


@pytest.mark.parametrize(
    ("model", "option"),
    [
        ("timm", "checkpoint_path"),
        ("timm, published", "checkpoint_path"),
        ("timm, published", "pretrained"),
        ("open_clip", "pretrained"),
        ("open_clip, published", "pretrained_image"),
    ],
)
def test_options_cannot_bring_weights_from_elsewhere(
    model: str, option: str, tmp_path: Path
) -> None:
    torch.save({"w": torch.zeros(1)}, tmp_path / "w.pt")
    loader, architecture, options = MODELS[model]
    spec = ModelSpec(
        id="m",
        loader=loader,
        architecture=architecture,
        options={**options, option: "elsewhere.pt"},
    )
    with pytest.raises((ExpectedError, WeightsError), match=f"has '{option}', but w"):
        load_checkpoint(spec, HERE, tmp_path / "w.pt", CPU)
