"""Models of each library, from files, give what the library itself gives."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torchvision
from huggingface_hub import constants
from PIL import Image
from timm.data import create_transform, resolve_data_config
from torch import Tensor, nn
from torchvision.datasets.folder import default_loader

from repro.cases import Case
from repro.data.geometry import planar_pixels
from repro.errors import ExpectedError, NotAvailableError, WeightsError
from repro.evaluation.classifier import Classifier
from repro.extensions import installed
from repro.importing.preprocessing import (
    Preprocessing,
    timm_preprocessing,
    torchvision_preprocessing,
)
from repro.models.building import load_checkpoint
from repro.models.libraries import find_loader
from repro.models.libraries.common import building
from repro.models.weights import find_weights
from repro.published import LOADERS, ModelSpec, Protocol

from ..releases import FAMILY, fault_of, read_release, release_toml

CPU = torch.device("cpu")
INCEPTION = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}

VIT = {"depth": 2, "embed_dim": 48, "num_heads": 3}
SWIN = {"depths": (1, 2, 1, 1), "embed_dim": 24, "num_heads": (1, 2, 2, 4)}
VIT_OF_98 = VIT | {"img_size": 98, "num_classes": 10}

#: Until 1.0.30 timm resized by its default for a crop that is not square.
NOT_SQUARE = {"input_size": (3, 96, 128), "interpolation": "bilinear"}
#: Published names of timm's small models, or of larger ones that options make small;
#: what its own transform is made with; the options.
OF_TIMM: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("test_resnet.r160_in1k", {}, {}),
    ("test_vit.r160_in1k", INCEPTION, {}),
    ("test_vit3.r160_in1k", {"crop_mode": "squash"}, {}),
    ("test_convnext.r160_in1k", {"crop_pct": 0.875}, {}),
    ("test_efficientnet.r160_in1k", {"crop_mode": "border", "crop_pct": 0.9}, {}),
    ("test_efficientnet_gn.r160_in1k", {"crop_mode": "squash"}, {}),
    ("vit_small_patch32_224.augreg_in21k_ft_in1k", {"interpolation": "bilinear"}, VIT),
    ("vit_small_patch14_dinov2.lvd142m", {"input_size": (3, 98, 98)}, VIT_OF_98),
    ("swin_tiny_patch4_window7_224.ms_in1k", {}, SWIN),
    ("test_nfnet.r160_in1k", NOT_SQUARE | {"crop_pct": 0.9}, {}),
    ("mobilenetv3_small_050.lamb_in1k", {"input_size": (3, 96, 96)}, {}),
]
OF_TORCHVISION = [
    "squeezenet1_1.IMAGENET1K_V1",
    "shufflenet_v2_x0_5.IMAGENET1K_V1",
    "mobilenet_v3_small.IMAGENET1K_V1",
    "googlenet.IMAGENET1K_V1",
]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("photographs")
    random = np.random.default_rng(0)
    files = [folder / f"{number}.png" for number in range(3)]
    for file, size in zip(files, [(200, 300), (320, 240), (90, 100)], strict=True):
        pixels = random.integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(file)
    return files


def spec_of(loader: str, architecture: str, **options: Any) -> ModelSpec:
    return ModelSpec(id="m", loader=loader, architecture=architecture, options=options)


def scrambled(model: nn.Module) -> nn.Module:
    """Give normalisation layers statistics, and heads that start at zero weights."""
    torch.manual_seed(1)
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand_like(tensor) * 0.1 + 0.01)
    # torch 2.10 multiplies in another order where a gradient is wanted.
    return model.eval().requires_grad_(False)


def measured(
    photographs: list[Path],
    ours: Preprocessing,
    model: nn.Module,
    columns: Sequence[int] | None = None,
) -> Tensor:
    protocol = Protocol(
        id="p", geometry=ours.geometry, mean=ours.mean, std=ours.std, source="s"
    )
    size = protocol.geometry_steps.output_size
    pixels = np.empty((len(photographs), 3, *size), np.uint8)
    for path, output in zip(photographs, pixels, strict=True):
        planar_pixels(path, [protocol.geometry_steps], [output])
    classifier = Classifier(model, protocol.mean, protocol.std, CPU, columns=columns)
    return classifier(torch.from_numpy(pixels))


@torch.inference_mode()
def plain_loop(photographs: list[Path], transform: Any, model: nn.Module) -> Tensor:
    images = [transform(default_loader(str(path))) for path in photographs]
    logits: Tensor = model(torch.stack(images))
    return logits


@pytest.mark.parametrize(("name", "changed", "options"), OF_TIMM)
def test_a_checkpoint_of_timm_gives_the_logits_of_a_plain_loop(
    tmp_path: Path,
    photographs: list[Path],
    name: str,
    changed: dict[str, Any],
    options: dict[str, Any],
) -> None:
    plain = scrambled(timm.create_model(name, pretrained=False, **options))
    torch.save(plain.state_dict(), tmp_path / f"{name}.pt")
    config = resolve_data_config(changed, pretrained_cfg=plain.pretrained_cfg)
    spec = spec_of("timm", name, **options)
    model = load_checkpoint(spec, tmp_path, tmp_path / f"{name}.pt", CPU).model
    wanted = plain_loop(photographs, create_transform(**config), plain)
    assert torch.equal(measured(photographs, timm_preprocessing(config), model), wanted)
    assert wanted.std() > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_TORCHVISION)
def test_a_checkpoint_of_torchvision_gives_the_logits_of_a_plain_loop(
    tmp_path: Path, photographs: list[Path], name: str
) -> None:
    architecture, _, tag = name.partition(".")
    entry = torchvision.models.get_model_weights(architecture)[tag]
    options = {"init_weights": False} if architecture == "googlenet" else {}
    plain = scrambled(torchvision.models.get_model(architecture, **options))
    torch.save(plain.state_dict(), tmp_path / "w.pth")
    if architecture == "googlenet":
        # As torchvision builds it for its weights, which were trained elsewhere.
        plain.__dict__["transform_input"] = True
    spec = spec_of("torchvision", name)
    model = load_checkpoint(spec, tmp_path, tmp_path / "w.pth", CPU).model
    ours = torchvision_preprocessing(entry.transforms())
    wanted = plain_loop(photographs, entry.transforms(), plain)
    assert torch.equal(measured(photographs, ours, model), wanted)
    assert wanted.std() > 0


def test_a_head_with_a_background_class_gives_the_logits_of_the_classes(
    tmp_path: Path, photographs: list[Path]
) -> None:
    plain = scrambled(timm.create_model("test_resnet", num_classes=1001))
    torch.save(plain.state_dict(), tmp_path / "w.pt")
    spec = spec_of("timm", "test_resnet", num_classes=1001)
    model = load_checkpoint(spec, tmp_path, tmp_path / "w.pt", CPU).model
    config = resolve_data_config({"input_size": (3, 96, 96)})
    wanted = plain_loop(photographs, create_transform(**config), plain)
    # The dataset's `outputs` name the background first, and no class is called so.
    found = measured(photographs, timm_preprocessing(config), model, range(1, 1001))
    assert torch.equal(found, wanted[:, 1:])
    assert wanted.std() > 0


def test_a_head_of_another_size_than_the_published_one_is_not_left_random(
    tmp_path: Path,
) -> None:
    name = "test_resnet.r160_in1k"
    plain = scrambled(timm.create_model(name, pretrained=False, num_classes=7))
    torch.save(plain.state_dict(), tmp_path / "w.pt")
    file, spec = tmp_path / "w.pt", spec_of("timm", name, num_classes=7)
    model = load_checkpoint(spec, tmp_path, file, CPU).model
    head = plain.state_dict()["fc.weight"]
    assert torch.equal(model.state_dict()["fc.weight"], head)
    with pytest.raises(WeightsError, match=r"w\.pt cannot be read by timm"):
        load_checkpoint(spec_of("timm", name, num_classes=8), tmp_path, file, CPU)


def test_timm_finds_the_weights_inside_a_training_checkpoint(tmp_path: Path) -> None:
    name = "test_resnet.r160_in1k"
    plain = scrambled(timm.create_model(name, pretrained=False))
    state = {f"module.{key}": value for key, value in plain.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "w.pt")
    model = load_checkpoint(
        spec_of("timm", name), tmp_path, tmp_path / "w.pt", CPU
    ).model
    assert torch.equal(
        model.state_dict()["conv1.0.weight"], state["module.conv1.0.weight"]
    )


def test_torchvision_renames_the_layers_of_an_old_densenet(tmp_path: Path) -> None:
    plain = scrambled(torchvision.models.densenet121())
    layer = re.compile(r"(denselayer\d+\.(?:norm|conv))([12])\.")
    # Written before torch counted the batches that a normalisation has seen.
    kept = {k: t for k, t in plain.state_dict().items() if "num_batches" not in k}
    old = {layer.sub(r"\1.\2.", key): tensor for key, tensor in kept.items()}
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    torch.save(old, tmp_path / "w.pth")
    spec = spec_of("torchvision", "densenet121.IMAGENET1K_V1")
    found = load_checkpoint(spec, tmp_path, tmp_path / "w.pth", CPU).model.state_dict()
    assert all(torch.equal(found[key], tensor) for key, tensor in kept.items())


@pytest.mark.parametrize(
    ("loader", "architecture"),
    [
        ("timm", "test_resnet.r160_in1k"),
        ("torchvision", "squeezenet1_1.IMAGENET1K_V1"),
    ],
)
@pytest.mark.parametrize("content", [{"a": torch.zeros(2)}, {"a": open}, b"no weights"])
def test_a_file_of_something_else_is_refused_without_running_it(
    tmp_path: Path, loader: str, architecture: str, content: Any
) -> None:
    file = tmp_path / "w.pt"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        torch.save(content, file)
    with pytest.raises(WeightsError, match=str(file)):
        load_checkpoint(spec_of(loader, architecture), tmp_path, file, CPU)


@pytest.mark.parametrize(
    ("loader", "architecture", "message"),
    [
        ("timm", "nonet", "timm .* cannot build model 'm' .*nonet"),
        ("torchvision", "nonet", "torchvision .* cannot build model 'm' .*nonet"),
        ("open_clip", "nonet", "open_clip .* cannot build model 'm' .*nonet"),
    ],
)
def test_an_architecture_that_a_library_does_not_have_is_an_error(
    tmp_path: Path, loader: str, architecture: str, message: str
) -> None:
    with pytest.raises(ExpectedError, match=message):
        find_loader(loader).build(spec_of(loader, architecture), tmp_path)


def test_an_entry_that_torchvision_does_not_have_names_those_that_it_has() -> None:
    spec = spec_of("torchvision", "resnet50.V9")
    with pytest.raises(ExpectedError, match="weights are IMAGENET1K_V1, IMAGENET1K_V2"):
        find_loader("torchvision").load(spec, {})


# Caches of the libraries -------------------------------------------------------------


def test_a_file_in_the_cache_of_torch_hub_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    loader = find_loader("torchvision")
    spec = spec_of("torchvision", "alexnet.IMAGENET1K_V1")
    assert loader.cached(spec) is None
    file = tmp_path / "checkpoints" / "alexnet-owt-7be5be79.pth"
    file.parent.mkdir()
    file.touch()
    assert loader.cached(spec) == file


@pytest.mark.parametrize(
    ("loader", "architecture", "repository", "file"),
    [
        (
            "timm",
            "test_vit.r160_in1k",
            "models--timm--test_vit.r160_in1k",
            "model.safetensors",
        ),
        (
            "open_clip",
            "ViT-B-32.laion2b_e16",
            "models--timm--vit_base_patch32_clip_224.laion2b_e16",
            "open_clip_model.safetensors",
        ),
    ],
)
def test_a_file_in_the_cache_of_hugging_face_is_found(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    loader: str,
    architecture: str,
    repository: str,
    file: str,
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    spec = spec_of(loader, architecture)
    assert find_loader(loader).cached(spec) is None
    for path, content in (("refs/main", "r1"), (f"snapshots/r1/{file}", "")):
        (tmp_path / repository / path).parent.mkdir(parents=True)
        (tmp_path / repository / path).write_text(content)
    assert (
        find_loader(loader).cached(spec)
        == tmp_path / repository / "snapshots/r1" / file
    )


@pytest.mark.parametrize("loader", ["timm", "open_clip", "torchvision"])
@pytest.mark.parametrize("architecture", ["nonet", "nonet.tag", "resnet18"])
def test_what_a_library_does_not_publish_is_in_no_cache(
    loader: str, architecture: str
) -> None:
    assert find_loader(loader).cached(spec_of(loader, architecture)) is None


@pytest.mark.parametrize(
    ("checkpoints", "advice"),
    [
        ("ck", "ck/f has no nonet.tag.pt; add --repro-download to fetch it"),
        (
            None,
            "no folder of weights is named; add --repro-download and "
            "--repro-checkpoints=DIR to fetch it",
        ),
    ],
)
def test_weights_that_are_nowhere_name_the_option_that_fetches_them_alone(
    tmp_path: Path, checkpoints: str | None, advice: str
) -> None:
    files = {"nonet.tag.pt": "https://example.org/nonet.pt"}
    content = release_toml(family={"f": {**FAMILY, "files": files}})
    release = read_release(tmp_path, content)
    case = Case(
        release=release,
        family=release.families["f"],
        checkpoint="nonet.tag",
        protocol=release.protocols["plain"],
        dataset=release.datasets["val"],
    )
    with pytest.raises(NotAvailableError) as caught:
        find_weights(case, Path(checkpoints) if checkpoints else None)
    link = "(from https://example.org/nonet.pt)"
    assert str(caught.value) == f"no weights: {advice} {link}"


# Loaders of other packages -----------------------------------------------------------


def made_by(loader: str) -> str:
    """Write a release whose model a loader builds."""
    return release_toml(
        model={"vit": {"loader": loader, "architecture": "{checkpoint}"}}
    )


THEIRS = """
from torch import nn
from repro.models.libraries import Loader

class TheirLoader(Loader):
    def build(self, spec, location):
        return nn.Linear(spec.options["width"], 2)
"""


@pytest.fixture
def their_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Lay out an installed package with a loader and one whose module is gone."""
    (tmp_path / "their_package.py").write_text(THEIRS)
    information = tmp_path / "their_package-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Name: their-package\nVersion: 1\n")
    (information / "entry_points.txt").write_text(
        "[repro.loaders]\ntheirs = their_package:TheirLoader\ngone = gone:Loader\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    installed.cache_clear()
    yield
    installed.cache_clear()
    find_loader.cache_clear()
    sys.modules.pop("their_package", None)


@pytest.mark.usefixtures("their_package")
def test_another_package_adds_a_loader_by_an_entry_point(tmp_path: Path) -> None:
    release = read_release(tmp_path, made_by("theirs"))
    assert release.models["vit"].loader == "theirs"
    plain = nn.Linear(3, 2)
    torch.save(plain.state_dict(), tmp_path / "w.pt")
    spec = spec_of("theirs", "any", width=3)
    model = load_checkpoint(spec, tmp_path, tmp_path / "w.pt", CPU).model
    assert torch.equal(model.state_dict()["weight"], plain.weight)


@pytest.mark.usefixtures("their_package")
def test_a_loader_whose_package_is_gone_says_so() -> None:
    with pytest.raises(ExpectedError, match=r"'gone' \(gone:Loader\) cannot be import"):
        find_loader("gone")


def test_a_loader_that_nobody_has_is_an_error_when_the_release_is_read(
    tmp_path: Path,
) -> None:
    assert fault_of(tmp_path, made_by("tim")) == (
        "model.vit: there is no loader 'tim'; there are timm, open_clip, torchvision, "
        "onnx, python"
    )
    assert LOADERS.names() == [
        "timm",
        "open_clip",
        "torchvision",
        "onnx",
        "python",
    ]
    with pytest.raises(ExpectedError, match="there is no loader 'tim'"):
        find_loader("tim")


def test_memory_that_runs_out_is_not_said_to_be_a_fault_of_the_release() -> None:
    spec = ModelSpec(id="vit", loader="timm", architecture="vit_tiny_patch16_224")
    with pytest.raises(MemoryError), building(timm, spec):
        raise MemoryError
    refused = pytest.raises(ExpectedError, match=r"cannot build model 'vit'.*what")
    with refused, building(timm, spec):
        raise KeyError("what")
