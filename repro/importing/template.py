"""The first files of a release: commented TOML and a test module."""

from __future__ import annotations

import json
from collections.abc import Mapping

from repro.models.inspection import Inspection
from repro.models.naming import fitting_model
from repro.published import ModelSpec

_IMAGENET_CLASSES = 1000
_SUPERVISED_PROTOCOL = """\
mean = [0.485, 0.456, 0.406]
std = [0.229, 0.224, 0.225]
source = "paper"
"""
_CLIP_PROTOCOL = """\
mean = [0.48145466, 0.4578275, 0.40821073]
std = [0.26862954, 0.26130258, 0.27577711]
logit_scale = "checkpoint"      # of the weights; or a number, such as 100.0
source = "paper"

# Every class name in every template; or lists of your own.
[protocol.paper.text]
classnames = "open_clip:IMAGENET_CLASSNAMES"
templates = "open_clip:OPENAI_IMAGENET_TEMPLATES"
"""
_RELEASE = """\
# {name}: what was published and how it was measured.
# All keys: docs/expected-format.md of repro
# To see the cases:  repro cases --expected {path}
schema = 1

[release]
id = "{name}"
title = "{name}"  # of the paper or project
# paper = "https://..."
# code = "https://..."

# Where numbers are read, so that somebody else can open it; at a commit if it is code.
[source.paper]
title = "{name}, Table 1"
url = "https://..."

# A data set: DATA/FOLDER/CLASS/IMAGE, where DATA is --repro-data. For another one than
# ImageNet change all of it; `classes` may also be a list here.{head}
[dataset.imagenet-val]
title = "ImageNet-1k validation (ILSVRC 2012)"
folder = "val"
classes = "imagenet-1k.txt"     # class folders in the order of the labels, one a line
images = 50000
files = "repro:imagenet-val"    # which image is of which class; optional

# How the numbers were measured. Look into the evaluation script: size and filter of the
# resize, crop, mean and std each move the accuracy by tenths of a point.
[protocol.paper]
geometry = "{geometry}"
{protocol}
# What the weights fit into.{inspected}
[model.main]
loader = "{loader}"
architecture = "{architecture}"
{options}
# Checkpoints that share data and recipe, at CHECKPOINTS/{family}/CHECKPOINT.pt, where
# CHECKPOINTS is --repro-checkpoints. A name may be a path: "supervised/real".
[family."{family}"]
model = "main"
training_data = "..."
# folder = "https://..."        # where the weights can be downloaded
protocols = ["paper"]           # for checkpoints that no number speaks of
datasets = ["imagenet-val"]

# One for each row of the table. Digits in quotes, as they are printed: they say how
# precise a number is.
# [[reference]]
# family = "{family}"
# checkpoint = "{checkpoint}"
# dataset = "imagenet-val"
# protocol = "paper"
# source = "paper"
# top1 = "76.13"
"""
_TEST = '''\
"""The numbers published with {name}."""

import pytest


@pytest.mark.repro({places})
def test_{identifier}(case, reproduce):
    """Each checkpoint scores what was published, within its tolerance."""
    reproduce(case)
'''


def release_template(
    name: str, path: str, found: Inspection | None, checkpoint: str
) -> str:
    """Write the TOML of a new release; it can be read as it stands."""
    model = fitting_model(found.shapes, found.entry) if found else None
    architecture = found.architecture if found else None
    zero_shot = architecture is not None and architecture.kind == "clip"
    size = architecture.facts.get("image size", 224) if architecture else 224
    resize = f"resize({size},bicubic)" if zero_shot else "resize(256,bilinear)"
    lines = []
    if model and model.options:
        pairs = ", ".join(f"{key} = {value}" for key, value in model.options.items())
        lines.append(f"options = {{ {pairs} }}\n")
    if found and found.entry:
        lines.append(f'weights_key = "{found.entry}"\n')
    usual = ("open_clip", "ViT-B-32") if zero_shot else ("timm", "resnet50")
    loader, name_there = (model.loader, model.architecture) if model else usual
    return _RELEASE.format(
        name=name,
        path=path,
        family=name,
        checkpoint=checkpoint,
        geometry=f"rgb|{resize}|center_crop({size})",
        protocol=_CLIP_PROTOCOL if zero_shot else _SUPERVISED_PROTOCOL,
        inspected=_said(found, model),
        head=_head(found),
        loader=loader,
        architecture=name_there,
        options="".join(lines),
    )


def module_name(name: str) -> str:
    """Give the file name of the test module of a release."""
    return f"test_{name.replace('-', '_').replace('.', '_')}.py"


def module_template(
    name: str, places: Mapping[str, str], *, run_code: bool = False
) -> str:
    """Write a test module that runs the cases of a release.

    Args:
        name: of the release.
        places: paths from the module by the keyword of the marker.
        run_code: whether models are built by code beside the numbers.
    """
    identifier = "".join(c if c.isalnum() else "_" for c in name)
    marked = ", ".join(f"{key}={json.dumps(path)}" for key, path in places.items())
    marked += ", run_code=True" * run_code
    return _TEST.format(name=name, places=marked, identifier=identifier)


def _head(found: Inspection | None) -> str:
    """Say where the weights were not trained for the classes that the file has."""
    if found is None or found.classes in (None, _IMAGENET_CLASSES):
        return ""
    return (
        f"\n# The weights have {found.classes:,} outputs: name their classes here, or "
        "what each\n# output is as `outputs`."
    )


def _said(found: Inspection | None, model: ModelSpec | None) -> str:
    if found is None:
        return ""
    what = f"{len(found.shapes):,} tensors with {found.parameters:,} values"
    if model:
        return f" Inspected: {what};\n# every name and shape fits this architecture."
    return f" Inspected: {what};\n# no architecture that was tried fits: name it here."
