"""Suspects give what a plain pipeline gives that does the same."""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from msgspec.structs import replace
from PIL import Image
from torch.nn import functional
from torchvision import transforms

from repro.cases import Case
from repro.data.class_names import wordnet_names
from repro.data.dataset import Dataset
from repro.data.listing import digest_of
from repro.diagnosis.images import PixelSource
from repro.diagnosis.laboratory import Candidate, Group, Laboratory, Resources
from repro.diagnosis.pace import Pace
from repro.diagnosis.setup import Facts, Setup, View
from repro.diagnosis.suspects import read_topics, ways_of
from repro.diagnosis.what_if import relabelled_accuracy
from repro.engine.evaluator import Evaluator
from repro.engine.settings import EngineSettings
from repro.evaluation.evaluate import read_logits
from repro.models.zeroshot import prompts_of, spelt_out
from repro.published import CenterCrop, Geometry, Resize, TextSpec
from tests.stand_ins import photograph

# The folder of tools is no package, so that type checkers know what is in it by other
# names.
plain_module = importlib.import_module("tools.planted_faults.plain")
planting = importlib.import_module("tools.planted_faults.planting")
SUPERVISED, CLIP = "supervised/real/320", "clip/real/640"


def case_of(checkpoint: str) -> Case:
    case: Case = planting.embedded_cases()[checkpoint]
    return case


def never(group: Group, images: int) -> None:
    raise AssertionError("all images are asked for at once")


def of_suspect(checkpoint: str, name: str, cache: Path) -> dict[str, str]:
    """Evaluate a suspect on all images, and print its numbers as the plain one does."""
    case = case_of(checkpoint)
    engine = Evaluator(EngineSettings(cache=cache, device="cpu"))
    dataset = engine.dataset(case)
    topic, suspect = next(
        (topic, suspect)
        for topic in read_topics().values()
        for suspect in topic.suspects
        if suspect.name == name
    )
    own = Setup(protocol=case.protocol, model=case.model, precision="fp32")
    setup = suspect.of_setup(own, Facts(classes=case.dataset.classes))
    assert setup
    resources = Resources(
        device=torch.device("cpu"), threads=1, precision="fp32", cache=cache
    )
    assert case.release.own_checkpoints
    weights = case.release.own_checkpoints / f"{checkpoint}.pt"
    pace = Pace(None, 1.0, 1, len(dataset))
    laboratory = Laboratory(case, weights, dataset, resources, pace)
    head = laboratory.head(setup)
    candidate = Candidate(suspect, topic, head, setup)
    laboratory.extend(Group(setup.body, [candidate], never), np.arange(len(dataset)))
    assert candidate.predictions
    metrics = candidate.predictions.metrics()
    shares = {name: f"{metrics.percent(name):.2f}" for name in ("top1", "top5")}
    return {**shares, "loss": f"{metrics.loss:.6f}"}


def plainly(checkpoint: str, **changes: Any) -> dict[str, str]:
    case = case_of(checkpoint)
    assert case.release.own_checkpoints
    assert case.release.own_data
    weights = case.release.own_checkpoints / f"{checkpoint}.pt"
    plain = dataclasses.replace(planting.plain_of(case), **changes)
    found: dict[str, str] = plain_module.measure(
        plain, weights, case.release.own_data / "val"
    )
    return found


def without_full_stops(checkpoint: str) -> tuple[str, ...]:
    text = case_of(checkpoint).protocol.text
    assert text
    return tuple(template.rstrip(".") for template in text.templates)


@pytest.mark.parametrize("name", ["all outputs counted", "outputs of the classes"])
def test_outputs_of_no_class_count_or_not(name: str, tmp_path: Path) -> None:
    case = case_of(SUPERVISED)
    outputs = case.dataset.classes
    part = replace(
        case.dataset,
        classes=(outputs[3], outputs[7]),
        outputs=outputs,
        all_outputs=name.startswith("outputs"),
    )
    suspect = next(one for one in read_topics()["outputs"].suspects if name in one.name)
    own = Setup(
        protocol=case.protocol,
        model=case.model,
        precision="fp32",
        columns=part.columns,
    )
    facts = Facts(classes=part.classes, others=part.other_columns)
    setup = suspect.of_setup(own, facts)
    assert setup
    other = replace(part, all_outputs=not part.all_outputs)
    assert setup.columns == other.columns
    assert suspect.of_setup(setup, facts) is None
    whole = Facts(classes=outputs)
    assert suspect.of_setup(replace(own, columns=None), whole) is None


def test_a_loss_over_all_outputs_is_that_of_a_plain_loop() -> None:
    logits = torch.tensor([[1.0, 5.0, 2.0, 0.0], [3.0, 1.0, 0.0, 4.0]])
    dataset = Dataset(
        name="two",
        root=Path(),
        classes=("b", "a"),
        files=("b/1", "a/1"),
        digests=("0" * 32, "1" * 32),
        sizes=(1, 1),
        labels=np.array([0, 1]),
        columns=(2, 0, 1, 3),
    )
    found = read_logits(logits[:, dataset.columns], dataset, np.arange(2))
    plain = functional.cross_entropy(logits, torch.tensor([2, 0]), reduction="none")
    np.testing.assert_allclose(found.losses, plain.numpy(), rtol=1e-6)
    assert found.classes[:, 0].tolist() == [2, 3]
    assert relabelled_accuracy(found, 2) == 0


@pytest.mark.parametrize(
    ("checkpoint", "name", "changes"),
    [
        (SUPERVISED, "labels smoothed by 0.1", {"smoothing": 0.1}),
        (SUPERVISED, "the same normalisation twice", {"twice": True}),
        *(
            pytest.param(*planted, marks=pytest.mark.slow)
            for planted in (
                (CLIP, "the same normalisation twice", {"twice": True}),
                (
                    SUPERVISED,
                    "the same normalisation of pixels from 0 to 255",
                    {"unscaled": True},
                ),
                (
                    SUPERVISED,
                    "a crop of 0.875 of both sides before the resize",
                    {"crop_first": 0.875},
                ),
                (
                    CLIP,
                    "a crop of 0.875 of both sides before the resize",
                    {"crop_first": 0.875},
                ),
                (SUPERVISED, "a resize by area", {"area": True}),
                (CLIP, "a resize by area", {"area": True}),
                (
                    SUPERVISED,
                    "logits averaged with those of the mirrored image",
                    {"flips": True},
                ),
                (
                    CLIP,
                    "logits averaged with those of the mirrored image",
                    {"flips": True},
                ),
                (SUPERVISED, "logits averaged over ten crops", {"crops": 10}),
                (CLIP, "logits averaged over five crops", {"crops": 5}),
                (
                    CLIP,
                    "the names of folders as class names",
                    {"names": tuple("0123456789")},
                ),
                (
                    CLIP,
                    "prompts without the full stop",
                    {"templates": without_full_stops(CLIP)},
                ),
            )
        ),
    ],
)
def test_a_suspect_gives_what_a_plain_pipeline_gives(
    checkpoint: str, name: str, changes: dict[str, Any], tmp_path: Path
) -> None:
    found = of_suspect(checkpoint, name, tmp_path)
    expected = plainly(checkpoint, **changes)
    assert (found["top1"], found["top5"]) == (expected["top1"], expected["top5"])
    # A mean of pixels often lies in the middle of two levels, and goes either way.
    error = 1e-3 if "area" in changes else 2e-5
    assert float(found["loss"]) == pytest.approx(float(expected["loss"]), rel=error)


def of_one_file(file: Path, cache: Path) -> Dataset:
    """Make a dataset of one image."""
    case = case_of(SUPERVISED)
    dataset = Evaluator(EngineSettings(cache=cache, device="cpu")).dataset(case)
    digest = digest_of(file.read_bytes())
    return msgspec.structs.replace(
        dataset, root=file.parent, places=(file,), digests=(digest,)
    )


def test_a_draft_is_what_the_decoder_makes_of_an_eighth_of_the_frequencies(
    tmp_path: Path,
) -> None:
    file = tmp_path / "image.jpg"
    photograph(0, 160, 130).save(file, quality=90)
    geometry = Geometry((Resize(32, None, "bilinear"), CenterCrop(28, 28)))
    source = PixelSource(of_one_file(file, tmp_path), 1)
    (found,) = source.pixels(np.array([0]), View(geometry, draft=True))
    with Image.open(file) as image:
        image.draft("RGB", (32, 32))
        # The smallest fraction of which both sides are large enough.
        assert image.size == (40, 33)
        small = transforms.Resize(32)(image.convert("RGB"))
    plain = transforms.PILToTensor()(transforms.CenterCrop(28)(small))
    assert np.array_equal(found, plain.numpy())
    (usual,) = source.pixels(np.array([0]), View(geometry))
    assert not np.array_equal(found, usual)


def test_what_no_jpeg_decoder_reads_is_not_tried_as_a_draft() -> None:
    (suspect,) = read_topics()["decoding"].suspects
    case = case_of(SUPERVISED)
    own = Setup(protocol=case.protocol, model=case.model, precision="fp32")
    assert suspect.of_setup(own, Facts(classes=())) is None
    assert suspect.of_setup(own, Facts(classes=(), is_jpeg=True))


def test_a_resize_by_area_is_the_mean_over_what_each_pixel_covers(
    tmp_path: Path,
) -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (6, 9, 3)).astype(np.uint8)
    file = tmp_path / "image.png"
    Image.fromarray(pixels).save(file)
    one = of_one_file(file, tmp_path)
    geometry = Geometry((Resize(4, None, "bilinear"), CenterCrop(4, 4)))
    source = PixelSource(one, 1)
    (found,) = source.pixels(np.array([0]), View(geometry, by_area=True))
    # To 4 x 6: three rows become two, and so do three columns.
    expected = np.zeros((4, 6, 3))
    for row in range(4):
        for column in range(6):
            for y in range(6):
                for x in range(9):
                    high = min(1.5 * row + 1.5, y + 1) - max(1.5 * row, y)
                    wide = min(1.5 * column + 1.5, x + 1) - max(1.5 * column, x)
                    if high > 0 and wide > 0:
                        share = high * wide / 2.25
                        expected[row, column] += share * pixels[y, x]
    assert np.abs(found.transpose(1, 2, 0) - expected[:, 1:5]).max() <= 0.5 + 1e-9


def test_wordings_change_names_and_templates_where_they_have_something_to_change() -> (
    None
):
    case = case_of(CLIP)
    text = case.protocol.text
    assert text
    names = ("Great White Shark", "tench")
    text = msgspec.structs.replace(
        text, classnames=names, templates=("A photo of a {}.", "{}")
    )
    protocol = msgspec.structs.replace(case.protocol, text=text)
    own = Setup(protocol=protocol, model=case.model, precision="fp32")
    facts = Facts(classes=("n01", "n02"))
    found = {}
    for suspect in read_topics()["prompts"].suspects:
        setup = suspect.of_setup(own, facts)
        if setup and suspect.variation.wording:
            assert setup.protocol.text
            found[suspect.variation.wording] = setup.protocol.text
    assert found["underscores"].classnames == ("Great_White_Shark", "tench")
    assert found["lower case"].classnames == ("great white shark", "tench")
    assert found["lower case"].templates == ("a photo of a {}.", "{}")
    assert found["no full stop"].templates == ("A photo of a {}", "{}")
    assert found["folder names"].classnames == ("n01", "n02")
    assert "first of WordNet" not in found
    plain = msgspec.structs.replace(text, classnames=("tench",), templates=("{}",))
    same = msgspec.structs.replace(
        own, protocol=msgspec.structs.replace(protocol, text=plain)
    )
    for suspect in read_topics()["prompts"].suspects:
        if suspect.variation.wording:
            assert suspect.of_setup(same, Facts(classes=("tench",))) is None


def test_wordings_also_change_the_lists_that_open_clip_ships() -> None:
    classes = ("n01440764", "n02123045")
    shipped = TextSpec(
        classnames="open_clip:IMAGENET_CLASSNAMES",
        templates="open_clip:OPENAI_IMAGENET_TEMPLATES",
    )
    spelt = spelt_out(shipped)
    assert prompts_of(spelt) == prompts_of(shipped)
    case = case_of(CLIP)
    protocol = msgspec.structs.replace(case.protocol, text=shipped)
    own = Setup(protocol=protocol, model=case.model, precision="fp32")
    two = msgspec.structs.replace(spelt, classnames=spelt.classnames[:2])
    assert wordnet_names(("cat", "dog")) == ()
    facts = Facts(classes=classes, wordnet=wordnet_names(classes), text=two)
    names = {}
    for suspect in read_topics()["prompts"].suspects:
        setup = suspect.of_setup(own, facts)
        if setup and suspect.variation.wording:
            assert setup.protocol.text
            names[suspect.variation.wording] = setup.protocol.text.classnames
    assert names["first of WordNet"] == ("tench", "tabby")
    assert names["all of WordNet"] == ("tench, Tinca tinca", "tabby, tabby cat")
    assert names["folder names"] == classes
    assert names["no full stop"] == two.classnames


@pytest.mark.parametrize(
    "changes",
    [
        {"mean": (0.9, 0.9, 0.9), "std": (0.5, 0.5, 0.5)},
        {"std": (1e-300, 0.5, 0.5)},
        {"mean": (1.0, 0.0, 1e-320)},
        {"geometry": "rgb|resize(9999,bilinear)|center_crop(9999)"},
    ],
)
def test_what_no_protocol_can_be_is_not_tried(changes: dict[str, Any]) -> None:
    case = case_of(SUPERVISED)
    protocol = replace(case.protocol, **changes)
    setup = Setup(protocol=protocol, model=case.model, precision="fp32")
    ways = ways_of(setup, Facts(classes=()))
    assert ways
    assert all(max(way.protocol.mean) <= 1 for *_, way in ways)
