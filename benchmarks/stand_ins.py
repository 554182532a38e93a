"""Photographs, checkpoints and the release that describes them, made on the spot.

A few hundred different photographs of the size of ImageNet's are linked under as many
names as a dataset needs; what they cost to decode stays what it is.
"""

from __future__ import annotations

import functools
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from repro.cases import Case, list_cases
from repro.data.dataset import Dataset, index_dataset
from repro.machine import available_cores
from repro.models.libraries import find_loader
from repro.published import ModelSpec, Release, read_releases
from tests.stand_ins import photograph

#: Median size of ImageNet's validation images.
SIZE = (500, 375)
DIFFERENT = 200
#: Classes and images a class; there are ten strata of each up to 10,000 images.
DATASETS = {"few": (10, 16), "some": (48, 10), "many": (48, 50), "most": (48, 210)}
CHECKPOINTS = {"supervised/vit-b16": 1, "supervised/vit-ti16": 1, "clip/small": 8}

#: A CLIP whose image tower is a ViT-Ti/16, with a text tower of a like size.
CLIP_CONFIG = {
    "embed_dim": 256,
    "vision_cfg": {
        "image_size": 224,
        "patch_size": 16,
        "width": 192,
        "head_width": 64,
        "layers": 12,
    },
    "text_cfg": {
        "context_length": 77,
        "vocab_size": 49408,
        "width": 256,
        "heads": 4,
        "layers": 6,
    },
}

RELEASE = """
schema = 1
[release]
id = "stand-ins"
title = "Random weights"
[source.none]
title = "none"
url = "https://example.org"
[protocol.supervised]
geometry = "rgb|resize(256,bilinear)|center_crop(224)"
mean = [0.5, 0.5, 0.5]
std = [0.5, 0.5, 0.5]
source = "none"
[protocol.clip]
geometry = "rgb|resize(224,bicubic)|center_crop(224)"
mean = [0.48145466, 0.4578275, 0.40821073]
std = [0.26862954, 0.26130258, 0.27577711]
logit_scale = "checkpoint"
source = "none"
[protocol.clip.text]
classnames = {few}
templates = "open_clip:OPENAI_IMAGENET_TEMPLATES"
[model.vit-b16]
loader = "timm"
architecture = "vit_base_patch16_224"
options = {{ num_classes = 48 }}
[model.vit-ti16]
loader = "timm"
architecture = "vit_tiny_patch16_224"
options = {{ num_classes = 48 }}
[model.clip]
loader = "open_clip"
architecture = "clip"
config = "clip.json"
[family."supervised/vit-b16"]
model = "vit-b16"
training_data = "none"
protocols = ["supervised"]
datasets = ["some", "many", "most"]
[family."supervised/vit-ti16"]
model = "vit-ti16"
training_data = "none"
protocols = ["supervised"]
datasets = ["some", "many", "most"]
[family."clip/small"]
model = "clip"
training_data = "none"
protocols = ["clip"]
datasets = ["few"]
"""

DATASET = """
[dataset.{name}]
title = "{images} generated photographs"
folder = "{name}"
classes = {classes}
images = {images}
"""


class StandIns:
    """What the benchmarks work on, made in a folder when it is first needed.

    Args:
        folder: an empty folder.
        different: how many different photographs to draw.
    """

    def __init__(self, folder: Path, different: int = DIFFERENT) -> None:
        self.folder = folder
        self._different = different

    @functools.cached_property
    def release(self) -> Release:
        """The release, with its photographs on disk."""
        text = RELEASE.format(few=json.dumps(class_names(DATASETS["few"][0])))
        for name, (classes, per_class) in DATASETS.items():
            names = class_names(classes)
            text += DATASET.format(
                name=name, images=classes * per_class, classes=json.dumps(names)
            )
            _link(self.drawn, self.folder / name, names, per_class)
        (self.folder / "clip.json").write_text(json.dumps(CLIP_CONFIG))
        (self.folder / "release.toml").write_text(text)
        (release,) = read_releases([self.folder / "release.toml"])
        return release

    def dataset(self, name: str) -> Dataset:
        """Index one of the datasets."""
        return index_dataset(self.release.datasets[name], self.folder)

    def cases(self, family: str, dataset: str) -> list[Case]:
        """List the cases of a family on a dataset; their weights are on disk."""
        release = self.release
        self._save(release.models[release.families[family].model], family)
        cases = list_cases([release], self.folder)
        return [
            case
            for case in cases
            if case.family.id == family and case.dataset.id == dataset
        ]

    @functools.cached_property
    def drawn(self) -> list[Path]:
        """The different photographs."""
        folder = self.folder / "drawn"
        folder.mkdir(parents=True)

        def draw(seed: int) -> Path:
            random = np.random.default_rng(seed)
            width, height = (np.array(SIZE) * random.uniform(0.8, 1.2, 2)).astype(int)
            image = photograph(seed, int(width), int(height))
            path = folder / f"{seed:03d}.jpg"
            image.save(path, quality=94)
            return path

        with ThreadPoolExecutor(available_cores()) as pool:
            return list(pool.map(draw, range(self._different)))

    def _save(self, spec: ModelSpec, family: str) -> None:
        """Save random weights of an architecture, every checkpoint other ones."""
        if (self.folder / family).is_dir():
            return
        (self.folder / family).mkdir(parents=True)
        torch.manual_seed(0)
        model = find_loader(spec.loader).build(spec, self.folder)
        for number in range(1, CHECKPOINTS[family] + 1):
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.mul_(1.01)
            torch.save(model.state_dict(), self.folder / family / f"{number}.pt")


def class_names(count: int) -> list[str]:
    """Name classes with words of usual length: the first of ImageNet's."""
    import open_clip

    names = open_clip.IMAGENET_CLASSNAMES
    return sorted(dict.fromkeys(name.replace("/", " ") for name in names))[:count]


def _link(drawn: list[Path], folder: Path, classes: list[str], per_class: int) -> None:
    number = 0
    for name in classes:
        (folder / name).mkdir(parents=True)
        for _ in range(per_class):
            # Seven and the number of photographs have no common factor.
            source = drawn[(number * 7) % len(drawn)]
            os.link(source, folder / name / f"{number:06d}.jpg")
            number += 1
