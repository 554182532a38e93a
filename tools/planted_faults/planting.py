"""Make a case whose published numbers were measured with a fault."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import timm
import torch
from torch.nn import functional
from torch.utils.data import DataLoader, Subset
from torchvision import transforms
from torchvision.datasets import ImageFolder

from repro.cases import Case, list_cases
from repro.published import EMBEDDED, ModelSpec, printed, read_releases
from tests.stand_ins import dataset_spec, make_photographs

from .faults import SUPERVISED, Fault
from .plain import Plain, measure

#: Share of the mean squared length of features that fitting the head adds to each, and
#: the logit that it aims at: they leave it wrong sometimes, and unsure.
RIDGE = 0.01
SHARPNESS = 8.0

#: Images of each of the ten classes of photographs for the full-size model; the head is
#: fitted to every second one.
PHOTOGRAPHS = 24


@dataclasses.dataclass(frozen=True)
class Planted:
    """A case, and where its weights and images are."""

    case: Case
    checkpoints: Path
    data: Path


def embedded_cases() -> dict[str, Case]:
    """List the cases of the embedded release by `family/checkpoint`."""
    listed = list_cases(read_releases([EMBEDDED]))
    return {case.id.partition("@")[0]: case for case in listed}


def plant(fault: Fault, folder: Path) -> Planted:
    """Publish what a plain pipeline with the fault measures.

    Args:
        fault: what is done otherwise.
        folder: an empty one for weights and images that are changed.
    """
    case = embedded_cases()[fault.checkpoint]
    assert case.release.own_checkpoints is not None
    assert case.release.own_data is not None
    planted = Planted(case, case.release.own_checkpoints, case.release.own_data)
    plain = dataclasses.replace(plain_of(case), **fault.plain)
    if fault.twist:
        planted, plain = _TWISTS[fault.twist](planted, plain, folder)
    images = case.release.own_data / "val"
    if fault.twist in ("", "classes reversed", "folders renamed"):
        weights = case.release.own_checkpoints / f"{fault.checkpoint}.pt"
    else:
        weights = planted.checkpoints / f"{fault.checkpoint}.pt"
    return publish(planted, measure(plain, weights, images))


def publish(planted: Planted, values: dict[str, str]) -> Planted:
    """Put measured values in the place of the published ones."""
    references = tuple(
        msgspec.structs.replace(r, published=printed(values[r.metric]))
        for r in planted.case.references
    )
    case = msgspec.structs.replace(planted.case, references=references)
    return dataclasses.replace(planted, case=case)


def plain_of(case: Case) -> Plain:
    """Describe the plain pipeline that does what the protocol says."""
    protocol, text = case.protocol, case.protocol.text
    resize, crop = protocol.geometry_steps.steps
    options: dict[str, Any] = dict(case.model.options)
    location = case.release.location
    if case.model.config:
        options = json.loads((location / case.model.config).read_text())
    return Plain(
        architecture=case.model.architecture,
        options=options,
        resize=resize.height,
        crop=crop.height,
        interpolation=getattr(resize, "filter", ""),
        mean=protocol.mean,
        std=protocol.std,
        names=tuple(text.classnames) if text else (),
        templates=tuple(text.templates) if text else (),
        merges=location / case.model.tokenizer if text else None,
    )


def full_size(folder: Path) -> Planted:
    """Make a ViT-B/16 whose head alone is fitted, and photographs for it.

    Its first activations are tiny, so that epsilons matter.
    """
    model = ModelSpec(
        id="vit",
        loader="timm",
        architecture="vit_base_patch16_224",
        options={"num_classes": 10},
    )
    classes = [str(digit) for digit in range(10)]
    make_photographs(folder / "val", classes, PHOTOGRAPHS, size=(300, 260))
    torch.manual_seed(0)
    network = timm.create_model(model.architecture, **model.options)
    with torch.no_grad():
        for tensor in (
            network.cls_token,
            network.pos_embed,
            network.patch_embed.proj.weight,
        ):
            tensor.normal_(std=2e-3)
        network.patch_embed.proj.weight.mul_(0.05)
    _fit_head(network.eval(), folder / "val")
    file = folder / "checkpoints" / f"{SUPERVISED}.pt"
    file.parent.mkdir(parents=True)
    torch.save(network.state_dict(), file)
    case = embedded_cases()[SUPERVISED]
    dataset = msgspec.structs.replace(
        dataset_spec(classes, 10 * PHOTOGRAPHS), id=case.dataset.id
    )
    release = msgspec.structs.replace(
        case.release,
        models=case.release.models | {case.family.model: model},
        datasets={dataset.id: dataset},
        checksums={},
    )
    protocol = msgspec.structs.replace(
        case.protocol, geometry="rgb|resize(256,bilinear)|center_crop(224)"
    )
    case = msgspec.structs.replace(
        case, release=release, dataset=dataset, protocol=protocol
    )
    return Planted(case, folder / "checkpoints", folder)


@torch.no_grad()
def _fit_head(network: Any, images: Path) -> None:
    """Fit the last layer by ridge regression on every second photograph."""
    pipeline = transforms.Compose(
        [
            transforms.Resize(256),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize((0.5,) * 3, (0.5,) * 3),
        ]
    )
    chosen = Subset(ImageFolder(images, pipeline), range(0, 10 * PHOTOGRAPHS, 2))
    parts, labels = [], []
    for batch, truth in DataLoader(chosen, batch_size=10):
        parts.append(network.forward_head(network.forward_features(batch), True))
        labels.append(truth)
    features = torch.cat(parts).double()
    mean, scale = features.mean(dim=0), features.std()
    centred = (features - mean) / scale
    wanted = functional.one_hot(torch.cat(labels), 10).double() - 0.1
    gram = centred @ centred.T
    ridge = RIDGE * gram.diagonal().mean() * torch.eye(len(gram))
    weight = SHARPNESS * (centred.T @ torch.linalg.solve(gram + ridge, wanted)).T
    network.head.weight.copy_(weight / scale)
    network.head.bias.copy_(-(weight / scale) @ mean)


def _reverse_classes(
    planted: Planted, plain: Plain, folder: Path
) -> tuple[Planted, Plain]:
    """List the classes in another order than the model knows: that of their names."""
    names = "abcdefghij"
    for digit, name in enumerate(names):
        shutil.copytree(planted.data / "val" / str(digit), folder / "val" / name)
    dataset = msgspec.structs.replace(
        planted.case.dataset, classes=tuple(reversed(names))
    )
    moved = dataclasses.replace(planted, data=folder)
    return _with_dataset(moved, dataset), plain


def _rename_folders(
    planted: Planted, plain: Plain, folder: Path
) -> tuple[Planted, Plain]:
    """Give the folders of images each other's names."""
    for digit in range(10):
        shutil.copytree(
            planted.data / "val" / str(digit), folder / "val" / str(digit * 3 % 10)
        )
    return dataclasses.replace(planted, data=folder), plain


def _put_background_first(
    planted: Planted, plain: Plain, folder: Path
) -> tuple[Planted, Plain]:
    """Give the head an eleventh output, first, that the release believes to be last."""
    case = planted.case
    state = _read(planted)
    for name in ("head.weight", "head.bias"):
        state[name] = torch.cat([state[name][:1] - 0.5, state[name]])
    dataset = msgspec.structs.replace(
        case.dataset, outputs=(*case.dataset.classes, "background")
    )
    options = {**case.model.options, "num_classes": 11}
    model = msgspec.structs.replace(case.model, options=options)
    changed = _with_dataset(_with_weights(planted, model, state, folder), dataset)
    plain = dataclasses.replace(plain, options=options, rows=tuple(range(1, 11)))
    return changed, plain


def _keep_two_weights(
    planted: Planted, plain: Plain, folder: Path
) -> tuple[Planted, Plain]:
    """Write a file with the weights and an earlier state of them."""
    ours = _read(planted)
    noise = torch.Generator().manual_seed(0)
    raw = {
        name: tensor + 0.02 * torch.randn(tensor.shape, generator=noise)
        for name, tensor in ours.items()
    }
    model = msgspec.structs.replace(planted.case.model, weights_key="model")
    changed = _with_weights(planted, model, {"model": raw, "ema": ours}, folder)
    return changed, dataclasses.replace(plain, weights_key="ema")


_TWISTS = {
    "classes reversed": _reverse_classes,
    "folders renamed": _rename_folders,
    "background first": _put_background_first,
    "two weights": _keep_two_weights,
}


def _read(planted: Planted) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(_file(planted), weights_only=True)
    return state


def _file(planted: Planted) -> Path:
    case = planted.case
    return planted.checkpoints / case.family.id / f"{case.checkpoint}.pt"


def _with_dataset(planted: Planted, dataset: Any) -> Planted:
    release = planted.case.release
    release = msgspec.structs.replace(
        release, datasets=release.datasets | {dataset.id: dataset}
    )
    case = msgspec.structs.replace(planted.case, release=release, dataset=dataset)
    return dataclasses.replace(planted, case=case)


def _with_weights(
    planted: Planted, model: ModelSpec, content: object, folder: Path
) -> Planted:
    case = planted.case
    release = msgspec.structs.replace(
        case.release,
        models=case.release.models | {case.family.model: model},
        checksums={},
    )
    case = msgspec.structs.replace(case, release=release)
    changed = dataclasses.replace(planted, case=case, checkpoints=folder)
    _file(changed).parent.mkdir(parents=True)
    torch.save(content, _file(changed))
    return changed
