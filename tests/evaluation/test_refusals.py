"""What a model cannot compute is said before anything is decoded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from repro.errors import EvaluationError
from repro.evaluation.accelerators import LIMITS
from repro.evaluation.classifier import Classifier, Outputs, outputs_of
from repro.evaluation.evaluate import has_float64
from repro.evaluation.predictions import PER_IMAGE, load_predictions
from repro.published import DatasetSpec, Precision

CPU = torch.device("cpu")
HALF = (0.5, 0.5, 0.5)


class Gives(nn.Module):
    """Gives the same for every image, or raises it."""

    def __init__(self, given: Tensor | Exception) -> None:
        super().__init__()
        self.given = given
        self.sizes: list[torch.Size] = []

    def forward(self, images: Tensor) -> Tensor:
        self.sizes.append(images.shape)
        if isinstance(self.given, Exception):
            raise self.given
        return self.given.expand(len(images), *self.given.shape)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (ValueError("no\n  such\tsize"), r"28 x 20 pixels, .* gives: no such size$"),
        (KeyError(), r"28 x 20 pixels, which the geometry gives: KeyError$"),
        (ValueError("x" * 999), f"gives: {'x' * 400}$"),
        (torch.zeros(3, 4), r"\[1, 3, 4\]"),
        (torch.zeros(()), r"\[1\] for one image"),
    ],
)
def test_a_model_that_gives_no_logits_is_refused(
    given: Tensor | Exception, said: str
) -> None:
    model = Gives(given)
    with pytest.raises(EvaluationError, match=said):
        Classifier(model, HALF, HALF, CPU).check((28, 20))
    assert model.sizes == [torch.Size([1, 3, 28, 20])]


def test_a_model_that_has_too_little_memory_is_not_one_that_refuses() -> None:
    model = Gives(torch.OutOfMemoryError("out of memory"))
    with pytest.raises(torch.OutOfMemoryError):
        Classifier(model, HALF, HALF, CPU).check((28, 20))


def test_a_model_of_other_outputs_is_refused_and_one_of_these_is_not() -> None:
    # More than the integers that Python keeps one object of.
    for names in (500, 501):
        classes = tuple(map(str, range(names)))
        outputs = outputs_of(dataset_of(classes))
        for count in range(names - 3, names + 4):
            model = Gives(torch.zeros(count))
            classifier = Classifier(model, HALF, HALF, CPU, outputs=outputs)
            if count == names:
                classifier.check((28, 20))
                continue
            advice = "one more is mostly a background class"
            if count != names + 1:
                advice = "weights and dataset do not belong together"
            said = f"^the model has {count} outputs, .* names {names} in classes: "
            with pytest.raises(EvaluationError, match=said + advice):
                classifier.check((28, 20))


def test_a_dataset_that_names_outputs_has_as_many() -> None:
    dataset = dataset_of(("a", "b"), ("a", "b", "c"))
    assert outputs_of(dataset) == Outputs("val", 3, "outputs")
    model = Gives(torch.zeros(3, 4))
    classifier = Classifier(
        model, HALF, HALF, CPU, outputs=Outputs("val", 4, "classes")
    )
    with pytest.raises(EvaluationError, match=r"\[1, 3, 4\] for one image"):
        classifier.check((28, 20))


def dataset_of(classes: tuple[str, ...], outputs: tuple[str, ...] = ()) -> DatasetSpec:
    return DatasetSpec(
        id="val", title="Val", folder="val", classes=classes, images=9, outputs=outputs
    )


@pytest.mark.parametrize("error", [TypeError, RuntimeError])
def test_devices_that_refuse_float64_in_their_way_have_none(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **how: object) -> None:
        raise error

    monkeypatch.setattr(torch, "ones", refuse)
    assert not has_float64.__wrapped__(CPU)


def test_memory_that_ran_out_says_nothing_of_float64(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **how: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(torch, "ones", refuse)
    with pytest.raises(torch.OutOfMemoryError):
        has_float64.__wrapped__(CPU)


#: The precision of what a model multiplies.
FEWEST_BITS: dict[Precision, torch.dtype] = {
    "tf32": torch.float16,  # as many bits after the first
    "fp16": torch.float16,
    "amp-fp16": torch.float16,
    "bf16": torch.bfloat16,
    "amp-bf16": torch.bfloat16,
}


def test_logits_may_move_by_some_rounding_errors_of_what_is_reduced_anyway() -> None:
    assert LIMITS.keys() == {"fp32", *FEWEST_BITS}
    assert LIMITS["fp32"] == 1e-4
    for precision, type_ in FEWEST_BITS.items():
        assert 3 < LIMITS[precision] / torch.finfo(type_).eps < 10


def test_predictions_that_hold_an_object_are_not_unpickled(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[object, ...]:
            return (tmp_path / "ran").touch, ()

    file = tmp_path / "predictions.npz"
    fields: dict[str, Any] = {name: np.zeros(1) for name in (*PER_IMAGE, "total")}
    objects = np.array([Hostile()], dtype=object)
    with file.open("wb") as stream:
        np.savez(stream, **{**fields, "labels": objects})
    with pytest.raises(ValueError, match="allow_pickle=False"):
        load_predictions(file)
    assert not (tmp_path / "ran").exists()
