"""Diagnose one checkpoint again and again, and evaluate an image only once.

What a suspect predicts does not depend on what was published, so a trial of hundreds of
faults in one checkpoint needs the predictions of each suspect for an image once. Images
can be drawn anew, which makes as many datasets of them as are wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from repro.cases import Case
from repro.data.dataset import Dataset
from repro.diagnosis.findings import Diagnosis, Known
from repro.diagnosis.investigation import Investigation
from repro.diagnosis.laboratory import Candidate, Group, Laboratory, Resources
from repro.diagnosis.setup import Setup
from repro.diagnosis.trials import targets_of
from repro.engine.evaluator import Evaluator
from repro.engine.settings import EngineSettings
from repro.evaluation.predictions import Predictions, join

Indices = npt.NDArray[np.int64]
Head = Callable[[Tensor], Tensor]


class Replay:
    """A checkpoint that was measured, with what its suspects predict.

    Args:
        case: which one.
        cache: folder of pixel stores and text classifiers.
        checkpoints: folder of the weights, None where the release has them.
        data: folder of the images, likewise.
    """

    def __init__(
        self,
        case: Case,
        cache: Path,
        checkpoints: Path | None = None,
        data: Path | None = None,
    ) -> None:
        settings = EngineSettings(
            cache=cache,
            device="cpu",
            checkpoints=checkpoints,
            data=data,
            # What is published of a full-size model ends it after the first images.
            early_stop=False,
        )
        engine = Evaluator(settings)
        self.case = case
        self.dataset = engine.dataset(case)
        measurement, self.run = engine.measure(case)
        self._weights = Path(measurement.weights)
        self._resources = Resources(
            device=torch.device("cpu"), threads=1, precision="fp32", cache=cache
        )
        self.heads: list[tuple[Setup, Head | Exception]] = []
        #: By body and names of the candidates that share it.
        self.known: dict[tuple[str, ...], Sequence[Predictions] | Exception] = {}

    def predictions(self, chosen: Indices) -> Predictions:
        """Give what was measured of some images, which may be there more than once."""
        return take(self.run, chosen, np.arange(len(chosen)), len(chosen))

    def diagnose(
        self,
        case: Case,
        chosen: Indices | None = None,
        run: Predictions | None = None,
        known: Known | None = None,
    ) -> Diagnosis:
        """Diagnose the checkpoint as if other numbers had been published for it.

        Args:
            case: with these numbers.
            chosen: positions of the images that the dataset is made of, ascending; None
                for all of them.
            run: what was measured of them, if it is not what was predicted.
            known: what is known of other cases.
        """
        drawn = np.arange(len(self.dataset)) if chosen is None else chosen
        return Investigation(
            case,
            self._weights,
            self.drawn_dataset(drawn),
            run or self.predictions(drawn),
            self._resources,
            laboratory=partial(_Remembering, self, drawn),
        ).diagnose(known)

    def is_contradicted(self, case: Case, chosen: Indices, run: Predictions) -> bool:
        """Tell whether what was measured contradicts one of the published numbers."""
        drawn = self.drawn_dataset(chosen)
        found = targets_of(case.references, run, drawn.class_sizes, len(drawn.strata))
        return any(target.is_missed for target in found)

    def drawn_dataset(self, drawn: Indices) -> Dataset:
        """Make a dataset of images that may be in it more than once."""
        return self.dataset.some(drawn)


class _Remembering(Laboratory):
    """Evaluates a suspect on images that it was not asked for before."""

    def __init__(self, replay: Replay, drawn: Indices, *parts: Any) -> None:
        case, weights, _, *rest = parts
        super().__init__(case, weights, replay.dataset, *rest)
        self._replay, self._drawn = replay, drawn

    def time(self, protocol: Setup, members: Indices) -> None:
        """Take no time: nothing is left out for being slow."""

    def head(self, setup: Setup) -> Head:
        """Give what turns features into logits, or say again why it cannot."""
        known = self._replay.heads
        found = next((head for other, head in known if other == setup), None)
        if found is None:
            try:
                found = super().head(setup)
            except Exception as error:
                found = error
            known.append((setup, found))
        if isinstance(found, Exception):
            raise found
        return found

    def extend(self, group: Group, members: Indices) -> None:
        """Let the candidates of a group see more images of those that were drawn."""
        names = [member.suspect.name for member in group.members]
        seen = group.members[0].predictions
        before = seen.indices if seen else np.empty(0, np.int64)
        places = np.sort(np.concatenate([before, members]))
        wanted = self._drawn[places]
        known = self._known(group, names, np.unique(wanted))
        for candidate, found in zip(group.members, known, strict=True):
            rows = np.searchsorted(found.indices, wanted)
            candidate.predictions = take(found, rows, places, len(self._drawn))
        group.images += len(members)
        self.evaluated += len(members) * group.passes

    def _known(
        self, group: Group, names: list[str], wanted: Indices
    ) -> Sequence[Predictions]:
        """Give what is known of candidates, once these images are among it."""
        key = str(group.body), *names
        found = self._replay.known.get(key, ())
        if isinstance(found, Exception):
            raise found
        lacking = np.setdiff1d(wanted, found[0].indices) if found else wanted
        if len(lacking):
            try:
                new = self._evaluated(group, lacking)
            except Exception as error:
                self._replay.known[key] = error
                raise
            pairs = zip(found, new, strict=True)
            found = [join([old, more]) for old, more in pairs] if found else new
            self._replay.known[key] = found
        return found

    def _evaluated(self, group: Group, members: Indices) -> list[Predictions]:
        fresh = [Candidate(m.suspect, m.topic, m.head, m.setup) for m in group.members]
        before = self.evaluated
        super().extend(Group(group.body, fresh, _never), members)
        self.evaluated = before
        return [member.predictions for member in fresh if member.predictions]


def take(whole: Predictions, rows: Indices, places: Indices, total: int) -> Predictions:
    """Give some rows of predictions as those of some places in a dataset."""
    kept = whole.confidences
    return msgspec.structs.replace(
        whole,
        indices=places,
        labels=whole.labels[rows],
        classes=whole.classes[rows],
        losses=whole.losses[rows],
        total=total,
        confidences=None if kept is None else kept[rows],
    )


def _never(group: Group, images: int) -> None:
    """Look at no more images than were asked for."""
