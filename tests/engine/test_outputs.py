"""A model has as many outputs as its dataset names, or is not evaluated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from torch import Tensor

from repro.cases import Case, list_cases
from repro.engine.evaluator import Evaluator
from repro.engine.settings import EngineSettings
from repro.engine.sources import Stores
from repro.errors import EvaluationError
from repro.evaluation.classifier import Classifier
from repro.models.weights import find_weights
from repro.published import read_releases
from tests.stand_ins import read_state_dict

DIGITS = tuple("0123456789")


@pytest.fixture(autouse=True)
def undecoded(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no photograph be decoded where a model has to be refused."""
    if "refused" in request.node.name:

        def pixels(*anything: object) -> None:
            raise AssertionError("a photograph is decoded for a model of another head")

        monkeypatch.setattr(Stores, "pixels", pixels)


def case_of(kind: str, **changes: Any) -> Case:
    case = next(c for c in list_cases(read_releases(["embedded"])) if c.kind == kind)
    return msgspec.structs.replace(case, **changes)


def with_outputs(case: Case, *names: str) -> Case:
    dataset = msgspec.structs.replace(case.dataset, outputs=names)
    return msgspec.structs.replace(case, dataset=dataset)


def engine() -> Evaluator:
    return Evaluator(EngineSettings(data=None, cache=None, device="cpu"))


def widened(case: Case, outputs: int, folder: Path) -> tuple[Case, Path]:
    """Give a head more outputs, in front as a background class is, or fewer."""
    state = dict(read_state_dict(find_weights(case, None)))
    for name in ("head.weight", "head.bias"):
        head = state[name]
        more = torch.full((max(0, outputs - len(head)), *head.shape[1:]), -1e3)
        state[name] = torch.cat([more, head])[:outputs].clone()
    file = folder / "w.pt"
    torch.save(state, file)
    options = case.model.options | {"num_classes": outputs}
    model = msgspec.structs.replace(case.model, options=options)
    models = case.release.models | {model.id: model}
    release = msgspec.structs.replace(case.release, models=models)
    return msgspec.structs.replace(case, release=release), file


@pytest.mark.parametrize(
    ("outputs", "names", "told"),
    [
        (11, (), "has 11 outputs, but the dataset 'digits-val' names 10 in classes: o"),
        (
            11,
            DIGITS,
            "has 11 outputs, but the dataset 'digits-val' names 10 in outp",
        ),
        (10, (*DIGITS, "x"), "has 10 outputs, but .* names 11 in outputs: weights and"),
        (9, (), "has 9 outputs, but the dataset 'digits-val' names 10 in classes: we"),
        (30, DIGITS, "has 30 outputs, but .* names 10 in outputs: weights and dataset"),
    ],
)
def test_a_head_of_another_size_is_refused_before_anything_is_decoded(
    outputs: int, names: tuple[str, ...], told: str, tmp_path: Path
) -> None:
    case, weights = widened(case_of("supervised"), outputs, tmp_path)
    with pytest.raises(EvaluationError, match=told) as caught:
        engine().measure(with_outputs(case, *names), weights=weights)
    assert ("background class; name it in outputs" in str(caught.value)) == (
        outputs == 11
    )


def test_a_background_class_that_is_named_first_changes_no_number(
    tmp_path: Path,
) -> None:
    plain = case_of("supervised")
    wanted, _ = engine().measure(plain)
    case, weights = widened(plain, 11, tmp_path)
    named = with_outputs(case, "background", *DIGITS)
    found, _ = engine().measure(named, weights=weights)
    assert found.metrics.top1 == wanted.metrics.top1
    assert found.metrics.loss == pytest.approx(wanted.metrics.loss, rel=1e-6)


@pytest.mark.parametrize(
    ("classnames", "told"),
    [
        ("open_clip:IMAGENET_CLASSNAMES", "'digits-clip' has 1,000 class names, but"),
        (
            (*DIGITS, "x"),
            "has 11 class names, but the dataset 'digits-val' names 10",
        ),
    ],
)
def test_class_names_of_another_number_are_refused_before_they_are_encoded(
    classnames: Any, told: str
) -> None:
    plain = case_of("clip")
    assert plain.protocol.text is not None
    text = msgspec.structs.replace(plain.protocol.text, classnames=classnames)
    protocol = msgspec.structs.replace(plain.protocol, text=text)
    with pytest.raises(EvaluationError, match=told):
        engine().measure(msgspec.structs.replace(plain, protocol=protocol))


def test_what_torch_advises_at_the_end_of_its_sentences_is_told() -> None:
    def forward(images: Tensor) -> Tensor:
        raise RuntimeError(
            "Deterministic behavior was enabled" + ", for these reasons" * 14 + ".\n"
            "Set an environment variable: CUBLAS_WORKSPACE_CONFIG=:4096:8"
        )

    half = (0.5, 0.5, 0.5)
    classifier = Classifier(forward, half, half, torch.device("cpu"))
    with pytest.raises(EvaluationError, match=r"reasons\. Set .*_CONFIG=:4096:8$"):
        classifier.check((8, 8))


LOST = "CUDA error: uncorrectable ECC error encountered\nSearch for `cudaErrorECC'"


def test_a_device_that_fails_is_not_called_a_model_that_refuses_images() -> None:
    def forward(images: Tensor) -> Tensor:
        raise torch.AcceleratorError(LOST)

    half = (0.5, 0.5, 0.5)
    classifier = Classifier(forward, half, half, torch.device("cpu"))
    with pytest.raises(torch.AcceleratorError):
        classifier.check((8, 8))


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            torch.AcceleratorError(LOST),
            r"^cpu failed \(CUDA error: uncorrectable ECC error encountered\): this",
        ),
        (
            torch.OutOfMemoryError("CUDA out of memory."),
            "^what this case needs does not fit into the memory of cpu; free",
        ),
    ],
)
def test_a_device_that_fails_while_it_evaluates_is_one_sentence(
    error: RuntimeError, told: str
) -> None:
    class Failing(Evaluator):
        def evaluate(self, *anything: Any, **named: Any) -> Any:
            raise error

    failing = Failing(EngineSettings(data=None, cache=None, device="cpu"))
    with pytest.raises(EvaluationError, match=told):
        failing.measure(case_of("supervised"))


def test_a_size_that_the_model_refuses_is_one_sentence() -> None:
    plain = case_of("supervised")
    geometry = "rgb|resize(32,bilinear)|center_crop(21)"
    protocol = msgspec.structs.replace(plain.protocol, geometry=geometry)
    with pytest.raises(EvaluationError, match="refuses images of 21 x 21 pix"):
        engine().measure(msgspec.structs.replace(plain, protocol=protocol))
