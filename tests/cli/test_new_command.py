"""`repro new`: files that can be read as they stand, filled in from a checkpoint."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import run

import open_clip
import pytest
import timm
import torch
from click.testing import CliRunner, Result
from torch import nn

from repro.cases import list_cases
from repro.cli import cli
from repro.errors import OptionError, WeightsError
from repro.models.inspection import inspect_weights
from repro.published import Release, read_releases


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def new(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["new", *arguments])


def written(name: str) -> Release:
    (release,) = read_releases([Path("expected", name)])
    return release


def comments(file: Path) -> str:
    """Give the text of a file as if no line of a comment had been broken."""
    return file.read_text().replace("\n# ", " ")


def test_a_new_release_can_be_read_as_it_stands() -> None:
    result = new("two-moons")
    assert result.output.splitlines() == [
        "expected/two-moons/release.toml",
        "expected/two-moons/imagenet-1k.txt",
        "tests/test_two_moons.py",
        "next: fill in expected/two-moons/release.toml, then repro cases --expected "
        "expected/two-moons",
    ]
    release = written("two-moons")
    assert len(release.datasets["imagenet-val"].classes) == 1000
    assert list_cases([release]) == []


def test_the_commented_reference_is_one_that_can_be_read(project: Path) -> None:
    new("two-moons")
    file = project / "expected/two-moons/release.toml"
    head, reference = file.read_text().split("# [[reference]]")
    file.write_text(head + "[[reference]]" + reference.replace("\n# ", "\n"))
    (case,) = list_cases([written("two-moons")])
    assert case.id == "two-moons/best@paper"


def test_the_test_module_collects_the_cases_of_the_release(project: Path) -> None:
    new("two-moons")
    weights = project / "checkpoints/two-moons/4M.pt"
    weights.parent.mkdir(parents=True)
    weights.touch()
    command = f"{sys.executable} -m pytest -q --collect-only -p no:cacheprovider"
    option = ["--repro-checkpoints", "checkpoints", "tests"]
    result = run(
        [*command.split(), *option], capture_output=True, text=True, check=True
    )
    assert (
        "tests/test_two_moons.py::test_two_moons[two-moons/4M@paper]" in result.stdout
    )


def test_nothing_that_exists_is_overwritten() -> None:
    new("two-moons")
    result = new("two-moons")
    assert isinstance(result.exception, OptionError)
    assert str(result.exception).startswith("expected/two-moons/release.toml exists;")


def test_a_name_that_no_release_can_have_is_refused(project: Path) -> None:
    result = new("two moons")
    assert isinstance(result.exception, OptionError)
    assert list(project.iterdir()) == []


def vit() -> nn.Module:
    model: nn.Module = timm.create_model(
        "vit_tiny_patch16_224", img_size=96, num_classes=7
    )
    return model


def resnet() -> nn.Module:
    model: nn.Module = timm.create_model("resnet18", num_classes=10)
    return model


def clip() -> nn.Module:
    config = open_clip.get_model_config("ViT-B-32")
    with torch.device("meta"):
        model = open_clip.CLIP(**config)
    # Shapes are all that inspection looks at; views of one value keep the file small.
    for module in model.modules():
        for name, tensor in [*module._parameters.items()]:
            if tensor is not None:
                module._parameters[name] = nn.Parameter(
                    torch.zeros(()).expand(tensor.shape), requires_grad=False
                )
    found: nn.Module = model
    return found


@pytest.mark.parametrize(
    ("build", "loader", "architecture", "options"),
    [
        (vit, "timm", "vit_tiny_patch16_224", {"num_classes": 7, "img_size": 96}),
        (resnet, "timm", "resnet18", {"num_classes": 10}),
        (clip, "open_clip", "ViT-B-32", {}),
    ],
)
def test_a_checkpoint_fills_in_its_architecture(
    project: Path,
    build: Callable[[], nn.Module],
    loader: str,
    architecture: str,
    options: dict[str, int],
) -> None:
    torch.save(build().state_dict(), project / "best.pt")
    assert new("two-moons", "--from-checkpoint", "best.pt").exit_code == 0
    model = written("two-moons").models["main"]
    assert (model.loader, model.architecture) == (loader, architecture)
    assert model.options == options
    assert written("two-moons").protocols["paper"].kind == (
        "clip" if loader == "open_clip" else "supervised"
    )
    text = comments(project / "expected/two-moons/release.toml")
    assert "every name and shape fits this architecture" in text
    outputs = options.get("num_classes")
    assert (f"The weights have {outputs} outputs" in text) == (outputs is not None)


def test_a_state_dict_inside_a_training_checkpoint_is_found(project: Path) -> None:
    content = {"epoch": 3, "state_dict": resnet().state_dict()}
    torch.save(content, project / "best.pt")
    new("two-moons", "--from-checkpoint", "best.pt")
    assert written("two-moons").models["main"].weights_key == "state_dict"


def test_an_architecture_that_was_not_tried_is_left_to_the_author(
    project: Path,
) -> None:
    torch.save(nn.Linear(3, 2).state_dict(), project / "best.pt")
    new("two-moons", "--from-checkpoint", "best.pt")
    text = comments(project / "expected/two-moons/release.toml")
    assert "2 tensors with 8 values; no architecture that was tried fits" in text
    assert written("two-moons").models["main"].architecture == "resnet50"


def test_a_file_that_holds_no_weights_is_refused(project: Path) -> None:
    (project / "best.pt").write_text("no weights")
    with pytest.raises(WeightsError, match=r"best\.pt"):
        inspect_weights(project / "best.pt")
    assert isinstance(
        new("two-moons", "--from-checkpoint", "best.pt").exception, WeightsError
    )
    assert not (project / "expected").exists()
