"""Full-size checkpoints against plain loops in the way of the release's scripts.

Weights are random but for the last layer, which is fitted to the photographs so that
decisions are as clear, and as often wrong, as those of a trained model.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import open_clip
import pytest
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder
from torchvision.transforms import InterpolationMode

from repro.cases import Case, list_cases
from repro.engine.evaluator import Evaluator
from repro.engine.settings import EngineSettings
from repro.evaluation.predictions import Predictions
from repro.published import read_releases
from tests.releases import PLAIN, VALIDATION, VIT, release_toml, write_release
from tests.stand_ins import make_photographs

CLASSES = ("ant", "bee", "cat", "dog")
PER_CLASS = 6
LOSS = nn.CrossEntropyLoss(reduction="none")

RELEASE = release_toml(
    release={"id": "stand-in", "title": "Random weights of full size"},
    dataset={
        "photographs": {**VALIDATION, "classes": list(CLASSES), "images": 24},
    },
    protocol={
        "paper-supervised": {**PLAIN, "std": [0.5, 0.5, 0.5]},
        "paper-clip": {
            **PLAIN,
            "geometry": "rgb|resize(224,bicubic)|center_crop(224)",
            "mean": [0.48145466, 0.4578275, 0.40821073],
            "std": [0.26862954, 0.26130258, 0.27577711],
            "logit_scale": "checkpoint",
            "text": {
                "classnames": list(CLASSES),
                "templates": "open_clip:OPENAI_IMAGENET_TEMPLATES",
            },
        },
    },
    model={
        "vit": {**VIT, "options": {"num_classes": 4}},
        "clip": {
            "loader": "open_clip",
            "architecture": "ViT-B-16",
            "options": {"force_quick_gelu": True, "force_image_size": 224},
        },
    },
    family={
        name: {
            "model": model,
            "training_data": "none",
            "protocols": [protocol],
            "datasets": ["photographs"],
        }
        for name, model, protocol in (
            ("supervised/random", "vit", "paper-supervised"),
            ("clip/random", "clip", "paper-clip"),
        )
    },
)


class Plain(NamedTuple):
    """What a plain loop gives, in the order of an ImageFolder."""

    pixels: list[npt.NDArray[np.uint8]]
    logits: Tensor
    labels: Tensor


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release of two families, with photographs and room for weights."""
    folder = tmp_path_factory.mktemp("stand-in")
    write_release(folder, RELEASE, "release.toml")
    make_photographs(folder / "val", CLASSES, PER_CLASS, size=(330, 280))
    for family in ("supervised", "clip"):
        (folder / family / "random").mkdir(parents=True)
    return folder


def open_folder(
    folder: Path,
    geometry: list[Callable[..., Any]],
    mean: list[float],
    std: list[float],
) -> tuple[list[npt.NDArray[np.uint8]], DataLoader[Any]]:
    """Open the photographs as pixels, and as normalised batches."""
    pixels = ImageFolder(str(folder / "val"), transforms.Compose(geometry))
    to_tensor = [transforms.ToTensor(), transforms.Normalize(mean, std)]
    images = ImageFolder(
        str(folder / "val"), transforms.Compose([*geometry, *to_tensor])
    )
    return [np.asarray(image) for image, _ in pixels], DataLoader(images, 16)


def fit(features: Tensor, targets: Tensor) -> Tensor:
    """Fit a linear map by ridge regression: `[N, F]` and `[N, T]` to `[F, T]`."""
    x, y = features.double(), targets.double()
    kernel = x @ x.T
    ridge = 1e-3 * kernel.diagonal().mean() * torch.eye(len(x), dtype=torch.float64)
    solution: Tensor = x.T @ torch.linalg.solve(kernel + ridge, y)
    return solution.float()


def taught(labels: Tensor) -> Tensor:
    """Give every fourth photograph another label, lest all of them come out right."""
    wrong = torch.arange(len(labels)) % 4 == 0
    return torch.where(wrong, (labels + 1) % len(CLASSES), labels)


@torch.no_grad()
def plain_supervised(folder: Path) -> Plain:
    """Fit, save and evaluate `vit_base_patch16_224` as the release does."""
    pixels, loader = open_folder(
        folder,
        [transforms.Resize(256), transforms.CenterCrop(224)],
        [0.5] * 3,
        [0.5] * 3,
    )
    torch.manual_seed(0)
    model = timm.create_model("vit_base_patch16_224", num_classes=4).eval()
    tokens = torch.cat([model.forward_features(images) for images, _ in loader])
    labels = torch.tensor(loader.dataset.targets)  # type: ignore[attr-defined]
    features = model.forward_head(tokens, pre_logits=True)
    wanted = 10.0 * functional.one_hot(taught(labels), len(CLASSES))
    mean = features.mean(dim=0)
    weight = fit(features - mean, wanted).T
    model.head.weight.copy_(weight)
    model.head.bias.copy_(2.5 - weight @ mean)
    torch.save(model.state_dict(), folder / "supervised/random/1.pt")
    return Plain(pixels, model.forward_head(tokens), labels)


@torch.no_grad()
def plain_clip(folder: Path) -> Plain:
    """Fit, save and evaluate ViT-B-16 with QuickGELU as eval_imagenet_clip does."""
    pixels, loader = open_folder(
        folder,
        [
            transforms.Resize(224, interpolation=InterpolationMode.BICUBIC),
            transforms.CenterCrop(224),
        ],
        [0.48145466, 0.4578275, 0.40821073],
        [0.26862954, 0.26130258, 0.27577711],
    )
    torch.manual_seed(0)
    model = open_clip.create_model("ViT-B-16", force_quick_gelu=True).eval()
    tokenizer = open_clip.get_tokenizer("ViT-B-16")
    rows = []
    for name in CLASSES:
        texts = tokenizer([t(name) for t in open_clip.OPENAI_IMAGENET_TEMPLATES])
        mean = functional.normalize(model.encode_text(texts), dim=-1).mean(dim=0)
        rows.append(mean / mean.norm())
    text = torch.stack(rows)
    projection, model.visual.proj = model.visual.proj, None
    pooled = torch.cat([model.encode_image(images) for images, _ in loader])
    model.visual.proj = projection
    labels = torch.tensor(loader.dataset.targets)  # type: ignore[attr-defined]
    wanted = (text - text.mean(dim=0))[taught(labels)]
    model.visual.proj.copy_(fit(pooled, functional.normalize(wanted, dim=-1)))
    torch.save(model.state_dict(), folder / "clip/random/1.pt")
    features = functional.normalize(pooled @ model.visual.proj, dim=-1)
    return Plain(pixels, model.logit_scale.exp() * features @ text.T, labels)


class Recorder:
    """Passes pixels on to a classifier and keeps them with their logits."""

    def __init__(self, classifier: Callable[[Tensor], Tensor]) -> None:
        self.classifier = classifier
        self.logits: dict[bytes, Tensor] = {}

    def __call__(self, pixels: Tensor) -> Tensor:
        logits = self.classifier(pixels)
        for image, row in zip(pixels, logits, strict=True):
            self.logits[image.permute(1, 2, 0).numpy().tobytes()] = row
        return logits


def case_of(folder: Path, kind: str) -> Case:
    cases = list_cases(read_releases([folder / "release.toml"]), folder)
    (case,) = (case for case in cases if case.kind == kind)
    return case


def measured(folder: Path, kind: str) -> tuple[Recorder, Predictions, list[int]]:
    """Evaluate with what is to be proved, and tell the places in an ImageFolder."""
    settings = EngineSettings(
        data=folder,
        checkpoints=folder,
        cache=folder / "cache",
        device="cpu",
        batch_size=8,
    )
    case = case_of(folder, kind)
    engine = Evaluator(settings, [case])
    recorder = Recorder(engine.classifier(case))
    files = engine.dataset(case).files
    places = [sorted(files).index(file) for file in files]
    return recorder, engine.evaluate(recorder, case), places


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "plain_loop"), [("supervised", plain_supervised), ("clip", plain_clip)]
)
def test_full_size_results_are_those_of_a_plain_loop(
    kind: str, plain_loop: Callable[[Path], Plain], folder: Path
) -> None:
    plain = plain_loop(folder)
    recorder, predictions, places = measured(folder, kind)
    decisions = plain.logits.argmax(dim=1)
    # The stand-in tells something: all classes, some of them wrong.
    assert set(decisions.tolist()) == set(range(len(CLASSES)))
    assert 0.5 < (decisions == plain.labels).float().mean() < 0.9

    # Every image that was classified is one of the plain pixels, bit for bit.
    assert set(recorder.logits) == {image.tobytes() for image in plain.pixels}
    logits = torch.stack([recorder.logits[image.tobytes()] for image in plain.pixels])
    assert (logits - plain.logits).abs().max() <= 1e-4
    assert np.array_equal(predictions.classes[:, 0], decisions.numpy()[places])
    assert np.array_equal(predictions.labels, plain.labels.numpy()[places])
    loss = float(LOSS(plain.logits, plain.labels).double().mean())
    assert predictions.metrics().loss == pytest.approx(loss, rel=1e-5)
