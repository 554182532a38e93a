"""`repro new --weights W --images I`: what files tell, tried, and written to run."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import timm
import torch
import torchvision
import yaml
from click.testing import CliRunner, Result
from PIL import Image
from scipy.stats import binom
from torch import Tensor, nn

from repro.cli import cli
from repro.errors import OptionError
from repro.evaluation.predictions import Predictions
from repro.importing.beginning import Checkpoint
from repro.importing.drafts import TOX, WORKFLOW, nightly_files
from repro.importing.survey import SurveyedWeights, library_preprocessing
from repro.importing.trial import (
    Normalisation,
    Trial,
    as_good,
    at_least,
    choose,
    trial_of,
)
from repro.importing.writing import class_list
from repro.models.inspection import inspect_weights
from repro.published import EMBEDDED, ModelSpec, Release, read_releases

ROOT = Path(__file__).parents[2]

IMAGENET = tuple(class_list().decode().split())
MEAN, STD = (0.1307,) * 3, (0.3081,) * 3


def fit_head(
    architecture: str, folder: Path, order: Callable[[list[str]], list[str]] = sorted
) -> nn.Module:
    """Give a network with random features, whose head fits the images of a folder.

    Its outputs are the class folders in an order.
    """
    torch.manual_seed(0)
    model: Any = timm.create_model(architecture, num_classes=10).eval()
    classes = order([path.name for path in folder.iterdir()])
    pixels, labels = read(folder, classes)
    with torch.inference_mode():
        features = model.forward_head(model.forward_features(pixels), pre_logits=True)
    inputs = torch.cat([features, torch.ones(len(features), 1)], 1).double()
    wanted = nn.functional.one_hot(labels).double()
    gram = inputs.T @ inputs + 1e-6 * torch.eye(inputs.shape[1])
    solved = 20 * torch.linalg.solve(gram, inputs.T @ wanted)
    model.fc.weight.data = solved[:-1].T.float()
    model.fc.bias.data = solved[-1].float()
    fitted: nn.Module = model
    return fitted


def read(folder: Path, classes: list[str]) -> tuple[Tensor, Tensor]:
    files = [f for name in classes for f in sorted((folder / name).iterdir())]
    pixels = np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files])
    mean, std = torch.tensor(MEAN)[:, None, None], torch.tensor(STD)[:, None, None]
    labels = torch.tensor([classes.index(file.parent.name) for file in files])
    return (torch.tensor(pixels).permute(0, 3, 1, 2) / 255 - mean) / std, labels


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two architectures in one folder, and images of 32 x 32 pixels."""
    here = tmp_path_factory.mktemp("files")
    for file in sorted((EMBEDDED / "val").glob("*/*-0[0-4].jpg")):
        target = here / "images" / file.parent.name / f"{file.stem}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.open(file).convert("RGB").resize((32, 32)).save(target)
    (here / "weights").mkdir()
    for name in ("resnet18", "resnet26"):
        state = fit_head(name, here / "images").state_dict()
        saved = {"epoch": 3, "best_acc1": torch.tensor(99.0), "state_dict": state}
        torch.save(saved, here / "weights" / f"{name}.pt")
    return here


@pytest.fixture
def project(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REPRO_CACHE", str(tmp_path / "cache"))
    return tmp_path


def new(*arguments: str) -> Result:
    return CliRunner().invoke(
        cli, ["new", "own", "--weights=weights", "--images=images", *arguments]
    )


def written() -> Release:
    (release,) = read_releases([Path("expected/own")])
    return release


@pytest.mark.slow
@pytest.mark.usefixtures("project")
def test_a_folder_of_weights_and_one_of_images_are_a_release_that_runs() -> None:
    result = new("--with-ci")
    assert result.exit_code == 0, result.output
    said = result.output.splitlines()
    assert said[0].endswith("50 images of 10 classes, all 32 x 32; 2 weights files")
    for line, name in zip(said[1:3], ("resnet18", "resnet26"), strict=True):
        assert line.startswith(
            f"weights/{name}: timm {name}: 50 of 50 right with MNIST's mean/std, "
        )
        assert line.endswith(" with the library's: this looks complete")
    release = written()
    models = {"resnet18": "resnet18", "resnet26": "resnet26"}
    assert release.families["weights"].models == models
    (protocol,) = release.protocols.values()
    assert (protocol.geometry, protocol.mean) == ("rgb", MEAN)
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/test_own.py"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0
    for name in ("resnet18", "resnet26"):
        assert re.search(rf"{name} +100\.000 .* unreferenced", ran.stdout)
    tox = Path("tox-nightly.ini").read_text()
    assert "--repro-checkpoints={env:REPRO_CHECKPOINTS:.}" in tox
    assert "pytest tests/test_own.py -n auto" in tox
    table = "Model,Top 1\nResNet-18,99.0\nResNet_26,98.0\n"
    command = ["import", "table", "-", "-o", "expected/own", "--source=paper"]
    entered = CliRunner().invoke(cli, command, input=table)
    assert "rows     'ResNet-18' checkpoint resnet18; 'ResNet_26'" in entered.output
    assert [one.checkpoint for one in written().references] == [*models]
    other = CliRunner().invoke(cli, command, input="Model,Top 1\nResNet-26d,98.0\n")
    assert "has no checkpoint 'ResNet-26d'; it has resnet18, resnet26" in str(
        other.exception
    )
    said = ["--as", "ResNet-26d=checkpoint:resnet26d"]
    again = CliRunner().invoke(
        cli, [*command, *said], input="Model,Top 1\nResNet-26d,98.0\n"
    )
    assert again.exit_code == 0, again.output


CODE = """
from torch import nn


class Pixels(nn.Module):
    def __init__(self, num_classes=1000):
        super().__init__()
        self.read = nn.Linear(3 * 32 * 32, num_classes)

    def forward(self, images):
        return self.read(images.flatten(1))


def pixels_of(image_size):
    return Pixels(image_size)
"""


def fit_pixels(folder: Path) -> dict[str, Tensor]:
    """Give the weights of `Pixels` that tell the images of a folder apart."""
    pixels, labels = read(folder, sorted(path.name for path in folder.iterdir()))
    inputs = pixels.flatten(1).double()
    wanted = nn.functional.one_hot(labels).double()
    gram = inputs @ inputs.T + 1e-6 * torch.eye(len(inputs))
    weight = inputs.T @ torch.linalg.solve(gram, wanted)
    return {
        "module.read.weight": weight.T.float(),
        "module.read.bias": torch.zeros(10),
    }


@pytest.mark.slow
def test_models_of_the_releases_own_code_run_as_they_are(project: Path) -> None:
    shutil.rmtree(project / "weights")
    (project / "weights").mkdir()
    torch.save(fit_pixels(project / "images"), project / "weights/best.pth")
    (project / "mine.py").write_text(CODE)
    assert "give the file of Python that builds it with --code" in new().output
    shutil.rmtree(project / "expected")
    shutil.rmtree(project / "tests")
    said = new("--code=mine.py").output
    assert re.search(r"weights/best: python Pixels: 50 of 50 right: this looks", said)
    (model,) = written().models.values()
    assert (model.code, model.options) == ("mine.py", {"num_classes": 10})
    assert model.gflops == float(f"{3 * 32 * 32 * 10 / 1e9:.3g}")

    def run(*options: str) -> str:
        command = (sys.executable, "-m", "pytest", "tests/test_own.py", *options)
        return subprocess.run(
            command, capture_output=True, text=True, check=False
        ).stdout

    assert re.search(r"best +100\.000 .* unreferenced", run())
    module = project / "tests/test_own.py"
    module.write_text(module.read_text().replace(", run_code=True", ""))
    refused = run()
    assert "1 error" in refused or "1 failed" in refused
    assert "add --repro-run-code" in refused
    assert re.search(r"best +100\.000", run("--repro-run-code"))


@pytest.mark.slow
def test_some_classes_of_imagenet_are_evaluated_with_all_outputs(project: Path) -> None:
    for number, folder in enumerate(sorted((project / "images").iterdir())):
        folder.rename(folder.with_name(IMAGENET[7 * number]))
    weights = fit_pixels(project / "images")
    head = weights["module.read.weight"]
    weights["module.read.weight"] = torch.zeros(1000, head.shape[1])
    weights["module.read.weight"][: 7 * len(head) : 7] = head
    weights["module.read.bias"] = torch.zeros(1000)
    shutil.rmtree(project / "weights")
    (project / "weights").mkdir()
    torch.save(weights, project / "weights/best.pth")
    (project / "mine.py").write_text(CODE)
    said = new("--code=mine.py").output
    assert re.search(r"best: python Pixels: 50 of 50 right: this looks complete", said)
    (dataset,) = written().datasets.values()
    assert len(dataset.classes) == 10
    assert dataset.outputs == IMAGENET


@pytest.mark.slow
def test_a_family_is_evaluated_as_each_library_of_its_files_does(
    project: Path,
) -> None:
    shutil.rmtree(project / "weights")
    (project / "weights").mkdir()
    for name in ("resnet18", "test_efficientnet"):
        state = timm.create_model(name, num_classes=10).state_dict()
        torch.save(state, project / "weights" / f"{name}.pt")
    for file in (project / "images").glob("*/*.png"):
        Image.open(file).resize((80, 80)).save(file)
    assert new().exit_code == 0
    release = written()
    assert len(release.protocols) == 2
    assert release.families["weights"].protocols == tuple(release.protocols)


def test_images_in_arrays_are_tried_and_run_as_files_are(project: Path) -> None:
    classes = sorted(path.name for path in (project / "images").iterdir())
    files = [f for c in classes for f in sorted((project / "images" / c).iterdir())]
    pixels = np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files])
    labels = [classes.index(file.parent.name) for file in files]
    np.savez(project / "digits.npz", images=pixels, labels=labels)
    (project / "weights/resnet26.pt").unlink()
    arguments = ["new", "own", "--weights=weights", "--images=digits.npz"]
    result = CliRunner().invoke(cli, arguments)
    assert result.exception is None, result.exception
    said = result.output.splitlines()
    assert said[0].endswith("50 images of 10 classes, all 32 x 32; 1 weights file")
    assert said[1].startswith("weights/resnet18: timm resnet18: 50 of 50 right with")
    (dataset,) = written().datasets.values()
    assert (dataset.folder, dataset.classes) == ("digits.npz", tuple(classes))
    command = (sys.executable, "-m", "pytest", "tests/test_own.py")
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert re.search(r"resnet18 +100\.000 .* unreferenced", ran.stdout)


def test_a_file_that_holds_no_images_is_said(project: Path) -> None:
    (project / "digits.txt").write_text("0 1 2")
    arguments = ["new", "own", "--weights=weights", "--images=digits.txt"]
    result = CliRunner().invoke(cli, arguments)
    assert isinstance(result.exception, OptionError)
    assert "without arrays of images and labels" in str(result.exception)


def test_code_is_a_file_of_python_that_is_tried_with_weights(project: Path) -> None:
    (project / "mine.txt").write_text(CODE)
    for arguments, sentence in (
        (["--weights=weights", "--images=images", "--code=mine.txt"], "Python, .py"),
        (["--code=mine.txt"], "name them too"),
        (
            ["--weights=weights", "--images=images", "--code=images"],
            "install the package that it imports",
        ),
    ):
        result = CliRunner().invoke(cli, ["new", "own", *arguments])
        assert isinstance(result.exception, OptionError)
        assert sentence in str(result.exception)


def test_a_file_that_nothing_builds_is_named_and_written_to_be_named(
    project: Path,
) -> None:
    shutil.rmtree(project / "weights")
    (project / "weights").mkdir()
    torch.save(nn.Linear(3, 10).state_dict(), project / "weights/odd.pt")
    said = new().output
    assert "weights/odd: weights/odd.pt fits no architecture that is known here" in said
    assert written().families["weights"].model == "to-be-named"


def test_a_file_of_torchvision_is_tried_as_its_entry_was_measured(
    tmp_path: Path,
) -> None:
    def geometry(name: str) -> str:
        torch.save(torchvision.models.resnet18().state_dict(), tmp_path / name)
        found = inspect_weights(tmp_path / name)
        spec = ModelSpec(id="m", loader="torchvision", architecture="mobilenet_v2")
        return library_preprocessing(spec, found).geometry

    assert geometry("best.pth") == "rgb|resize(256,bilinear)|center_crop(224)"
    entry = torchvision.models.MobileNet_V2_Weights.IMAGENET1K_V2
    of_entry = geometry(entry.url.rpartition("/")[2])
    assert of_entry == "rgb|resize(232,bilinear)|center_crop(224)"


def test_architectures_with_the_same_tensors_are_named_where_few_are_right() -> None:
    weights = SurveyedWeights(
        path=Path("a.pt"),
        found=None,
        model=ModelSpec(id="m", loader="timm", architecture="efficientnet_lite0"),
        others=("tf_efficientnet_lite0",),
    )
    few, most = (
        Checkpoint(family="f", weights=weights, trial=trial(right)).sentence()
        for right in (20, 80)
    )
    assert few.endswith("; its tensors fit tf_efficientnet_lite0 too")
    assert most.endswith("complete")


@pytest.mark.parametrize("folder", ["cifar-10.1", "v2+", "Bilder für alle", "..x"])
def test_a_folder_of_images_may_be_called_as_it_likes(
    folder: str, project: Path
) -> None:
    (project / "images").rename(project / folder)
    shutil.rmtree(project / "weights")
    (project / "weights").mkdir()
    torch.save(nn.Linear(3, 10).state_dict(), project / "weights/odd.pt")
    arguments = ["new", "own", "--weights=weights", f"--images={folder}"]
    assert CliRunner().invoke(cli, arguments).exception is None
    (dataset,) = written().datasets.values()
    assert dataset.folder == folder


def test_another_number_of_outputs_than_class_folders_is_said(project: Path) -> None:
    (project / "weights/resnet26.pt").unlink()
    shutil.rmtree(project / "images/9")
    said = new().output
    assert "it has 10 outputs, and " in said
    assert " 9 class folders; name what each output is as `outputs`" in said


def trial(right: int, usual: int | None = None, reordered: int | None = None) -> Trial:
    way = Normalisation("CIFAR-10's mean/std", MEAN, STD)
    return Trial(
        normalisation=way,
        right=right,
        usual=right if usual is None else usual,
        images=100,
        classes=10,
        reordered=reordered,
    )


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (trial(98), "98 of 100 right: this looks complete"),
        (
            trial(97, usual=41),
            "97 of 100 right with CIFAR-10's mean/std, 41 with the library's: this "
            "looks complete",
        ),
        (
            trial(11),
            "11 of 100 right, as by chance for 10 classes: order of classes, "
            "geometry, normalisation or weights",
        ),
        (
            trial(11, reordered=96),
            "11 of 100 right, as by chance for 10 classes: order of classes, "
            "geometry, normalisation or weights; 96 with the classes in another order",
        ),
        (
            trial(30),
            "30 of 100 right, which is no chance, but few: compare geometry and "
            "normalisation with your evaluation script",
        ),
    ],
)
def test_what_was_seen_is_said_in_one_sentence(seen: Trial, said: str) -> None:
    assert seen.sentence() == said


def test_the_best_of_several_ways_to_evaluate_is_sooner_met_by_chance() -> None:
    seen = trial(19)
    assert not seen.is_chance
    assert msgspec.structs.replace(seen, ways=9).is_chance
    ways = {
        Normalisation(str(n), MEAN, STD): predictions([0, 1], [0, 0]) for n in (1, 2)
    }
    assert trial_of(ways, next(iter(ways)), 2).ways == 2


def test_the_probability_of_guessing_is_that_of_the_binomial_distribution() -> None:
    for right in (0, 1, 11, 20, 100):
        expected = binom.sf(right - 1, 100, 0.1)
        assert at_least(right, 100, 0.1) == pytest.approx(expected)


def predictions(labels: list[int], found: list[int]) -> Predictions:
    return Predictions(
        indices=np.arange(len(labels)),
        labels=np.array(labels),
        classes=np.array(found, np.int32)[:, None],
        losses=np.ones(len(labels)),
        total=len(labels),
    )


def test_classes_in_another_order_are_noticed() -> None:
    labels = [n % 10 for n in range(100)]
    way = Normalisation("none", MEAN, STD)
    turned = {way: predictions(labels, [(n + 3) % 10 for n in labels])}
    assert (trial_of(turned, way, 10).right, trial_of(turned, way, 10).reordered) == (
        0,
        100,
    )
    # Of a thousand classes a hundred images tell no order.
    assert trial_of(turned, way, 1000).reordered is None


def test_of_normalisations_the_one_of_all_checkpoints_counts() -> None:
    one, other = (Normalisation(name, MEAN, STD) for name in ("one", "other"))
    labels = [0] * 40

    def right(number: int) -> Predictions:
        return predictions(labels, [0] * number + [1] * (40 - number))

    tried = [{one: right(39), other: right(38)}, {one: right(15), other: right(33)}]
    assert choose(tried) == other
    assert choose(tried[:1]) == one


def test_what_a_few_images_do_not_tell_apart_stays_as_is_usual_and_is_named() -> None:
    usual = Normalisation("usual", MEAN, STD)
    alike, worse = (
        Normalisation(name, (mean,) * 3, STD)
        for name, mean in (("alike", 0.2), ("worse", 0.9))
    )
    labels = [0] * 100

    def right(number: int) -> Predictions:
        return predictions(labels, [0] * number + [1] * (100 - number))

    tried = [{usual: right(91), alike: right(93), worse: right(60)}]
    assert choose(tried) == usual
    assert as_good(tried, usual) == [alike]
    tried = [{usual: right(60), alike: right(91), worse: right(20)}]
    assert choose(tried) == alike
    assert as_good(tried, alike) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--weights=weights"], "--weights is tried with --images; name both or none"),
        (["--images=images"], "--images is tried with --weights; name both or none"),
        (
            ["--weights=images", "--images=images"],
            "--weights: images holds no weights file; they end in .pt",
        ),
        (
            ["--weights=weights", "--images=weights"],
            "--images: weights has no folder of images for each class, CLASS/IMAGE",
        ),
        (
            ["--weights=weights", "--images=."],
            "--images: . has no folder of images for each class, CLASS/IMAGE; is it "
            "images?",
        ),
    ],
)
def test_what_cannot_be_tried_is_refused_in_a_sentence(
    project: Path, arguments: list[str], said: str
) -> None:
    result = CliRunner().invoke(cli, ["new", "own", *arguments])
    assert isinstance(result.exception, OptionError)
    assert said in str(result.exception)
    assert not (project / "expected").exists()


def test_the_workflow_is_the_one_that_this_repository_runs_itself() -> None:
    own = yaml.safe_load((ROOT / ".github/workflows/nightly.yml").read_text())
    theirs = yaml.safe_load(nightly_files(Path("tests/test_x.py"), {})[WORKFLOW])
    # A repository of one's own runs tox, this one the action with the same steps.
    *_, action = own["jobs"]["reproduce"].pop("steps")
    _, _, run, summary, artifact = theirs["jobs"]["reproduce"].pop("steps")
    assert theirs == own
    steps = {
        step.get("name", step.get("uses")): step
        for step in yaml.safe_load((ROOT / "action.yml").read_text())["runs"]["steps"]
    }
    assert action["uses"] == "./"
    in_folder = steps["Summary"]["run"].replace("$FOLDER", "nightly")
    assert (
        in_folder.replace('"nightly/report.md"', "nightly/report.md") == summary["run"]
    )
    assert (
        run["run"].partition("case")[2]
        == steps["Reproduce"]["run"].partition("case")[2]
    )
    assert artifact["with"]["name"] == action["with"]["artifact"]


def test_variables_that_are_not_set_on_github_are_those_of_nobody(
    tmp_path: Path,
) -> None:
    workflow = yaml.safe_load(nightly_files(Path("tests/test_x.py"), {})[WORKFLOW])
    names = [*workflow["jobs"]["reproduce"]["env"]]
    (run,) = [
        step["run"]
        for step in workflow["jobs"]["reproduce"]["steps"]
        if step.get("name") == "Reproduce"
    ]
    fake = tmp_path / "uvx"
    fake.write_text(f"#!/bin/sh\nenv > {tmp_path}/seen\nexit 10\n")
    fake.chmod(0o755)
    there = dict.fromkeys(names, "") | {"REPRO_DATA": "/my data"}
    path = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    # As GitHub runs it.
    shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", run]
    ended = subprocess.run(
        shell, env=there | path, capture_output=True, text=True, check=False
    )
    seen = (tmp_path / "seen").read_text().splitlines()
    assert [line for line in seen if line.startswith("REPRO_")] == [
        "REPRO_DATA=/my data"
    ]
    assert ended.returncode == 10
    assert "::error title=Divergence::" in ended.stdout


def test_the_tox_environment_takes_places_from_variables_or_as_they_were() -> None:
    places = {"checkpoints": "weights", "data": "."}
    text = nightly_files(Path("tests/test_x.py"), places)[TOX].decode()
    config = configparser.ConfigParser(interpolation=None)
    config.read_string(text)
    commands = config["testenv:nightly"]["commands"].replace("\\\n", "")
    assert shlex.split(commands)[:6] == [
        "pytest",
        "tests/test_x.py",
        "-n",
        "auto",
        "--repro-strict",
        "--repro-checkpoints={env:REPRO_CHECKPOINTS:weights}",
    ]
    own = configparser.ConfigParser(interpolation=None)
    own.read(ROOT / "tox.ini")
    # Both ask for the same reports, baseline and exit status.
    options = re.compile(r"--(?:repro-(?:baseline|diverged|report)|junitxml)\S* ?\S*")
    assert options.findall(commands) == options.findall(
        own["testenv:nightly"]["commands"].replace("\\\n", "")
    )
