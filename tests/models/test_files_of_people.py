"""Weights as people have them load as in a plain loop of torch, or say why not."""

from __future__ import annotations

import argparse
import datetime
import enum
import gzip
import io
import json
import pickle
import sys
import tarfile
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from repro.errors import NotAvailableError, WeightsError
from repro.models.building import load_checkpoint
from repro.models.inspection import inspect_weights
from repro.models.libraries.zoos import TimmLoader
from repro.models.skeleton import fitting_model
from repro.published import ModelSpec
from tests.stand_ins import read_state_dict

from .small import BUILDERS, VIT, State, built, predictions

CPU = torch.device("cpu")
Save = Callable[[State, Path], None]


def spec_of(architecture: str, weights_key: str = "") -> ModelSpec:
    return ModelSpec(
        id="m", loader="timm", architecture=architecture, weights_key=weights_key
    )


@pytest.fixture(autouse=True)
def small_architectures(monkeypatch: pytest.MonkeyPatch) -> None:
    build = TimmLoader.build

    def small(self: TimmLoader, spec: ModelSpec, location: Path) -> nn.Module:
        if spec.architecture in BUILDERS:
            return BUILDERS[spec.architecture]()
        return build(self, spec, location)

    monkeypatch.setattr(TimmLoader, "build", small)


class Color(enum.Enum):
    RED = "red"


def renamed(state: State, old: str, new: str) -> State:
    found = OrderedDict((name.replace(old, new), t) for name, t in state.items())
    assert found.keys() != state.keys()
    return found


def below(prefix: str, *entries: str) -> Save:
    """Save a state dict with a prefix, under entries within each other."""

    def save(state: State, file: Path) -> None:
        content: Any = OrderedDict((prefix + n, t) for n, t in state.items())
        for entry in reversed(entries):
            content = {entry: content, "epoch": 3}
        torch.save(content, file)

    return save


def beside(**others: Any) -> Save:
    def save(state: State, file: Path) -> None:
        torch.save({"model": state, **others}, file)

    return save


def in_it(**others: torch.Tensor) -> Save:
    def save(state: State, file: Path) -> None:
        torch.save({**state, **others}, file)

    return save


def legacy(state: State, file: Path) -> None:
    content = {"state_dict": below_names("module.", state), "best_prec1": 91.6}
    torch.save(content, file, _use_new_zipfile_serialization=False)


def below_names(prefix: str, state: State) -> State:
    return OrderedDict((prefix + name, tensor) for name, tensor in state.items())


def protocol_4(state: State, file: Path) -> None:
    torch.save({"model": state, "at": Path("a")}, file, pickle_protocol=4)


def without_counts(state: State, file: Path) -> None:
    torch.save({n: t for n, t in state.items() if "num_batches" not in n}, file)


def counts_in_lists(state: State, file: Path) -> None:
    torch.save({n: t.reshape(1) if t.ndim == 0 else t for n, t in state.items()}, file)


def script(state: State, file: Path) -> None:
    torch.jit.save(torch.jit.script(holder(state)), file)


def whole(state: State, file: Path) -> None:
    torch.save({"model": holder(state), "epoch": 1}, file)


class Holder(nn.Module):
    """A program that has nothing but tensors, by the names of others."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def holder(state: State) -> nn.Module:
    root = Holder()
    for name, value in state.items():
        *path, last = name.split(".")
        place: nn.Module = root
        for part in path:
            if not hasattr(place, part):
                place.add_module(part, Holder())
            place = getattr(place, part)
        place.register_buffer(last, value)
    return root


def sharded(state: State, file: Path) -> None:
    names = list(state)
    shards = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for shard, own in shards.items():
        save_file({name: state[name] for name in own}, file.with_name(shard))
    index = {name: shard for shard, own in shards.items() for name in own}
    file.write_text(json.dumps({"metadata": {}, "weight_map": index}))


def arrays(state: State, file: Path) -> None:
    plain: dict[str, Any] = {name: t.numpy() for name, t in state.items()}
    with file.open("wb") as stream:
        np.savez(stream, **plain)


def compressed(state: State, file: Path) -> None:
    plain: dict[str, Any] = {n: np.asfortranarray(t.numpy()) for n, t in state.items()}
    with file.open("wb") as stream:
        np.savez_compressed(stream, **plain)


def of_2021(state: State, file: Path) -> None:
    names = renamed(
        renamed(state, "mlp.0.", "mlp.linear_1."), "mlp.3.", "mlp.linear_2."
    )
    torch.save(names, file)


def of_2017(state: State, file: Path) -> None:
    old = state
    for kind in ("norm", "conv"):
        for number in "12":
            old = renamed(old, f".{kind}{number}.", f".{kind}.{number}.")
    torch.save(old, file)


def of_openai(state: State, file: Path) -> None:
    size = state["positional_embedding"].shape[0]
    more = {
        "input_resolution": torch.tensor(32),
        "context_length": torch.tensor(size),
        "vocab_size": torch.tensor(32),
        "attn_mask": torch.full((size, size), -torch.inf).triu(1),
    }
    torch.save({**state, **more}, file)


def swin_with_masks(state: State, file: Path) -> None:
    own = dict(BUILDERS["swin"]().named_buffers())
    more = {name: own[name] for name in own if name not in state}
    assert any("attn_mask" in name for name in more)
    torch.save({**state, **more}, file)


def averaged(state: State, file: Path) -> None:
    content = below_names("module.", state)
    torch.save({"n_averaged": torch.tensor(7), **content}, file)


def with_optimizer(state: State, file: Path) -> None:
    of_first = {"exp_avg": torch.zeros(2), "step": torch.tensor(1.0)}
    by_name = {"state": {"conv1.weight": of_first}}
    torch.save({"model": state, "optimizer": by_name, "rng": torch.zeros(3)}, file)


def of_lightning(state: State, file: Path) -> None:
    of_first = {0: {"exp_avg": torch.zeros(2)}}
    content = {
        "state_dict": below_names("model.", state),
        "hyper_parameters": {"lr": 0.1},
        "optimizer_states": [{"state": of_first, "param_groups": []}],
    }
    torch.save(content, file)


def itself(state: State, file: Path) -> None:
    """Save a whole module, which nobody has to unpickle for its tensors."""
    torch.save(holder(state), file)


def scale_in_list(state: State, file: Path) -> None:
    torch.save({**state, "logit_scale": state["logit_scale"].reshape(1)}, file)


def as_mmpretrain(state: State, file: Path) -> None:
    """Save a body and a head that are called as in the architecture."""
    head = {n: t for n, t in state.items() if n.startswith("linear.")}
    body = {n: t for n, t in state.items() if n not in head}
    parts = {**below_names("backbone.", body), **below_names("head.", head)}
    torch.save({"meta": {"epoch": 3}, "state_dict": parts}, file)


SAFETENSORS = save_file
OBJECTS = beside(
    args=argparse.Namespace(lr=0.1, data=Path("images")),
    best=np.float64(0.5),
    kind=Color.RED,
    when=datetime.datetime(2020, 1, 1),
)
#: Python 3.13 writes another module of its classes of paths into pickles.
PATH = f"{type(Path()).__module__}.PosixPath"
LEFT = f"6 objects left unread (argparse.Namespace, {PATH}, numpy.dt"

#: Architecture, name of the file, how it is saved, what is said of it.
LOADED: list[tuple[str, str, Save, str]] = [
    ("cifar", "a.pth", below("module."), "prefix 'module.' removed"),
    ("cifar", "a.pt", below("_orig_mod."), "wrappers of torch removed"),
    ("cifar", "a.pt", below("model.", "state_dict"), "prefix 'model.' removed"),
    ("cifar", "a.pt", below("net."), "prefix 'net.' removed"),
    ("cifar", "a.pt", below("backbone."), "prefix 'backbone.' removed"),
    ("cifar", "a.pt", below("encoder."), "prefix 'encoder.' removed"),
    ("cifar", "a.pt", below("module._orig_mod.model."), "prefix 'module.model.' rem"),
    ("cifar", "a.pt", below("model.module."), "prefix 'model.module.' removed"),
    ("vit", "a.pt", below("net.encoder.", "ema"), "prefix 'net.encoder.' removed"),
    ("cifar", "a.pt", below("student."), "prefix 'student.' removed"),
    ("cifar", "a.pt", below("module.encoder_q."), "prefix 'module.encoder_q.' remov"),
    ("vit", "a.pt", below("trunk.base_model."), "prefix 'trunk.base_model.' removed"),
    ("cifar", "a.pt", below("_checkpoint_wrapped_module."), "wrappers of torch rem"),
    ("cifar", "a.pt", below("", "state_dict", "model"), "entry 'state_dict.model' ch"),
    ("cifar", "a.th", legacy, "prefix 'module.' removed; entry 'state_dict' chosen"),
    ("cifar", "a.pth.tar", legacy, "prefix 'module.' removed"),
    ("cifar", "a.pt", without_counts, ""),
    ("cifar", "a.pt", counts_in_lists, ""),
    ("cifar", "a.ckpt", OBJECTS, LEFT),
    ("cifar", "a.pt", protocol_4, "1 object left unread (pathlib."),
    ("cifar", "a.pt", with_optimizer, "entry 'model' chosen"),
    ("cifar", "a.pt", averaged, "n_averaged left out"),
    ("cifar", "a.pth", as_mmpretrain, "parts 'backbone.' and 'head.' joined"),
    ("cifar", "a.pt", below("module.", "ema_state_dict"), "prefix 'module.' removed"),
    ("cifar", "a.ckpt", of_lightning, "prefix 'model.' removed"),
    ("cifar", "a.pt", beside(ds_config={}, ds_version="0.9"), "entry 'model' chosen"),
    ("cifar", "a.pt", itself, ""),
    ("cifar", "a.jit", script, "code left unread"),
    ("cifar", "a.pt", whole, "entry 'model' chosen"),
    ("clip", "a.pt", script, "code left unread"),
    ("clip", "a.pt", of_openai, "input_resolution, context_length, vocab_size, attn_m"),
    ("clip", "a.pt", scale_in_list, ""),
    ("torchvision vit", "a.pt", of_2021, "names of 2021 replaced (ViT)"),
    ("densenet", "a.pth", of_2017, "names of 2017 replaced (DenseNet)"),
    ("swin", "a.pt", swin_with_masks, ""),
    ("vit", "a.safetensors", SAFETENSORS, ""),
    ("vit", "a.bin", SAFETENSORS, ""),
    ("vit", "a.safetensors", below(""), ""),
    ("vit", "a.safetensors.index.json", sharded, ""),
    ("vit", "a.npz", arrays, ""),
    ("vit", "a.npz", compressed, ""),
    ("resnet", "a.pt", in_it(total_ops=torch.zeros(1)), "total_ops left out"),
]


@pytest.mark.parametrize(("architecture", "name", "save", "told"), LOADED)
def test_what_people_have_gives_the_predictions_of_a_plain_loop(
    architecture: str, name: str, save: Save, told: str, tmp_path: Path
) -> None:
    plain = built(architecture)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is old.
        save(
            {n: t.contiguous() for n, t in plain.state_dict().items()}, tmp_path / name
        )
    loaded = load_checkpoint(spec_of(architecture), tmp_path, tmp_path / name, CPU)
    assert torch.equal(predictions(loaded.model), predictions(plain))
    said = "; ".join(loaded.done)
    assert told in said
    assert bool(told) == bool(said)


@pytest.mark.parametrize("key", ["state_dict", "state_dict.model", "0", "epoch", "1.2"])
def test_a_key_is_a_word_a_number_or_one_in_another(key: str, tmp_path: Path) -> None:
    state = built("cifar").state_dict()
    content = {"state_dict": {"model": state}, 0: dict(state), "epoch": {"a": 3}}
    torch.save(content, tmp_path / "a.pt")
    if key in {"state_dict.model", "0"}:
        load_checkpoint(spec_of("cifar", key), tmp_path, tmp_path / "a.pt", CPU)
        return
    with pytest.raises(WeightsError, match=r"weights_key can be state_dict\.model, 0"):
        load_checkpoint(spec_of("cifar", key), tmp_path, tmp_path / "a.pt", CPU)


def test_an_average_beside_raw_weights_is_never_chosen(tmp_path: Path) -> None:
    state = built("cifar").state_dict()
    raw = below_names("module.", {n: t + 1 for n, t in state.items()})
    torch.save({"state_dict": raw, "ema": state}, tmp_path / "a.pt")
    with pytest.raises(WeightsError, match="under state_dict, ema, and the model does"):
        load_checkpoint(spec_of("cifar"), tmp_path, tmp_path / "a.pt", CPU)
    chosen = load_checkpoint(
        spec_of("cifar", "ema"), tmp_path, tmp_path / "a.pt", CPU
    ).model
    assert torch.equal(predictions(chosen), predictions(built("cifar")))


def test_an_average_that_counts_its_steps_is_a_rival_too(tmp_path: Path) -> None:
    state = built("cifar").state_dict()
    average = {"steps": torch.tensor(3), **below_names("module.", state)}
    torch.save({"state_dict": state, "ema_state_dict": average}, tmp_path / "a.pt")
    with pytest.raises(WeightsError, match="under state_dict, ema_state_dict, and"):
        load_checkpoint(spec_of("cifar"), tmp_path, tmp_path / "a.pt", CPU)


def test_a_random_generator_beside_what_is_published_is_no_rival(
    tmp_path: Path,
) -> None:
    name = "test_resnet.r160_in1k"
    plain = timm.create_model(name, pretrained=False).eval().requires_grad_(False)
    with_optimizer(plain.state_dict(), tmp_path / "a.pt")
    loaded = load_checkpoint(spec_of(name), tmp_path, tmp_path / "a.pt", CPU)
    assert torch.equal(predictions(loaded.model), predictions(plain))
    assert loaded.done == ("entry 'model' chosen",)


def test_of_several_entries_the_only_one_that_fits_is_taken(tmp_path: Path) -> None:
    content = {
        "model": built("cifar").state_dict(),
        "teacher": built("vit").state_dict(),
    }
    torch.save(content, tmp_path / "a.pt")
    loaded = load_checkpoint(spec_of("vit"), tmp_path, tmp_path / "a.pt", CPU)
    assert loaded.done == ("entry 'teacher' chosen",)


def jax(model: Any) -> dict[str, Any]:
    """Name and turn the weights of a ViT as big_vision publishes them."""
    state = {name: t.numpy() for name, t in model.state_dict().items()}
    heads = model.blocks[0].attn.num_heads
    found = {
        "embedding/kernel": state["patch_embed.proj.weight"].transpose(2, 3, 1, 0),
        "embedding/bias": state["patch_embed.proj.bias"],
        "cls": state["cls_token"],
        "Transformer/posembed_input/pos_embedding": state["pos_embed"],
        "Transformer/encoder_norm/scale": state["norm.weight"],
        "Transformer/encoder_norm/bias": state["norm.bias"],
        "head/kernel": state["head.weight"].T,
        "head/bias": state["head.bias"],
    }
    for block in range(len(model.blocks)):
        ours, theirs = f"blocks.{block}.", f"Transformer/encoderblock_{block}/"
        for norm, place in (("norm1", 0), ("norm2", 2)):
            found[f"{theirs}LayerNorm_{place}/scale"] = state[f"{ours}{norm}.weight"]
            found[f"{theirs}LayerNorm_{place}/bias"] = state[f"{ours}{norm}.bias"]
        attention = f"{theirs}MultiHeadDotProductAttention_1/"
        weights = np.split(state[f"{ours}attn.qkv.weight"], 3)
        biases = np.split(state[f"{ours}attn.qkv.bias"], 3)
        parts = zip(("query", "key", "value"), weights, biases, strict=True)
        for part, weight, bias in parts:
            width = weight.shape[1]
            found[f"{attention}{part}/kernel"] = weight.T.reshape(width, heads, -1)
            found[f"{attention}{part}/bias"] = bias.reshape(heads, -1)
        out = state[f"{ours}attn.proj.weight"].T
        found[f"{attention}out/kernel"] = out.reshape(heads, -1, out.shape[1])
        found[f"{attention}out/bias"] = state[f"{ours}attn.proj.bias"]
        for layer, place in (("fc1", 0), ("fc2", 1)):
            dense = f"{theirs}MlpBlock_3/Dense_{place}/"
            found[f"{dense}kernel"] = state[f"{ours}mlp.{layer}.weight"].T
            found[f"{dense}bias"] = state[f"{ours}mlp.{layer}.bias"]
    return found


def test_arrays_of_jax_give_the_predictions_of_timm_without_a_tag(
    tmp_path: Path,
) -> None:
    plain, other = built("vit"), timm.create_model("vit_tiny_patch16_224", **VIT)
    np.savez(tmp_path / "a.npz", **jax(plain))
    other.load_pretrained(str(tmp_path / "a.npz"))
    loaded = load_checkpoint(spec_of("vit"), tmp_path, tmp_path / "a.npz", CPU).model
    assert torch.equal(predictions(loaded), predictions(plain))
    assert torch.equal(predictions(loaded), predictions(other.eval()))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"img_size": 64}, "it is of another image size, head or depth"),
        ({"num_classes": 12}, "it is of another image size, head or depth"),
        ({"depth": 1}, "it is of another image size, head or depth"),
    ],
)
def test_arrays_of_another_model_are_neither_resized_nor_left_out(
    change: dict[str, int], told: str, tmp_path: Path
) -> None:
    np.savez(tmp_path / "a.npz", **jax(built("vit")))
    options = {**VIT, **change}
    spec = ModelSpec(
        id="m", loader="timm", architecture="vit_tiny_patch16_224", options=options
    )
    with pytest.raises(WeightsError, match=told):
        load_checkpoint(spec, tmp_path, tmp_path / "a.npz", CPU)


def written(content: bytes) -> Save:
    def save(_: State, file: Path) -> None:
        file.write_bytes(content)

    return save


def zipped(state: State, file: Path) -> None:
    stream = io.BytesIO()
    torch.save(state, stream)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("weights/model.pt", stream.getvalue())


def tarred(state: State, file: Path) -> None:
    torch.save(state, file.with_name("inside"))
    with tarfile.open(file, "w") as archive:
        archive.add(file.with_name("inside"))


def quantised(state: State, file: Path) -> None:
    kind = torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)
    torch.save({**state, "conv1.weight": kind}, file)


def changed(**others: torch.Tensor) -> Save:
    names = {name.replace("__", "."): tensor for name, tensor in others.items()}
    return lambda state, file: torch.save({**state, **names}, file)


def frozen(state: State, file: Path) -> None:
    torch.jit.save(torch.jit.freeze(torch.jit.script(Holder().eval())), file)


def part_of_another(state: State, file: Path) -> None:
    """As mmclassification and its like save them."""
    head = {f"head.fc.{n[7:]}": t for n, t in state.items() if n.startswith("linear.")}
    body = {f"backbone.{n}": t for n, t in state.items() if not n.startswith("linear.")}
    torch.save({"meta": {}, "state_dict": body | head}, file)


def as_vissl(state: State, file: Path) -> None:
    body = {n: t for n, t in state.items() if not n.startswith("linear.")}
    trunk = below_names("base_model._feature_blocks.", body)
    inside = {"model": {"trunk": trunk, "heads": {}}, "meters": {}}
    torch.save({"classy_state_dict": {"base_model": inside}}, file)


def in_two_parts(state: State, file: Path) -> None:
    """Save what MoCo trains: two encoders and a queue."""
    both = {
        **below_names("module.encoder_k.", {n: t + 1 for n, t in state.items()}),
        **below_names("module.encoder_q.", state),
    }
    torch.save({"state_dict": {**both, "module.queue": torch.ones(2, 4)}}, file)


def of_export(_: State, file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/archive_format", "pt2")
        archive.writestr("a/data/sample_inputs/model.pt", b"")


def weight_norm(state: State, file: Path) -> None:
    model = built("cifar")
    nn.utils.parametrizations.weight_norm(model.get_submodule("linear"))
    torch.save(model.state_dict(), file)


def distilled(state: State, file: Path) -> None:
    torch.save(built("deit").state_dict(), file)


def normalised(state: State, file: Path) -> None:
    names = {"0.mean": torch.zeros(3), "0.std": torch.ones(3)}
    torch.save({**names, **below_names("1.", state)}, file)


def only(**content: Any) -> Save:
    return lambda _, file: torch.save(content, file)


def of_numpy(state: State, file: Path) -> None:
    torch.save({name: tensor.numpy() for name, tensor in state.items()}, file)


def of_keras(_: State, file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", b"\x89HDF")


def in_parts(_: State, file: Path) -> None:
    file.mkdir()
    (file / "__0_0.distcp").write_bytes(b"part")


HTML = b"\n<!DOCTYPE html><html><title>Google Drive - Virus scan warning</title></html>"
XML = b'<?xml version="1.0"?>\n'
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"

#: Architecture, how it is saved, what is said.
REFUSED: list[tuple[str, Save, str]] = [
    ("cifar", written(LFS), r"is a git-lfs pointer; run 'git lfs pull'"),
    ("cifar", written(HTML), "is a web page; download the file itself"),
    ("cifar", written(gzip.compress(b"weights")), "gzip archive; unpack it"),
    ("cifar", written(b"\x89HDF\r\n\x1a\n"), "is an HDF5 file of Keras"),
    ("cifar", written(b'{"epoch": 3}'), "is a file of JSON that is no index of shards"),
    ("cifar", written(b""), "is damaged: it is empty"),
    ("cifar", written(b"\0" * 5000), "is damaged: it begins with zeros"),
    ("cifar", written(b"/annex/objects/MD5E-s9--1.pt\n"), "run 'git annex get'"),
    ("cifar", written(b"Access denied\n"), "is a text, and no weights: 'Access d"),
    ("cifar", written(XML + b"<Error>no key"), "is a text, and no weights: '<.xml"),
    ("cifar", written(XML + b'<net name="a">'), "is of OpenVINO, which no loader"),
    ("cifar", written(b"\n\x08ResNet\xa2\x06"), "if another program wrote it, save"),
    ("cifar", of_export, r"is a program of torch\.export, which no loader reads"),
    ("cifar", written(pickle.dumps({"a": 1})), "pickle that torch did not write"),
    ("cifar", zipped, r"is a zip that holds weights/model\.pt; unpack it first"),
    ("cifar", tarred, "is a tar archive; unpack it first"),
    ("cifar", quantised, r"holds tensors that are quantised \(conv1\.weight\)"),
    ("cifar", changed(bn1__bias=torch.eye(8).to_sparse()), "are sparse"),
    (
        "cifar",
        changed(bn1__bias=torch.zeros(8).to(torch.float8_e4m3fn)),
        r"are float8_e4m3fn \(bn1\.bias\)",
    ),
    ("cifar", frozen, "is a frozen TorchScript program"),
    (
        "cifar",
        part_of_another,
        r"are missing \(linear\.weight, linear\.bias\), 2 keys a",
    ),
    ("cifar", as_vissl, "trunk' chosen.*it is a body without this head, as of pretr"),
    (
        "cifar",
        in_two_parts,
        "below 'module.encoder_k' and below 'module.encoder_q': to take these alone, "
        "name weights_key = 'state_dict.module.encoder_k', or likewise",
    ),
    ("cifar", changed(linear__SCB=torch.ones(10)), "quantised by bitsandbytes"),
    ("cifar", weight_norm, "weights are normalised: remove parametrizations"),
    (
        "cifar",
        changed(bn1__bias=torch.ones(8, dtype=torch.complex64)),
        "has complex numbers, which are no weights",
    ),
    ("cifar", written(b"\x82\xa6params\x81\xa5conv1"), "is of Flax, which no loader"),
    (
        "cifar",
        written(b"\x08\x04\x12\x8a\x01\n\x10\n\x05image"),
        "of Core ML or Tensor",
    ),
    ("cifar", of_keras, "is an archive of Keras, which no loader reads"),
    ("cifar", in_parts, "parts of a distributed checkpoint; join them"),
    ("cifar", lambda _, file: file.mkdir(), "is a folder; name a weights file in it"),
    ("cifar", of_numpy, "Its arrays are NumPy's: save each as a tensor"),
    (
        "cifar",
        only(state={}, param_groups=[{"lr": 1}]),
        "an optimizer's: the weights a",
    ),
    ("cifar", only(optimizer_state_dict={}, ds_version="0.9"), "Join the parts with z"),
    (
        "vit",
        only(**{"m.blocks.0.attn.qkv.lora_A.weight": torch.ones(2)}),
        "of LoRA: me",
    ),
    (
        "vit",
        only(**{"vit.encoder.layer.0.attention.attention.key.bias": torch.ones(2)}),
        "names of transformers: convert them",
    ),
    ("vit", only(**{"_fsdp.flat_param": torch.ones(2)}), "it is a part of FSDP: save"),
    ("vit", distilled, "these are weights of a distilled DeiT"),
    (
        "vit",
        changed(pos_embed=torch.zeros(1, 17, 24)),
        "position embeddings of another image size",
    ),
    (
        "vit",
        changed(
            head__weight=torch.zeros(21843, 24),
            head__bias=torch.zeros(21843),
        ),
        "a head of ImageNet-21k: give num_classes as an option",
    ),
    ("vit", normalised, "weights_key = '1', and write its mean and std into the prot"),
    ("vit", in_it(mean=torch.zeros(3)), "its model normalises images itself: build i"),
    ("vit", in_it(extra=torch.zeros(3)), r"1 key is unknown \(extra\)"),
    ("clip", in_it(attn_mask=torch.zeros(8, 8)), r"1 key is unknown \(attn_mask\)"),
]


@pytest.mark.filterwarnings("ignore")  # of torch, about what is old or quantised
@pytest.mark.parametrize(("architecture", "save", "told"), REFUSED)
def test_what_does_not_load_is_told_in_one_sentence_that_leads_on(
    architecture: str, save: Save, told: str, tmp_path: Path
) -> None:
    file = tmp_path / "a.pt"
    save(dict(built(architecture).state_dict()), file)
    with pytest.raises(WeightsError, match=told) as caught:
        load_checkpoint(spec_of(architecture), tmp_path, file, CPU)
    message = str(caught.value)
    assert str(file) in message
    assert "\n" not in message
    assert len(message) <= 500


@pytest.mark.parametrize("save", [in_two_parts, normalised])
def test_a_key_can_name_what_names_of_tensors_begin_with(
    save: Save, tmp_path: Path
) -> None:
    save(dict(built("cifar").state_dict()), tmp_path / "a.pt")
    key = "state_dict.module.encoder_q" if save is in_two_parts else "1"
    chosen = load_checkpoint(
        spec_of("cifar", key), tmp_path, tmp_path / "a.pt", CPU
    ).model
    assert torch.equal(predictions(chosen), predictions(built("cifar")))


@pytest.mark.parametrize(
    ("model", "options", "fits"),
    [
        ("vit_tiny_patch16_384", {}, "timm vit_tiny_patch16_384, num_classes = 1000"),
        ("deit_tiny_distilled_patch16_224", {}, "timm deit_tiny_distilled_patch16_224"),
        ("vit_tiny_patch16_224", {"num_classes": 21843}, ", num_classes = 21843: name"),
        ("vit_tiny_patch16_224", {"img_size": 96}, ", img_size = 96: name that as"),
    ],
)
def test_weights_of_another_model_are_told_with_the_model_that_fits(
    model: str, options: dict[str, int], fits: str, tmp_path: Path
) -> None:
    torch.save(timm.create_model(model, **options).state_dict(), tmp_path / "a.pt")
    with pytest.raises(WeightsError, match=f"Every name and shape fits .*{fits}") as e:
        load_checkpoint(
            spec_of("vit_tiny_patch16_224"), tmp_path, tmp_path / "a.pt", CPU
        )
    assert len(str(e.value)) <= 500


def test_shards_that_are_not_there_are_counted(tmp_path: Path) -> None:
    sharded(built("vit").state_dict(), tmp_path / "a.safetensors.index.json")
    (tmp_path / "b.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"names b\.safetensors, .* 2 shards into"):
        read_state_dict(tmp_path / "a.safetensors.index.json")


def test_a_program_of_openai_is_what_open_clip_makes_of_its_tensors(
    tmp_path: Path,
) -> None:
    # Its tag names what open_clip publishes; options make it small.
    options: dict[str, Any] = {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8},
        "text_cfg": {
            **{"context_length": 8, "vocab_size": 32, "width": 64},
            **{"heads": 1, "layers": 1},
        },
    }
    torch.manual_seed(0)
    plain: Any = open_clip.create_model(
        "RN50-quickgelu", load_weights=False, device=None, **options
    )
    state = {name: tensor.half() for name, tensor in plain.state_dict().items()}
    beside = {"input_resolution": torch.tensor(32), "vocab_size": torch.tensor(32)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is old.
        script({**state, **beside}, tmp_path / "RN50.pt")
    spec = ModelSpec(
        id="m", loader="open_clip", architecture="RN50.openai", options=options
    )
    loaded = load_checkpoint(spec, tmp_path, tmp_path / "RN50.pt", CPU)
    plain.load_state_dict(state)
    found = predictions(loaded.model)
    assert torch.equal(found, predictions(plain.eval().requires_grad_(False)))
    assert loaded.done[-1] == "code left unread"


def test_a_template_names_the_architecture_of_weights_with_prefixes(
    tmp_path: Path,
) -> None:
    state = timm.create_model("vit_tiny_patch16_224").state_dict()
    below("model._orig_mod.", "state_dict")(state, tmp_path / "a.ckpt")
    found = inspect_weights(tmp_path / "a.ckpt")
    spec = fitting_model(found.shapes, found.entry)
    assert spec is not None
    assert (spec.architecture, spec.weights_key) == (
        "vit_tiny_patch16_224",
        "state_dict",
    )
    assert found.prefix == "model."


def test_onnx_asks_for_the_packages_that_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    (tmp_path / "w.onnx").write_bytes(b"\x08\x07\x12\x07pytorch\x1a\x052.1.0:\x9a\x01")
    with pytest.raises(NotAvailableError, match=r"run pip install 'pytest-repro\[onnx"):
        inspect_weights(tmp_path / "w.onnx")
