"""Measurements of one case in two runs: what they predicted, and of which images."""

from __future__ import annotations

from typing import Any

import msgspec

from repro.evaluation.predictions import Predictions
from repro.judgement.compare import ImageChanges
from repro.records.comparison import Side
from repro.records.predictions import ImageNames
from repro.records.result import CaseResult, Measurement

from ..made_results import measurement, predictions, result

OLD, NEW = (f"xxh3:{letter * 64}" for letter in "ab")
MADE = predictions(60, seed=3)


def measured(**fields: Any) -> Measurement:
    return measurement(MADE.metrics(), **{"dataset_fingerprint": OLD, **fields})


def side(
    run: str = "run 1",
    made: CaseResult | None = None,
    predicted: Predictions | None = MADE,
    named: ImageNames | None = None,
    **fields: Any,
) -> Side:
    """Give a measurement of a case; fields are of the measurement."""
    now = msgspec.structs.replace(made or result(), measurement=measured(**fields))
    # As it is read from a ledger: equal words are not one object.
    now = msgspec.json.decode(msgspec.json.encode(now), type=CaseResult)
    assert now.measurement
    return Side(run, now, now.measurement, lambda: predicted, lambda: named)


REPLACED, RELABELLED = 7, 11


def image_names(*, is_new: bool) -> ImageNames:
    labels = MADE.labels.copy()
    digests = [f"{place:032x}" for place in range(60)]
    if is_new:
        digests[REPLACED] = "f" * 32
        labels[RELABELLED] = 9 - labels[RELABELLED]
    files = tuple(f"{label}/{place:02}.png" for place, label in enumerate(labels))
    return ImageNames(files, tuple(map(str, range(10))), tuple(digests))


def moved() -> Predictions:
    """Give what a later run said: other first classes, also of what was replaced."""
    return msgspec.structs.replace(
        MADE, classes=predictions(60, seed=4, accuracy=0.5).classes
    )


def image_counts(found: ImageChanges) -> tuple[int, ...]:
    groups = found.changed, found.relabelled, found.missing, found.new
    return (
        *(found.before, found.after, found.same),
        *(group.images for group in groups),
    )
