"""A planned run over a catalogue: many small models, a dozen geometries, one data set.

    python -m benchmarks.catalogue [--models 200] [--images 500]

It prints the seconds that the forward passes of all models take in a plain loop, those
of one decode of all photographs into all geometries, those of the planned run, and how
often the run decoded a photograph. Its goal: 1.15 of the first two, and once.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

import msgspec
import numpy as np
import timm
import torch
from torch import Tensor

from repro.cases import Case, list_cases
from repro.data import geometry as pixels_of
from repro.data.listing import ImageLocation
from repro.engine.evaluator import Evaluator
from repro.engine.settings import EngineSettings
from repro.machine import available_cores
from repro.published import read_releases
from tests.stand_ins import make_photographs

GOAL = 1.15
BATCH = 32
CLASSES = [f"class{number:02d}" for number in range(10)]
PHOTOGRAPH = 400, 300  # Width and height in pixels, about.
#: timm's own small models that take any image size.
ARCHITECTURES = (
    *("test_resnet", "test_convnext", "test_efficientnet", "test_efficientnet_gn"),
    *("test_byobnet", "test_mambaout"),
)
GEOMETRIES = tuple(
    f"rgb|resize({size + more},{filter_})|center_crop({size})"
    for size in (128, 144, 160, 176)
    for more, filter_ in ((0, "bicubic"), (16, "bicubic"), (20, "bilinear"))
)

_HEAD = """
[release]
id = "catalogue"
title = "Random weights"
[source.none]
title = "nobody"
url = "https://example.org"
[dataset.photographs]
title = "generated photographs"
folder = "val"
classes = {classes}
images = {images}
"""
_PROTOCOL = """
[protocol.p{number}]
geometry = "{geometry}"
mean = [0.485, 0.456, 0.406]
std = [0.229, 0.224, 0.225]
source = "none"
"""
_FAMILY = """
[model.{name}]
loader = "timm"
architecture = "{name}"
options = {{ num_classes = {classes} }}
[family.{name}]
model = "{name}"
training_data = "none"
protocols = ["p0"]
datasets = ["photographs"]
"""
_REFERENCE = """
[[reference]]
family = "{family}"
checkpoint = "random{number:03d}"
dataset = "photographs"
protocol = "p{protocol}"
source = "none"
top1 = "10"
"""


class CatalogueSeconds(msgspec.Struct, frozen=True):
    """Seconds of each part, and how often the run decoded each photograph."""

    forward: float
    decode: float
    run: float
    decodes: Counter[str]

    @property
    def ratio(self) -> float:
        """The run, in units of what it cannot do without."""
        return self.run / (self.forward + self.decode)


def make_catalogue(
    folder: Path,
    models: int,
    images: int,
    *,
    architectures: Sequence[str] = ARCHITECTURES,
    geometries: Sequence[str] = GEOMETRIES,
    photograph: tuple[int, int] = PHOTOGRAPH,
) -> list[Case]:
    """Write photographs, random weights and a release; list its cases.

    Args:
        folder: gets all of it.
        models: how many checkpoints; architectures and geometries take turns.
        images: a multiple of the number of classes.
        architectures: of timm.
        geometries: one for each protocol.
        photograph: width and height in pixels, about.
    """
    make_photographs(folder / "val", CLASSES, images // len(CLASSES), size=photograph)
    parts = [_HEAD.format(classes=CLASSES, images=images)]
    for number, geometry in enumerate(geometries):
        parts.append(_PROTOCOL.format(number=number, geometry=geometry))
    for name in architectures:
        parts.append(_FAMILY.format(name=name, classes=len(CLASSES)))
        (folder / name).mkdir()
    for number in range(models):
        family = architectures[number % len(architectures)]
        # So that each architecture meets every geometry.
        protocol = (number // len(architectures)) % len(geometries)
        parts.append(_REFERENCE.format(family=family, number=number, protocol=protocol))
        torch.manual_seed(number)
        model = timm.create_model(family, num_classes=len(CLASSES))
        torch.save(model.state_dict(), folder / family / f"random{number:03d}.pt")
    (folder / "catalogue.toml").write_text("".join(parts))
    return list_cases(read_releases([folder / "catalogue.toml"]))


def time_forward(engine: Evaluator, cases: Sequence[Case]) -> float:
    """Sum the seconds that each model takes for normalised images in memory."""
    total = 0.0
    random = torch.manual_seed(0)
    inputs: dict[tuple[int, int], Tensor] = {}
    for case in cases:
        size = case.protocol.geometry_steps.output_size
        if size not in inputs:
            inputs[size] = torch.randn(BATCH, 3, *size, generator=random)
        model = engine.model(case)
        rest = case.dataset.images
        with torch.inference_mode():
            while rest > 0:
                batch = inputs[size][: min(BATCH, rest)]
                start = time.perf_counter()
                model(batch)
                total += time.perf_counter() - start
                rest -= len(batch)
    return total


def time_decode(engine: Evaluator, cases: Sequence[Case]) -> float:
    """Count the seconds of one decode of all photographs into all geometries."""
    dataset = engine.dataset(cases[0])
    wanted = list(dict.fromkeys(case.protocol.geometry_steps for case in cases))

    def decode(index: int) -> None:
        outputs = [np.empty((3, *one.output_size), np.uint8) for one in wanted]
        dataset.planar_pixels(index, wanted, outputs)

    start = time.perf_counter()
    with ThreadPoolExecutor(available_cores()) as pool:
        list(pool.map(decode, range(len(dataset))))
    return time.perf_counter() - start


def run_planned(settings: EngineSettings, cases: Sequence[Case]) -> Counter[str]:
    """Measure all cases; count how often each photograph was decoded."""
    decodes: Counter[str] = Counter()
    decode = pixels_of.decode

    def counted(place: ImageLocation, digest: str) -> object:
        decodes[str(place)] += 1
        return decode(place, digest)

    with mock.patch.object(pixels_of, "decode", counted):
        engine = Evaluator(settings, cases)
        for case in cases:
            engine.measure(case)
    return decodes


def measure(folder: Path, models: int, images: int) -> CatalogueSeconds:
    """Make a catalogue in a folder and time the parts and the whole."""
    cases = make_catalogue(folder, models, images)
    settings = EngineSettings(
        data=folder,
        checkpoints=folder,
        cache=folder / "cache",
        device="cpu",
        batch_size=BATCH,
    )
    engine = Evaluator(settings, cases)
    time_forward(engine, cases[:: max(1, models // 6)])  # Warms up.
    forward, decode = time_forward(engine, cases), time_decode(engine, cases)
    start = time.perf_counter()
    decodes = run_planned(settings, cases)
    return CatalogueSeconds(forward, decode, time.perf_counter() - start, decodes)


def main() -> None:
    """Run the benchmark and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=200)
    parser.add_argument("--images", type=int, default=500)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), arguments.models, arguments.images)
    print(
        f"{arguments.models} models, {len(GEOMETRIES)} geometries, "
        f"{arguments.images} images, {torch.get_num_threads()} threads\n"
        f"forward passes, plain loop   {found.forward:7.2f} s\n"
        f"one decode of all            {found.decode:7.2f} s\n"
        f"planned run                  {found.run:7.2f} s, {found.ratio:.3f} of both "
        f"(goal {GOAL})\n"
        f"decodes of each photograph   {max(found.decodes.values())} (goal 1)"
    )


if __name__ == "__main__":
    main()
