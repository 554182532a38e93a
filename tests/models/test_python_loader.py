"""Code that a release brings is run when it is allowed, and refused in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from repro.diagnosis.building import Builder
from repro.diagnosis.setup import Setup
from repro.errors import ExpectedError, OptionError
from repro.models.building import load_checkpoint
from repro.models.skeleton import fitting_code
from repro.published import ModelSpec, Protocol

CPU = torch.device("cpu")
CODE = """
from dataclasses import dataclass

import torch
from torch import nn


@dataclass
class Shape:
    width: int = 3


class Net(nn.Module):
    def __init__(self, width=3, num_classes=10):
        super().__init__()
        self.body = nn.Linear(Shape(width).width, num_classes)

    def forward(self, images):
        return self.body(images)


def wide():
    return Net(width=7)


def of(num_classes):
    return Net(width=5, num_classes=num_classes)


def number():
    return 7


def _hidden():
    return Net(width=11)


def broken():
    raise KeyError("layers")
"""


def spec(architecture: str, **options: object) -> ModelSpec:
    return ModelSpec(
        id="mine",
        loader="python",
        architecture=architecture,
        code="mine.py",
        options=options,
    )


@pytest.fixture
def release(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(CODE)
    return tmp_path


def save(folder: Path, width: int, classes: int = 10) -> nn.Linear:
    torch.manual_seed(0)
    plain = nn.Linear(width, classes)
    named = {f"module.body.{name}": t for name, t in plain.state_dict().items()}
    torch.save(named, folder / "weights.pt")
    return plain


@pytest.mark.parametrize(
    ("architecture", "options", "width", "classes"),
    [
        ("Net", {}, 3, 10),
        ("Net", {"width": 4}, 4, 10),
        ("of", {"num_classes": 2}, 5, 2),
    ],
)
def test_a_model_of_own_code_computes_what_torch_does(
    release: Path, architecture: str, options: dict[str, int], width: int, classes: int
) -> None:
    plain = save(release, width, classes)
    given = spec(architecture, **options), release, release / "weights.pt", CPU
    model = load_checkpoint(*given, run_code=True).model
    images = torch.rand(5, width)
    assert torch.equal(model(images), plain(images))


def test_nothing_is_run_without_being_allowed(release: Path) -> None:
    save(release, 3)
    ran = release / "ran"
    (release / "mine.py").write_text(f"open({str(ran)!r}, 'w').close()\n{CODE}")
    given = spec("Net"), release, release / "weights.pt", CPU
    with pytest.raises(OptionError, match=r"mine\.py.*add --repro-run-code"):
        load_checkpoint(*given)
    assert not ran.exists()
    load_checkpoint(*given, run_code=True)
    assert ran.exists()


@pytest.mark.parametrize(
    ("code", "architecture", "sentence"),
    [
        (
            CODE,
            "Nett",
            "has no function or class 'Nett'.*; it has Net, wide, of, ",
        ),
        (CODE, "number", "gave int; it must give a torch.nn.Module"),
        (CODE, "broken", "ended in KeyError: 'layers'"),
        (CODE, "of", "ended in TypeError: .*num_classes"),
        ("def Net(:", "Net", "ended in SyntaxError"),
        (
            "import not_there",
            "Net",
            "ended in ModuleNotFoundError.*install that",
        ),
        ("raise SystemExit(3)", "Net", "ended in SystemExit: 3"),
    ],
)
def test_code_that_builds_no_model_is_a_sentence(
    release: Path, code: str, architecture: str, sentence: str
) -> None:
    save(release, 3)
    (release / "mine.py").write_text(code)
    given = spec(architecture), release, release / "weights.pt", CPU
    with pytest.raises(ExpectedError, match=sentence) as raised:
        load_checkpoint(*given, run_code=True)
    assert "mine.py" in str(raised.value)


def test_code_that_changes_is_run_again(release: Path) -> None:
    save(release, 3)
    given = spec("Net"), release, release / "weights.pt", CPU
    load_checkpoint(*given, run_code=True)
    (release / "mine.py").write_text(CODE.replace("self.body(images)", "images"))
    images = torch.rand(5, 3)
    assert load_checkpoint(*given, run_code=True).model(images) is images


@pytest.mark.parametrize(
    ("shapes", "architecture", "options"),
    [
        ({"body.weight": (10, 3), "body.bias": (10,)}, "Net", {}),
        ({"body.weight": (4, 3), "body.bias": (4,)}, "Net", {"num_classes": 4}),
        ({"body.weight": (10, 7), "body.bias": (10,)}, "wide", {}),
        ({"body.weight": (4, 5), "body.bias": (4,)}, "of", {"num_classes": 4}),
        ({"body.weight": (10, 11), "body.bias": (10,)}, None, {}),
    ],
)
def test_what_builds_a_file_is_found_in_the_code(
    release: Path,
    shapes: dict[str, tuple[int, ...]],
    architecture: str | None,
    options: dict[str, int],
) -> None:
    found = fitting_code(shapes, release / "mine.py", classes=4)
    if architecture is None:
        assert found is None
        return
    assert found is not None
    assert (found.architecture, found.options) == (architecture, options)


def test_a_diagnosis_of_what_an_earlier_run_measured_runs_nothing_either(
    release: Path,
) -> None:
    """The measurement may come from a ledger, and whoever made that is not asked."""
    (release / "mine.py").write_text("raise AssertionError('it was run')")
    builder = Builder(release, release / "mine.pt", CPU, None)
    protocol = Protocol(
        id="plain",
        geometry="rgb|center_crop(8)",
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        source="paper",
    )
    body = Setup(protocol=protocol, model=spec("Net"), precision="fp32")
    with pytest.raises(OptionError, match="--repro-run-code"):
        builder.body(body, is_clip=False)
