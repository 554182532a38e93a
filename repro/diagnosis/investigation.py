"""Find what would explain a divergence, on a few images.

Every suspect that applies is tried on the same few images. Those that restore the
published numbers best are tried on more and more, until one restores them on all, or
the time is spent. Suspects that differ only in what the features of an image are
compared with share the forward pass. All together this costs at most a tenth of a full
evaluation for each suspect tried, in images and in seconds, unless asked otherwise; of
a small set more images are seen, in the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from repro.cases import Case
from repro.data.class_names import wordnet_names
from repro.data.dataset import Dataset
from repro.diagnosis.accounts import may_be_rounding, number_of, values_of
from repro.diagnosis.building import NotApplicableError
from repro.diagnosis.clerical import find_account
from repro.diagnosis.findings import EXPLAINED, Diagnosis, Known, Trial
from repro.diagnosis.images import (
    balanced_order,
    content_hints,
    file_hints,
    is_jpeg,
    look_at,
    spread_order,
)
from repro.diagnosis.kinds import Kind, kind_of
from repro.diagnosis.laboratory import FEW, Candidate, Group, Laboratory, Resources
from repro.diagnosis.pace import Pace, race
from repro.diagnosis.sentences import (
    advice,
    clerical,
    evidence,
    of_kind,
    rounding,
    sentence,
)
from repro.diagnosis.setup import Facts, Setup
from repro.diagnosis.suspects import Suspect, Topic, both, likely_pairs, ways_of
from repro.diagnosis.trials import (
    is_hopeless,
    judge_trial,
    needs_no_explanation,
    rank,
    settled,
    targets_of,
)
from repro.diagnosis.what_if import find_renaming
from repro.errors import ReproError
from repro.evaluation.predictions import Predictions
from repro.models.state import state_entries
from repro.models.zeroshot import spelt_out

#: Every suspect sees this share of the dataset's images, but not more than so many.
FIRST_SHARE = 0.02
FIRST_IMAGES = 1000

#: Why something was not tried.
OVER = "the time was spent"

#: What takes more forward passes an image is tried last.
CHEAP = 2

#: What is spent before everything is given up that was tried, of the share.
SPENT = 0.1

#: So many images are looked at for what they are.
LOOKED_AT = 32

Indices = npt.NDArray[np.int64]
Ways = list[tuple[Topic, Suspect, Setup]]
Bodies = list[tuple[Setup, Ways]]
T = TypeVar("T")


class Investigation:
    """Looks for what explains a case that was measured: slips, then suspects.

    Args:
        case: which one.
        weights: its weights file.
        dataset: its images.
        run: its predictions, of all images or a part of them.
        resources: what to compute with, and how much.
        topics: the suspects.
        laboratory: makes what evaluates them.
    """

    def __init__(
        self,
        case: Case,
        weights: Path,
        dataset: Dataset,
        run: Predictions,
        resources: Resources,
        topics: Iterable[Topic] = (),
        laboratory: Callable[..., Laboratory] = Laboratory,
    ) -> None:
        self._is_limited = resources.only_evaluated
        self._case = case
        self._dataset = dataset
        self._run = run
        strata = len(dataset.strata)
        self._targets = targets_of(case.references, run, dataset.class_sizes, strata)
        self._each = values_of(run)
        self._numbers = [number_of(run, target, self._each) for target in self._targets]
        self._order = spread_order(run)
        if not resources.only_evaluated:
            self._order = _with_the_rest(self._order, dataset)
        self._own = Setup(
            protocol=case.protocol,
            model=case.model,
            precision=resources.precision,
            columns=case.dataset.columns,
        )
        self._facts = Facts(
            classes=case.dataset.classes,
            others=case.dataset.other_columns,
            wordnet=wordnet_names(case.dataset.classes),
            text=spelt_out(case.protocol.text) if case.protocol.text else None,
            is_jpeg=any(map(is_jpeg, dataset.files)),
            entries=state_entries(weights) if case.model.weights_key else (),
            renaming=find_renaming(run, len(case.dataset.classes)),
        )
        bodies = _by_body(ways_of(self._own, self._facts, topics))
        self._bodies = [found for found in bodies if found[0].passes <= CHEAP]
        self._dear = [found for found in bodies if found[0].passes > CHEAP]
        self._untried: dict[str, str] = {}
        self._suspects = sum(len(ways) for _, ways in bodies)
        self._first = max(1, int(min(FIRST_SHARE * run.total, FIRST_IMAGES)))
        self._pace = Pace(resources.seconds, resources.share, self._suspects, run.total)
        self._laboratory = laboratory(case, weights, dataset, resources, self._pace)

    def diagnose(
        self,
        known: Known | None = None,
        progress: Callable[[int, int], None] = lambda images, most: None,
    ) -> Diagnosis:
        """Look for slips, then try the suspects and rank them, unless rounding will do.

        Args:
            known: what earlier measurements tell.
            progress: called with each number of images that were looked at again, and
                how many these are at most.

        Raises:
            DatasetError: an image cannot be decoded any more.
        """
        if not self._targets:
            return self._conclude([])
        known = known or Known()
        account = find_account(
            self._case, self._run, self._numbers, self._each, self._dataset, known
        )
        if account is not None:
            return clerical(account, self._run.total)
        is_missed = not needs_no_explanation(self._targets)
        if is_missed and may_be_rounding(self._numbers, self._run):
            # Many things turn an image or two: what is tried would tell nothing.
            return rounding(self._run.total, self._hints())
        most = partial(self._pace.budget, self._suspects)
        self._laboratory.progress = lambda images: progress(images, most())
        # Where that cannot be done, nothing else can: each suspect will say why.
        few = self._order[: self._first]
        self._attempt([], partial(self._laboratory.time, self._own, few))
        groups = self._round(self._bodies)
        tried = _members(groups)
        if is_missed:
            # What is dear, and two things at once, come where nothing else explains it.
            self._race(groups, self._pace.budget(len(tried)))
            tried += self._go_on(groups)
        return self._conclude(tried, known)

    def _go_on(self, groups: Sequence[Group]) -> list[Candidate]:
        """Try what is dear, and two things at once, where nothing else explains it."""
        tried = _members(groups)
        if not self._is_hopeless(tried):
            if not any(candidate.is_met for candidate in tried):
                why = OVER if self._pace.is_over else "others are not ruled out yet"
                self._untried |= {s.name: why for _, w in self._dear for _, s, _ in w}
            return []
        dear = self._round(self._dear)
        alone = tried + _members(dear)
        budget = self._pace.budget(len(alone))
        # Half of what is left tells which pair it may be, the other half whether it is.
        left = (budget - self._laboratory.evaluated) / 2
        pairs = self._round(self._pairs(alone, int(left / self._first)))
        self._race([*groups, *dear, *pairs], budget)
        return _members(dear) + _members(pairs)

    def _race(self, groups: Sequence[Group], budget: int) -> None:
        """Let groups see images until it is clear whether one of them explains it."""
        members = _members(groups)
        least = SPENT * self._pace.share_of(len(members))

        def is_over(spent: int) -> bool:
            return self._pace.is_over or (spent > least and self._is_hopeless(members))

        left = budget - self._laboratory.evaluated
        race(groups, len(self._order), left, is_over)

    def _is_hopeless(self, tried: Sequence[Candidate]) -> bool:
        return bool(tried) and is_hopeless([self._trial(found) for found in tried])

    def _pairs(self, tried: Sequence[Candidate], most: int) -> Bodies:
        """Choose which two things to do otherwise at once."""
        trials = [self._trial(found) for found in tried]
        ways = [way for _, found in self._bodies + self._dear for way in found]
        seen = [setup for _, _, setup in ways]
        pairs = [both(*pair, self._facts) for pair in likely_pairs(trials, ways)]
        new = [way for way in pairs if way and way[2] not in seen]
        return _by_body(new[: max(0, most)])

    def _look(self, group: Group, images: int) -> None:
        """Evaluate the candidates of a group on that many images more."""
        members = self._order[group.images : group.images + images]
        self._laboratory.extend(group, members)
        for candidate in group.members:
            assert candidate.predictions is not None
            candidate.trial = None
            trial = self._trial(candidate)
            candidate.fit, candidate.is_met = trial.fit, trial.outcome == "restored"

    def _round(self, bodies: Bodies) -> list[Group]:
        """Try every suspect that applies on the same few images."""
        first = self._first
        groups: list[Group] = []
        for body, ways in bodies:
            if self._pace.is_over:
                self._untried |= {s.name: OVER for _, s, _ in ways}
                continue
            members: list[Candidate] = []
            for topic, suspect, setup in ways:
                build = partial(self._laboratory.head, setup)
                head = self._attempt([suspect], build)
                if head is not None:
                    members.append(Candidate(suspect, topic, head, setup))
            if not members:
                continue
            group = Group(body, members, self._look)
            named = [member.suspect for member in members]
            # Several views of fewer images cost as much, or twice at most.
            images = max(min(FEW, first), first // max(1, group.passes // 2))
            self._attempt(named, partial(group.look, images))
            if group.images:
                groups.append(group)
        return groups

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

    def _conclude(
        self, tried: list[Candidate], known: Known | None = None
    ) -> Diagnosis:
        trials = sorted(map(self._trial, tried), key=rank)
        best = trials[0] if trials else None
        outcome = settled(trials)
        explains = outcome in EXPLAINED
        kind = None if explains or not known else self._kind(trials, known)
        if kind:
            # More images would not tell more.
            outcome = "unexplained"
        return Diagnosis(
            outcome=outcome,
            sentence=of_kind(kind, trials) if kind else sentence(outcome, trials),
            kind=kind.name if kind else "",
            advice=advice(outcome, best, is_limited=self._is_limited),
            cause=best.suspect if best and explains else "",
            topic=best.topic if best and explains else "",
            evidence=evidence(trials) if explains else "",
            hints=self._hints(),
            trials=tuple(trials),
            untried=self._untried,
            images=self._laboratory.evaluated,
            total=self._run.total,
        )

    def _kind(self, trials: Sequence[Trial], known: Known) -> Kind | None:
        """Tell of which kind the cause is, where none of the trials may be it."""
        if not trials or trials[0].outcome in ("restored", "not needed"):
            return None
        return kind_of(self._case, self._numbers, self._run, trials, known.met)

    def _hints(self) -> tuple[str, ...]:
        """Say what the files give away: their names, and what some of them hold."""
        spec, ours = self._case.dataset, self._dataset
        named = tuple(file_hints(spec, ours.files, ours.root))
        return named or tuple(content_hints(spec, look_at(ours, LOOKED_AT)))

    def _trial(self, candidate: Candidate) -> Trial:
        """Write down what came of a suspect so far, once."""
        assert candidate.predictions is not None
        if candidate.trial is None:
            candidate.trial = judge_trial(
                self._run,
                candidate.predictions,
                self._targets,
                suspect=candidate.suspect.name,
                topic=candidate.topic.name,
                instead=candidate.topic.of_setup(self._own),
            )
        return candidate.trial


def _members(groups: Iterable[Group]) -> list[Candidate]:
    return [member for group in groups for member in group.members]


def _by_body(ways: Ways) -> Bodies:
    """Group ways of evaluating by what they share."""
    # A body holds options of a model, which cannot be hashed.
    bodies: Bodies = []
    for way in ways:
        shared = way[2].body
        alike = next((found for body, found in bodies if body == shared), None)
        if alike is None:
            bodies.append((shared, [way]))
        else:
            alike.append(way)
    return bodies


def _with_the_rest(order: Indices, dataset: Dataset) -> Indices:
    """Append the images that a run left out since it stopped early."""
    rest = np.setdiff1d(np.arange(len(dataset)), order, assume_unique=True)
    return np.concatenate([order, balanced_order(rest, dataset.labels[rest])])


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
