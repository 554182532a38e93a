from __future__ import annotations

import contextlib
import pickle
import re
import shlex
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from repro.cases import list_cases
from repro.errors import ExpectedError, NotAvailableError, WeightsError
from repro.files import DamageWarning, sealed
from repro.models.building import load_checkpoint
from repro.models.libraries.zoos import TimmLoader
from repro.models.weights import find_weights, verify_weights
from repro.published import ModelSpec, read_releases
from tests.stand_ins import read_state_dict

CPU = torch.device("cpu")
HERE = Path()
StateDict = dict[str, Tensor]

VIT = ModelSpec(
    id="vit",
    loader="timm",
    architecture="vit_tiny_patch16_224",
    options={"img_size": 32, "embed_dim": 24, "depth": 2, "num_heads": 2},
)
SWIN = ModelSpec(
    id="swin",
    loader="timm",
    architecture="swin_tiny_patch4_window7_224",
    options={
        "img_size": 56,
        "embed_dim": 12,
        "depths": [2, 2],
        "num_heads": [2, 2],
        "num_classes": 7,
    },
)
RESNET = ModelSpec(id="resnet", loader="timm", architecture="resnet10t")
#: The one asks for their values, the other for activations of some input.
COMPUTING = [
    ModelSpec(
        id="swin-v2",
        loader="timm",
        architecture="swinv2_tiny_window8_256",
        options={
            "num_classes": 3,
            "img_size": 64,
            "window_size": 2,
            "embed_dim": 16,
            "depths": [1, 1, 1, 1],
            "num_heads": [1, 1, 2, 2],
        },
    ),
    ModelSpec(
        id="hybrid",
        loader="timm",
        architecture="vit_tiny_r_s16_p8_224",
        options={"num_classes": 3, "img_size": 64, "depth": 1},
    ),
]


def plain_model(spec: ModelSpec) -> nn.Module:
    """Build a model as usual, with random weights and statistics."""
    torch.manual_seed(0)
    model: nn.Module = timm.create_model(
        spec.architecture, pretrained=False, **spec.options
    )
    state = model.state_dict()
    for tensor in state.values():
        if tensor.is_floating_point():
            tensor.add_(0.1 * torch.rand_like(tensor))
    return model.eval()


@torch.inference_mode()
def logits_of(model: nn.Module, side: int = 32) -> Tensor:
    torch.manual_seed(1)
    logits: Tensor = model(torch.randn(2, 3, side, side))
    return logits


def save_zip(state: StateDict, file: Path) -> None:
    torch.save(state, file)


def save_legacy(state: StateDict, file: Path) -> None:
    torch.save(state, file, _use_new_zipfile_serialization=False)


def save_safetensors(state: StateDict, file: Path) -> None:
    save_file(state, file)


@pytest.fixture
def vit_state() -> StateDict:
    return plain_model(VIT).state_dict()


@pytest.mark.parametrize(("spec", "side"), [(VIT, 32), (SWIN, 56), (RESNET, 64)])
@pytest.mark.parametrize(
    ("save", "name"),
    [
        (save_zip, "a.pt"),
        (save_legacy, "a.pth"),
        (save_legacy, "a.bin"),
        (save_safetensors, "a.safetensors"),
    ],
)
def test_a_loaded_model_gives_the_logits_of_the_saved_one(
    spec: ModelSpec,
    side: int,
    save: Callable[[StateDict, Path], None],
    name: str,
    tmp_path: Path,
) -> None:
    model = plain_model(spec)
    save(model.state_dict(), tmp_path / name)
    loaded = load_checkpoint(spec, HERE, tmp_path / name, CPU).model
    assert torch.equal(logits_of(loaded, side), logits_of(model, side))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_types_become_float32_as_copying_them_would(
    dtype: torch.dtype, vit_state: StateDict, tmp_path: Path
) -> None:
    converted = {name: tensor.to(dtype) for name, tensor in vit_state.items()}
    torch.save(converted, tmp_path / "a.pt")
    loaded = load_checkpoint(VIT, HERE, tmp_path / "a.pt", CPU).model
    plain = plain_model(VIT)
    plain.load_state_dict(converted)
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    assert torch.equal(logits_of(loaded), logits_of(plain))


def test_a_loaded_model_is_for_inference_and_keeps_no_gradients(
    vit_state: StateDict, tmp_path: Path
) -> None:
    torch.save(vit_state, tmp_path / "a.pt")
    loaded = load_checkpoint(VIT, HERE, tmp_path / "a.pt", CPU).model
    assert not loaded.training
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    assert not any(tensor.is_meta for tensor in loaded.state_dict().values())


class Tied(nn.Module):
    """Two layers with one matrix, and a buffer that no file holds."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(4, 4, bias=False)
        self.head = nn.Linear(4, 4)
        self.head.weight = self.embed.weight
        self.register_buffer("shift", torch.arange(4.0), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.head(self.embed(x) + self.shift)
        return output


@pytest.fixture
def tied(monkeypatch: pytest.MonkeyPatch) -> ModelSpec:
    monkeypatch.setattr(TimmLoader, "build", lambda self, spec, location: Tied())
    return ModelSpec(id="tied", loader="timm", architecture="Tied")


@pytest.mark.parametrize("same", [True, False])
def test_tied_parameters_stay_tied_and_the_last_entry_counts(
    same: bool, tied: ModelSpec, tmp_path: Path
) -> None:
    state = Tied().state_dict()
    if not same:
        state["head.weight"] = torch.rand(4, 4)
    torch.save(state, tmp_path / "a.pt")
    plain = Tied()
    plain.load_state_dict(state)
    loaded = load_checkpoint(tied, HERE, tmp_path / "a.pt", CPU).model
    assert isinstance(loaded, Tied)
    assert loaded.head.weight is loaded.embed.weight
    assert torch.equal(loaded(torch.ones(4)), plain(torch.ones(4)))


@pytest.mark.parametrize("spec", COMPUTING, ids=lambda spec: str(spec.architecture))
def test_a_model_that_computes_with_its_parameters_while_it_is_built_loads(
    spec: ModelSpec, tmp_path: Path
) -> None:
    model = plain_model(spec)
    torch.save(model.state_dict(), tmp_path / "a.pt")
    loaded = load_checkpoint(spec, HERE, tmp_path / "a.pt", CPU).model
    assert torch.equal(logits_of(loaded, 64), logits_of(model, 64))


def test_models_built_afterwards_are_initialised_as_usual(
    vit_state: StateDict, tmp_path: Path
) -> None:
    torch.save(vit_state, tmp_path / "a.pt")
    load_checkpoint(VIT, HERE, tmp_path / "a.pt", CPU)
    assert not nn.Linear(2, 2).weight.is_meta


class Payload:
    """Unpickling it writes a file."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.proof,)


@pytest.mark.parametrize("save", [save_zip, save_legacy])
def test_code_in_a_file_is_left_where_it_is_and_never_runs(
    save: Any, tmp_path: Path
) -> None:
    file, proof = tmp_path / "a.pt", tmp_path / "proof"
    save({"weight": torch.ones(1), "extra": Payload(proof)}, file)
    verify_weights(file, None)
    assert read_state_dict(file) == {"weight": torch.ones(1)}
    assert not proof.exists()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.load(file, weights_only=False)
    assert proof.exists(), "the payload does nothing, so it proves nothing"


def test_a_pickle_that_torch_did_not_write_is_refused(tmp_path: Path) -> None:
    file, proof = tmp_path / "a.pt", tmp_path / "proof"
    file.write_bytes(pickle.dumps({"extra": Payload(proof)}))
    with pytest.raises(WeightsError, match="a pickle that torch did not write, which"):
        read_state_dict(file)
    assert not proof.exists()


@pytest.mark.parametrize("save", [save_zip, save_legacy, save_safetensors])
@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.999])
def test_a_truncated_file_is_damaged(
    save: Callable[[StateDict, Path], None],
    kept: float,
    vit_state: StateDict,
    tmp_path: Path,
) -> None:
    file = tmp_path / ("a.safetensors" if save is save_safetensors else "a.pt")
    save(vit_state, file)
    content = file.read_bytes()
    file.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(WeightsError, match=rf"{file} .*damaged"):
        read_state_dict(file)


@pytest.mark.parametrize("place", [0.2, 0.5, 0.9])
def test_one_flipped_byte_is_noticed(
    place: float, vit_state: StateDict, tmp_path: Path
) -> None:
    file = tmp_path / "a.pt"
    torch.save(vit_state, file)
    verify_weights(file, None)
    content = bytearray(file.read_bytes())
    content[int(place * len(content))] ^= 1
    file.write_bytes(content)
    with pytest.raises(
        WeightsError, match=r"damaged: the checksum of its record \w+/da"
    ):
        verify_weights(file, None)


@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(name=st.sampled_from(["a.pt", "a.bin", "a.safetensors"]), data=st.data())
def test_a_damaged_file_is_read_or_refused_but_never_crashes(
    name: str, data: st.DataObject, tmp_path: Path
) -> None:
    file = tmp_path / name
    save = {"a.pt": save_zip, "a.bin": save_legacy, "a.safetensors": save_safetensors}
    save[name]({"weight": torch.ones(3), "bias": torch.ones(2, 2)}, file)
    content = bytearray(file.read_bytes())
    # The old format writes addresses of memory, in as many digits as they have.
    places = st.integers(0, 899)
    for position in data.draw(st.lists(places, min_size=1, max_size=5)):
        content[position % len(content)] ^= data.draw(st.integers(1, 255))
    file.write_bytes(content)
    with contextlib.suppress(WeightsError):
        verify_weights(file, None)
        assert isinstance(read_state_dict(file), dict)


def test_a_tensor_that_lacks_its_type_is_damaged(tmp_path: Path) -> None:
    file = tmp_path / "a.bin"
    save_legacy({"weight": torch.ones(3)}, file)
    content = file.read_bytes()
    assert b"_rebuild_tensor_v2" in content
    # The same function of another version, which gets one argument more.
    file.write_bytes(content.replace(b"_rebuild_tensor_v2", b"_rebuild_tensor_v3"))
    with pytest.raises(WeightsError, match="damaged"):
        verify_weights(file, None)


def test_a_hash_is_remembered_until_the_file_changes(
    vit_state: StateDict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if the file had lain there for two seconds.
    monkeypatch.setattr("repro.files.YOUNG_NANOSECONDS", -(10**9))
    file, cache = tmp_path / "a.pt", tmp_path / "cache"
    torch.save(vit_state, file)
    first = verify_weights(file, cache)
    (note,) = (cache / "weights").iterdir()
    note.write_bytes(sealed(b"what is remembered"))
    assert verify_weights(file, cache).sha256 == "what is remembered"
    vit_state["head.bias"] += 1
    torch.save(vit_state, file)
    second = verify_weights(file, cache)
    assert second.sha256 not in (first.sha256, "what is remembered")
    assert second == verify_weights(file, None)
    for note in (cache / "weights").iterdir():
        note.write_bytes(note.read_bytes()[:-1])
    with pytest.warns(DamageWarning, match="is not as it was written"):
        assert verify_weights(file, cache) == second


def test_a_hash_of_a_file_that_was_just_written_is_not_remembered(
    vit_state: StateDict, tmp_path: Path
) -> None:
    torch.save(vit_state, tmp_path / "a.pt")
    verify_weights(tmp_path / "a.pt", tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_a_cache_that_cannot_be_written_only_costs_time(
    vit_state: StateDict, tmp_path: Path
) -> None:
    file, cache = tmp_path / "a.pt", tmp_path / "cache"
    torch.save(vit_state, file)
    cache.touch()
    assert verify_weights(file, cache) == verify_weights(file, None)


def rename(state: StateDict) -> None:
    state["module.head.bias"] = state.pop("head.bias")


def reshape(state: StateDict) -> None:
    state["head.weight"] = state["head.weight"][:10]


def thin_out(state: StateDict) -> None:
    for name in [name for name in state if name.startswith("blocks.1.")]:
        del state[name]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            rename,
            "1 key is missing (head.bias), 1 key is unknown (module.head.bias). It",
        ),
        (
            reshape,
            "1 has another shape (head.weight [10, 24] instead of [1000, 24]). It",
        ),
        (
            thin_out,
            "12 keys are missing (blocks.1.norm1.weight, blocks.1.norm1.b",
        ),
    ],
)
def test_another_architecture_is_told_in_one_sentence(
    change: Callable[[StateDict], None],
    told: str,
    vit_state: StateDict,
    tmp_path: Path,
) -> None:
    change(vit_state)
    torch.save(vit_state, tmp_path / "a.pt")
    with pytest.raises(WeightsError) as caught:
        load_checkpoint(VIT, HERE, tmp_path / "a.pt", CPU)
    message = str(caught.value)
    assert f"a.pt does not fit timm vit_tiny_patch16_224: {told}" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (torch.ones(3), "holds no tensors by name: it is a single tensor. Ask"),
        ([torch.ones(3)], "holds no tensors by name: it is a list of 1 value. Ask"),
        ({}, "holds no tensors by name: it is empty. Ask"),
        ({"epoch": 3}, "holds no tensors by name: it is a table of epoch. Ask"),
    ],
)
def test_what_is_no_state_dict_is_refused(
    content: object, told: str, tmp_path: Path
) -> None:
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(WeightsError, match=told):
        load_checkpoint(VIT, HERE, tmp_path / "a.pt", CPU)


#: Of each of these timm raises something else.
WRONG: list[dict[str, Any]] = [
    *({"img_size": []}, {"patch_size": 0}, {"mlp_ratio": float("inf")}),
    *({"global_pool": "all"}, {"act_layer": "none"}, {"pretrained_cfg": 1}),
]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"loader": "keras"}, "loader 'keras'; there are timm, open_clip"),
        ({"architecture": "vit_giga"}, r"timm .* cannot build model 'vit'.*vit_giga"),
        ({"options": {"colour": 1}}, r"timm .* cannot build model 'vit'.*colour"),
        *(({"options": wrong}, "timm .* cannot build model 'vit'") for wrong in WRONG),
        ({"architecture": "hf-hub:timm/x"}, "'hf-hub:timm/x', which names a place"),
        ({"architecture": "local-dir:/tmp"}, "'local-dir:/tmp', which names a place"),
        (
            {"loader": "open_clip", "architecture": "hf-hub:x/y", "options": {}},
            "'hf-hub:x/y', which names a place",
        ),
        (
            {"loader": "open_clip", "architecture": "ViT-Q", "options": {}},
            r"open_clip .* cannot build model 'vit'",
        ),
    ],
)
def test_an_architecture_that_does_not_exist_is_an_error_of_the_spec(
    changes: dict[str, Any], told: str, vit_state: StateDict, tmp_path: Path
) -> None:
    torch.save(vit_state, tmp_path / "a.pt")
    fields: dict[str, Any] = {"loader": "timm", "architecture": VIT.architecture}
    spec = ModelSpec(id="vit", **(fields | changes))
    with pytest.raises(ExpectedError, match=told):
        load_checkpoint(spec, HERE, tmp_path / "a.pt", CPU)


@pytest.mark.parametrize("folder", [None, "my weights"])
def test_missing_weights_come_with_the_command_that_gets_them(
    folder: str | None, tmp_path: Path
) -> None:
    [release] = read_releases([Path("expected")])
    case = next(case for case in list_cases([release]) if case.kind == "clip")
    root = tmp_path / folder if folder else None

    with pytest.raises(NotAvailableError) as caught:
        find_weights(case, root)

    message = str(caught.value)
    link = release.families[case.family.id].folder
    assert message.endswith(f"(from {link})")
    command = re.search("run ([\"'])(.*)\\1, (or|then) ", message)
    assert command is not None
    assert shlex.split(command[2]) == [
        *("repro", "fetch", case.family.id),
        *("--checkpoints", str(root) if root else "DIR"),
    ]


def test_statistics_of_batches_are_no_normalisation_of_images(tmp_path: Path) -> None:
    torch.save(timm.create_model("resnet10t").state_dict(), tmp_path / "a.pt")
    spec = ModelSpec(id="m", loader="timm", architecture="resnet50")
    with pytest.raises(WeightsError, match="does not fit timm resnet50") as caught:
        load_checkpoint(spec, tmp_path, tmp_path / "a.pt", torch.device("cpu"))
    assert "normalises" not in str(caught.value)
