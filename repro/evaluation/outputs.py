"""How many outputs a model has, and how many a dataset names: they must be as many.

With one more than there are names every output would stand for the class beside its
own, and an accuracy come out that looks like a bad model's.
"""

from __future__ import annotations

import msgspec

from repro.errors import EvaluationError
from repro.published import DatasetSpec


class Outputs(msgspec.Struct, frozen=True):
    """The outputs that a dataset names, in `outputs` or else in `classes`."""

    dataset: str
    names: int
    key: str

    def check(self, found: int, whose: str = "the model has {} outputs") -> None:
        """Refuse a model, or a text classifier, of another number of outputs.

        Args:
            found: how many there are.
            whose: what has them, with a gap for the number.

        Raises:
            EvaluationError: they are not as many as the names.
        """
        if found == self.names:
            return
        advice = (
            "weights and dataset do not belong together, or the dataset has to name "
            "all of them in outputs"
        )
        if found == self.names + 1:
            advice = (
                "one more is mostly a background class; name it in outputs where the "
                "model has it, which is first in models of TensorFlow"
            )
        raise EvaluationError(
            f"{whose.format(f'{found:,}')}, but the dataset {self.dataset!r} names "
            f"{self.names:,} in {self.key}: {advice}"
        )


def outputs_of(dataset: DatasetSpec) -> Outputs:
    """Say how many outputs the models of a dataset have."""
    if dataset.outputs:
        return Outputs(dataset.id, len(dataset.outputs), "outputs")
    return Outputs(dataset.id, len(dataset.classes), "classes")
