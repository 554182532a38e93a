"""`repro inspect` says what a file holds, and runs nothing that is in it."""

from __future__ import annotations

import math
import os
import pickle
from argparse import Namespace
from pathlib import Path
from typing import Any

import open_clip
import pytest
import timm
import torch
import torchvision
from click.testing import CliRunner, Result
from safetensors.torch import save_file
from torch import nn

from repro.cli import cli
from repro.errors import WeightsError
from repro.models.inspection import Architecture, infer_architecture, inspect_weights
from repro.models.skeleton import fitting_model, skeleton
from repro.published import EMBEDDED
from tests.stand_ins import read_state_dict

SUPERVISED = EMBEDDED / "checkpoints/supervised/real/80.pt"
CLIP = EMBEDDED / "checkpoints/clip/real/80.pt"


def inspect(file: Path) -> Result:
    return CliRunner().invoke(cli, ["inspect", str(file), "--expected", "embedded"])


def state_of(file: Path) -> dict[str, torch.Tensor]:
    return dict(read_state_dict(file))


def saved(file: Path, content: Any) -> Path:
    torch.save(content, file)
    return file


def on_meta(build: Any, *arguments: Any, **options: Any) -> Any:
    """Build a model whose parameters have shapes and no memory."""
    with skeleton():
        return build(*arguments, **options)


def inferred(model: nn.Module) -> Architecture:
    state = model.state_dict()
    found = infer_architecture({name: tuple(t.shape) for name, t in state.items()})
    assert found is not None
    return found


def test_a_supervised_checkpoint_is_described_and_loads() -> None:
    output = inspect(SUPERVISED).output
    parameters = sum(tensor.numel() for tensor in state_of(SUPERVISED).values())
    assert f"with {parameters:,} parameters, float16" in output
    assert "supervised, vision transformer: patch size 7, width 48, depth 3" in output
    assert "image size 28, classes 10" in output
    assert "loads as      vit-digits of embedded (timm vit_tiny_patch16_224)" in output
    assert "not as        clip-digits of embedded" in output


def test_a_clip_checkpoint_is_described_with_its_logit_scale() -> None:
    found = inspect_weights(CLIP)
    assert found.architecture is not None
    assert found.architecture.kind == "clip"
    assert found.architecture.facts["text width"] == 24
    stored = state_of(CLIP)["logit_scale"]
    assert found.logit_scale == pytest.approx(math.exp(float(stored)))
    assert "loads as      clip-digits of embedded" in inspect(CLIP).output


@pytest.mark.parametrize(
    "name", ["vit_tiny_patch16_224", "vit_base_patch16_224", "vit_large_patch14_224"]
)
def test_a_transformer_of_timm_is_named_by_its_shapes(name: str) -> None:
    model = on_meta(timm.create_model, name)
    found = inferred(model)
    assert found.name == name
    assert found.facts["classes"] == 1000
    assert found.facts["heads"] == model.blocks[0].attn.num_heads
    assert found.facts["depth"] == len(model.blocks)


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "vit_b_16"])
def test_a_model_of_torchvision_is_named_by_its_shapes(name: str) -> None:
    found = inferred(on_meta(getattr(torchvision.models, name)))
    assert found.name == name
    assert found.facts["classes"] == 1000


def test_the_architecture_of_the_release_is_named_by_its_shapes() -> None:
    model = on_meta(open_clip.create_model, "ViT-B-16", load_weights=False, device=None)
    found = inferred(model)
    assert (found.kind, found.name) == ("clip", "ViT-B-16")
    assert found.facts == {
        "patch size": 16,
        "width": 768,
        "depth": 12,
        "heads": 12,
        "image size": 224,
        "text width": 512,
        "text depth": 12,
        "text heads": 8,
        "context": 77,
        "vocabulary": 49408,
        "embedding": 512,
    }


@pytest.mark.parametrize("entry", ["state_dict", "model", "ema"])
def test_a_wrapped_state_dict_is_found_with_what_is_beside_it(
    tmp_path: Path, entry: str
) -> None:
    content = {"epoch": 3, entry: state_of(SUPERVISED), "best": 0.5}
    file = saved(tmp_path / "a.pt", content)
    found = inspect_weights(file)
    assert (found.entry, found.others) == (entry, ("epoch", "best"))
    output = inspect(file).output
    assert "loads as      vit-digits of embedded (timm vit_tiny_patch16_224)" in output
    assert f"read with     entry {entry!r} chosen" in output


def test_a_prefix_that_all_names_have_is_removed(tmp_path: Path) -> None:
    state = {f"module.{name}": t for name, t in state_of(SUPERVISED).items()}
    file = saved(tmp_path / "a.pt", state)
    found = inspect_weights(file)
    assert found.prefix == "module."
    assert found.architecture is not None
    output = inspect(file).output
    assert "read with     prefix 'module.' removed" in output
    assert "loads as      vit-digits of embedded" in output


def test_safetensors_are_described_too(tmp_path: Path) -> None:
    state = {name: t.contiguous() for name, t in state_of(SUPERVISED).items()}
    save_file(state, tmp_path / "a.safetensors")
    found = inspect_weights(tmp_path / "a.safetensors")
    assert found.format == "safetensors"
    assert len(found.shapes) == len(state)


def test_types_are_counted(tmp_path: Path) -> None:
    content = {"a": torch.zeros(2), "b": torch.zeros(3).half(), "c": torch.zeros(4)}
    found = inspect_weights(saved(tmp_path / "a.pt", content))
    assert found.dtypes == {"float32": 2, "float16": 1}
    assert found.parameters == 9
    assert found.architecture is None


def test_of_several_state_dicts_the_usual_one_is_shown_and_a_key_asked_for(
    tmp_path: Path,
) -> None:
    average = {name: tensor + 1 for name, tensor in state_of(SUPERVISED).items()}
    content = {"ema": average, "state_dict": state_of(SUPERVISED)}
    file = saved(tmp_path / "a.pt", content)
    found = inspect_weights(file)
    assert (found.entry, found.rivals) == ("state_dict", ("ema",))
    assert "weights_key   has to be named: 'ema' holds tensors" in inspect(file).output
    with pytest.raises(WeightsError, match="name the entry as weights_key"):
        read_state_dict(file)


def test_a_state_dict_that_lies_deeper_is_found_as_loading_finds_it(
    tmp_path: Path,
) -> None:
    content = {"state": {"model": state_of(SUPERVISED)}, "epoch": 3}
    found = inspect_weights(saved(tmp_path / "a.pt", content))
    assert (found.entry, found.others) == ("state.model", ("epoch",))
    assert set(read_state_dict(found.path)) == set(found.shapes)


@pytest.mark.parametrize(
    ("build", "loader", "name", "options"),
    [
        (
            lambda: timm.create_model("vit_tiny_patch16_224", img_size=96),
            "timm",
            "vit_tiny_patch16_224",
            {"num_classes": 1000, "img_size": 96},
        ),
        (
            lambda: torchvision.models.vit_b_16(image_size=64, num_classes=3),
            "torchvision",
            "vit_b_16",
            {"num_classes": 3, "image_size": 64},
        ),
        (
            lambda: torchvision.models.mobilenet_v2(num_classes=7),
            "torchvision",
            "mobilenet_v2",
            {"num_classes": 7},
        ),
        (
            lambda: timm.create_model("mobilenetv2_050", num_classes=1),
            "timm",
            "mobilenetv2_050",
            {"num_classes": 1},
        ),
        (lambda: timm.create_model("convnext_atto"), "timm", "convnext_atto", {}),
        (
            lambda: open_clip.create_model(
                "ViT-L-14-336", load_weights=False, device=None
            ),
            "open_clip",
            "ViT-L-14-336",
            {},
        ),
    ],
)
def test_a_model_is_named_only_as_its_library_builds_it(
    build: Any, loader: str, name: str, options: dict[str, int]
) -> None:
    state = on_meta(build).state_dict()
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    spec = fitting_model(shapes)
    assert spec is not None
    assert (spec.loader, spec.architecture) == (loader, name)
    assert spec.options == options
    assert fitting_model(dict(list(shapes.items())[1:])) is None


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "resnet18"])
def test_what_fits_no_model_is_compared_with_each_once(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = on_meta(lambda: timm.create_model(name)).state_dict()
    shapes = {name: (*tensor.shape, 3) for name, tensor in state.items()}
    outputs = "head.weight" if "head.weight" in state else "fc.weight"
    kept = {n: tuple(state[n].shape) for n in (outputs, *_TOLD_BY) if n in state}
    built: list[str] = []
    create = timm.create_model

    def counted(name: str, **options: Any) -> Any:
        built.append(name)
        return create(name, **options)

    monkeypatch.setattr(timm, "create_model", counted)
    assert fitting_model(shapes | kept) is None
    assert name in built
    assert len(set(built)) == len(built)


#: Tensors whose shapes say which size of an architecture it is.
_TOLD_BY = ("patch_embed.proj.weight", "pos_embed", "layer1.0.conv1.weight")


def test_a_model_that_no_rule_knows_is_named_by_its_tensors(tmp_path: Path) -> None:
    state = timm.create_model("efficientnet_lite0").state_dict()
    below = {f"module.{name}": tensor for name, tensor in state.items()}
    said = inspect(saved(tmp_path / "a.pt", below)).output
    assert "name          efficientnet_lite0 in timm; or tf_efficientnet_lite0" in said
    assert "not known" not in said


class Harm:
    """What runs a command when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.file}",)


def test_code_in_a_pickle_is_named_and_not_run(tmp_path: Path) -> None:
    harm = tmp_path / "harm"
    file = saved(tmp_path / "a.pt", {"weight": torch.zeros(2), "x": Harm(harm)})
    [said] = inspect_weights(file).done
    assert said == f"1 object left unread ({os.name}.system)"
    assert not harm.exists()


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_without_an_archive_is_refused(tmp_path: Path, protocol: int) -> None:
    harm = tmp_path / "harm"
    content = pickle.dumps({"x": Harm(harm)}, protocol=protocol)
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises(WeightsError, match=r"no weights file|torch did not write"):
        inspect_weights(tmp_path / "a.pt")
    assert not harm.exists()


@pytest.mark.parametrize("wrapped", [True, False])
def test_tensors_without_names_are_one_clear_error(
    tmp_path: Path, wrapped: bool
) -> None:
    state = {1: torch.zeros(2)}
    file = saved(tmp_path / "a.pt", {"model": state} if wrapped else state)
    with pytest.raises(WeightsError, match="holds no tensors by name: it is a table"):
        inspect_weights(file)


@pytest.mark.parametrize(
    "value", [torch.tensor(1 + 2j), torch.zeros((), device="meta")]
)
def test_a_logit_scale_that_is_no_number_is_left_out(
    tmp_path: Path, value: torch.Tensor
) -> None:
    file = saved(tmp_path / "a.pt", {"logit_scale": value, "weight": torch.zeros(1)})
    assert inspect_weights(file).logit_scale is None


def test_objects_beside_tensors_are_left_unread_by_their_class(tmp_path: Path) -> None:
    content = {"model": state_of(SUPERVISED), "args": Namespace(lr=1)}
    file = saved(tmp_path / "a.pt", content)
    said = "1 object left unread (argparse.Namespace)"
    assert inspect_weights(file).done == ("entry 'model' chosen", said)


def test_of_a_whole_module_the_tensors_are_read(tmp_path: Path) -> None:
    file = saved(tmp_path / "a.pt", nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)))
    assert inspect_weights(file).shapes["0.weight"] == (2, 2)
    assert inspect_weights(file).shapes["1.running_mean"] == (2,)


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04cut"])
def test_what_is_no_weights_file_is_one_clear_error(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises(WeightsError, match=r"is damaged: it is |is a text, and no"):
        inspect_weights(tmp_path / "a.pt")


def test_a_file_without_tensors_is_one_clear_error(tmp_path: Path) -> None:
    file = saved(tmp_path / "a.pt", {"epoch": 3})
    with pytest.raises(WeightsError, match="by name: it is a table of epoch"):
        inspect_weights(file)


def test_the_part_of_a_file_that_would_load_is_named_as_a_load_names_it(
    tmp_path: Path,
) -> None:
    model = state_of(SUPERVISED)
    both = {
        f"{part}.{name}": tensor
        for part in ("encoder_q", "encoder_k")
        for name, tensor in model.items()
    }
    output = inspect(saved(tmp_path / "moco.pt", both)).output
    (line,) = (one for one in output.splitlines() if "vit-digits of embedded" in one)
    assert "not as" in line
    assert "name weights_key = 'encoder_q'" in line
