"""Find what would explain a divergence, on a few images.

Every suspect that applies is tried on the same few images. Those that restore the
published numbers best are tried on more and more, until one restores them on all, or
the time is spent. Suspects that differ only in what the features of an image are
compared with share the forward pass. All together this costs at most a tenth of a full
evaluation for each suspect tried, unless asked otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt
from torch import Tensor

from repro.cases import Case
from repro.data.dataset import Dataset
from repro.errors import ReproError
from repro.evaluation.batching import BatchSize
from repro.evaluation.diagnosis.building import Builder, NotApplicableError
from repro.evaluation.diagnosis.images import PixelSource, balanced_order, spread_order
from repro.evaluation.diagnosis.race import race
from repro.evaluation.diagnosis.setup import Body, Facts, Setup, Suspect, describe
from repro.evaluation.diagnosis.suspects import SUSPECTS
from repro.evaluation.diagnosis.varying import vary
from repro.evaluation.evaluate import compute_features, read_logits
from repro.evaluation.predictions import Predictions, join
from repro.judgement.diagnosis import (
    EXPLAINED,
    Diagnosis,
    Trial,
    fit_of,
    judge_trial,
    needs_no_explanation,
    outcome_of,
    settled,
    targets_of,
)
from repro.judgement.hints import find_renaming
from repro.judgement.sentences import advice, sentence
from repro.models.state import state_entries

if TYPE_CHECKING:
    from repro.engine.local import LocalEngine

#: Every suspect sees this share of the dataset's images, but not more than so many.
FIRST_SHARE = 0.02
FIRST_IMAGES = 1000

#: Images whose pixels are in memory at a time.
PIECE = 1000

Indices = npt.NDArray[np.int64]
T = TypeVar("T")


class Candidate:
    """A suspect, and what came of it so far.

    Args:
        suspect: which one.
        head: from features to logits.
    """

    def __init__(self, suspect: Suspect, head: Callable[[Tensor], Tensor]) -> None:
        self.suspect = suspect
        self.head = head
        self.predictions: Predictions | None = None
        self.fit = 0.0
        self.is_met = False


class Group:
    """Candidates of one body: they share the forward pass, and see the same images.

    A contender of the race.

    Args:
        investigation: that looks at images.
        body: what they share.
        members: at least one.
    """

    def __init__(
        self, investigation: Investigation, body: Body, members: list[Candidate]
    ) -> None:
        self._investigation = investigation
        self.body = body
        self.members = members
        self.images = 0

    @property
    def fit(self) -> float:
        """How likely the likeliest of them is."""
        return max(member.fit for member in self.members)

    @property
    def is_met(self) -> bool:
        """Whether one of them restores all numbers on all images."""
        return any(member.is_met for member in self.members)

    def look(self, images: int) -> None:
        """Evaluate them on that many images more."""
        self._investigation.extend(self, images)


class Investigation:
    """Tries suspects on a case that was measured.

    Args:
        engine: that measured it.
        case: which one.
        weights: its weights file.
        run: its predictions, of all images or a part of them.
        suspects: what to try.
    """

    def __init__(
        self,
        engine: LocalEngine,
        case: Case,
        weights: Path,
        run: Predictions,
        suspects: Iterable[Suspect] = SUSPECTS,
    ) -> None:
        self._device = engine.device
        self._share = engine.settings.diagnose_share
        self._dataset = engine.dataset(case)
        self._run = run
        self._targets = targets_of(case.references, run)
        self._builder = Builder(
            case.release.location, weights, engine.device, engine.settings.cache
        )
        self._source = PixelSource(self._dataset, engine.decoding_threads)
        self._batch_size = BatchSize(engine.device.type, engine.settings.batch_size)
        self._order = spread_order(run)
        if engine.settings.limit is None:
            self._order = _with_the_rest(self._order, self._dataset)
        self._own = Setup(
            protocol=case.protocol,
            model=case.model,
            precision=engine.settings.precision_of(case),
            columns=case.dataset.columns,
        )
        self._facts = Facts(
            classes=case.dataset.classes,
            entries=state_entries(weights) if case.model.weights_key else (),
            renaming=find_renaming(run, len(case.dataset.classes)),
        )
        self._suspects = tuple(suspects)
        self._untried: dict[str, str] = {}
        self._built: tuple[Body, Callable[[Tensor], Tensor]] | None = None
        self.evaluated = 0

    def diagnose(self) -> Diagnosis:
        """Try the suspects and rank them.

        Raises:
            DatasetError: an image cannot be decoded any more.
        """
        if not self._targets:
            return self._conclude([])
        groups = self._first_round()
        tried = [member for group in groups for member in group.members]
        if not needs_no_explanation(self._run, self._targets):
            budget = int(self._share * self._run.total * len(tried))
            race(groups, len(self._order), budget - self.evaluated)
        return self._conclude(tried)

    def extend(self, group: Group, images: int) -> None:
        """Evaluate the candidates of a group on that many images more."""
        members = self._order[group.images : group.images + images]
        body = self._body(group.body)
        parts = [[m.predictions] if m.predictions else [] for m in group.members]
        for first in range(0, len(members), PIECE):
            piece = np.sort(members[first : first + PIECE])
            keep = not group.images
            pixels = self._source.pixels(piece, group.body.geometry, keep=keep)
            features = compute_features(body, pixels, self._batch_size, self._device)
            for candidate, found in zip(group.members, parts, strict=True):
                logits = candidate.head(features)
                found.append(read_logits(logits, self._dataset, piece))
        for candidate, found in zip(group.members, parts, strict=True):
            self._learn(candidate, join(found))
        group.images += len(members)
        self.evaluated += len(members)

    def _learn(self, candidate: Candidate, predictions: Predictions) -> None:
        candidate.predictions = predictions
        candidate.fit = fit_of(self._run, predictions, self._targets)
        outcome = outcome_of(self._run, predictions, self._targets)
        candidate.is_met = outcome == "restored"

    def _first_round(self) -> list[Group]:
        """Try every suspect that applies on the same few images."""
        first = max(1, int(min(FIRST_SHARE * self._run.total, FIRST_IMAGES)))
        groups: list[Group] = []
        for body, suspects in self._bodies():
            members: list[Candidate] = []
            for suspect, setup in suspects:
                head = self._attempt([suspect], partial(self._builder.head, setup))
                if head is not None:
                    members.append(Candidate(suspect, head))
            if not members:
                continue
            group = Group(self, body, members)
            named = [member.suspect for member in members]
            self._attempt(named, partial(group.look, first))
            if group.images:
                groups.append(group)
        return groups

    def _bodies(self) -> list[tuple[Body, list[tuple[Suspect, Setup]]]]:
        """Group what applies by what is shared, each way of evaluating once."""
        seen: list[Setup] = []
        bodies: list[tuple[Body, list[tuple[Suspect, Setup]]]] = []
        for suspect in self._suspects:
            setup = vary(self._own, suspect.variation, self._facts)
            if setup is None or setup in seen:
                continue
            seen.append(setup)
            # A body holds options of a model, which cannot be hashed.
            sharing = [suspects for body, suspects in bodies if body == setup.body]
            if sharing:
                sharing[0].append((suspect, setup))
            else:
                bodies.append((setup.body, [(suspect, setup)]))
        return bodies

    def _attempt(self, suspects: list[Suspect], do: Callable[[], T]) -> T | None:
        """Do something for suspects; None where it cannot be done, which is noted."""
        try:
            return do()
        except NotApplicableError:
            return None
        # Whatever a library makes of an unusual model ends these suspects only.
        except (ReproError, RuntimeError, ValueError, TypeError) as error:
            self._untried |= {s.name: _first_line(error) for s in suspects}
            return None

    def _body(self, body: Body) -> Callable[[Tensor], Tensor]:
        """Build what gives features; the last one is kept, since it often goes on."""
        if self._built is None or self._built[0] != body:
            self._built = None
            is_clip = self._own.protocol.text is not None
            self._built = body, self._builder.body(body, is_clip=is_clip)
        return self._built[1]

    def _conclude(self, tried: list[Candidate]) -> Diagnosis:
        trials = sorted(map(self._trial, tried), key=_rank)
        best = trials[0] if trials else None
        outcome = settled(trials, self._run.total)
        explains = outcome in EXPLAINED
        return Diagnosis(
            outcome=outcome,
            sentence=sentence(outcome, trials),
            advice=advice(outcome, best),
            cause=best.suspect if best and explains else "",
            topic=best.topic if best and explains else "",
            trials=tuple(trials),
            untried=self._untried,
            images=self.evaluated,
            total=self._run.total,
        )

    def _trial(self, candidate: Candidate) -> Trial:
        assert candidate.predictions is not None
        topic = candidate.suspect.topic
        return judge_trial(
            self._run,
            candidate.predictions,
            self._targets,
            suspect=candidate.suspect.name,
            topic=topic,
            instead=describe(self._own, topic),
        )


def _with_the_rest(order: Indices, dataset: Dataset) -> Indices:
    """Append the images that a run left out since it stopped early."""
    rest = np.setdiff1d(np.arange(len(dataset)), order, assume_unique=True)
    return np.concatenate([order, balanced_order(rest, dataset.labels[rest])])


def _rank(trial: Trial) -> tuple[bool, float]:
    return trial.outcome != "restored", -trial.fit


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
