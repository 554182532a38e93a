"""Find what would explain a divergence, on a few images.

Every suspect that applies is tried on the same few images. The better half of them,
those that restore the published numbers best, is tried on twice as many, and so on,
until one is left; that one goes on until it has seen all images of the run, or falls
behind another one, or the time is spent. All together this costs at most a tenth of a
full evaluation for each suspect tried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from torch import Tensor

from repro.cases import Case
from repro.data.dataset import Dataset
from repro.data.geometry import Pixels, planar_pixels
from repro.errors import ReproError
from repro.evaluation.batching import BatchSize
from repro.evaluation.diagnosis.building import Builder, NotApplicableError
from repro.evaluation.diagnosis.setup import Facts, Setup, Suspect, describe
from repro.evaluation.diagnosis.suspects import SUSPECTS
from repro.evaluation.diagnosis.varying import vary
from repro.evaluation.evaluate import predict
from repro.evaluation.predictions import Predictions, join
from repro.judgement.diagnosis import (
    EXPLAINED,
    Diagnosis,
    Trial,
    fit_of,
    judge_trial,
    needs_no_explanation,
    settled,
    targets_of,
)
from repro.judgement.hints import find_renaming
from repro.judgement.sentences import advice, sentence
from repro.models.weights import state_entries
from repro.published import Geometry

if TYPE_CHECKING:
    from repro.engines.local import LocalEngine

#: Share of a full evaluation that each suspect tried may cost, on average.
COST = 0.1

#: Every suspect sees this share of the dataset's images, but not more than so many.
FIRST_SHARE = 0.02
FIRST_IMAGES = 1000

#: Images whose pixels are in memory at a time.
PIECE = 1000

Indices = npt.NDArray[np.int64]


class Candidate:
    """A suspect, and what came of it so far.

    Args:
        suspect: which one.
        setup: how the case is evaluated with it.
    """

    def __init__(self, suspect: Suspect, setup: Setup) -> None:
        self.suspect = suspect
        self.setup = setup
        self.predictions: Predictions | None = None
        self.fit = 0.0

    @property
    def images(self) -> int:
        """How many images it was tried on."""
        return 0 if self.predictions is None else len(self.predictions.labels)


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
        self._dataset = engine.dataset(case)
        self._run = run
        self._targets = targets_of(case.references, run)
        self._builder = Builder(
            case.release.location, weights, engine.device, engine.settings.cache
        )
        self._source = PixelSource(self._dataset, engine.decoding_threads)
        self._batch_size = BatchSize(engine.device.type, engine.settings.batch_size)
        self._order = balanced_order(run.indices, run.labels)
        if engine.settings.limit is None:
            self._order = _with_the_rest(self._order, self._dataset)
        self._own = Setup(
            protocol=case.protocol,
            model=case.model,
            precision=engine.settings.precision,
            columns=case.dataset.columns,
        )
        self._facts = Facts(
            classes=case.dataset.classes,
            entries=state_entries(weights) if case.model.weights_key else (),
            renaming=find_renaming(run, len(case.dataset.classes)),
        )
        self._suspects = tuple(suspects)
        self._untried: dict[str, str] = {}
        self._built: tuple[Setup, Callable[[Tensor], Tensor]] | None = None
        self.evaluated = 0

    def diagnose(self) -> Diagnosis:
        """Try the suspects and rank them.

        Raises:
            DatasetError: an image cannot be decoded any more.
        """
        if not self._targets:
            return self._conclude([])
        tried = self._first_round()
        if not needs_no_explanation(self._run, self._targets):
            budget = int(COST * self._run.total * len(tried))
            self._race(tried, budget)
        return self._conclude(tried)

    def _first_round(self) -> list[Candidate]:
        """Try every suspect that applies on the same few images."""
        first = int(min(FIRST_SHARE * self._run.total, FIRST_IMAGES))
        tried: list[Candidate] = []
        for candidate in self._candidates():
            try:
                self._extend(candidate, max(1, first))
            except NotApplicableError:
                continue
            # Whatever a library makes of an unusual model ends this suspect only.
            except (ReproError, RuntimeError, ValueError, TypeError) as error:
                self._untried[candidate.suspect.name] = _first_line(error)
                continue
            tried.append(candidate)
        return tried

    def _candidates(self) -> Iterable[Candidate]:
        """Yield what applies, each way of evaluating once."""
        seen: list[Setup] = []
        for suspect in self._suspects:
            setup = vary(self._own, suspect.variation, self._facts)
            if setup is not None and setup not in seen:
                seen.append(setup)
                yield Candidate(suspect, setup)

    def _race(self, tried: list[Candidate], budget: int) -> None:
        """Look closer at fewer and fewer, until one has seen all or time is up.

        Each time the better half stays and sees twice as many images (successive
        halving: Jamieson and Talwalkar, AISTATS 2016). Then the best one goes on,
        unless that makes another one the best.
        """
        left = tried
        while len(left) > 1:
            left = sorted(left, key=_fit, reverse=True)[: (len(left) + 1) // 2]
            for candidate in left:
                self._look_closer(candidate, budget)
        while tried and self._look_closer(max(tried, key=_fit), budget):
            pass

    def _look_closer(self, candidate: Candidate, budget: int) -> bool:
        """Try a candidate on twice the images; False where none or no time is left."""
        unseen = len(self._order) - candidate.images
        images = min(candidate.images, unseen, budget - self.evaluated)
        if images > 0:
            self._extend(candidate, images)
        return images > 0

    def _extend(self, candidate: Candidate, images: int) -> None:
        """Evaluate a candidate on that many more images."""
        start = candidate.images
        members = self._order[start : start + images]
        classifier = self._classifier(candidate.setup)
        geometry = candidate.setup.protocol.pixels
        parts = [] if candidate.predictions is None else [candidate.predictions]
        for first in range(0, len(members), PIECE):
            piece = np.sort(members[first : first + PIECE])
            pixels = self._source.pixels(piece, geometry, keep=not start)
            parts.append(
                predict(
                    classifier,
                    self._dataset,
                    piece,
                    pixels,
                    self._batch_size,
                    self._device,
                )
            )
            self.evaluated += len(piece)
        candidate.predictions = join(parts)
        candidate.fit = fit_of(self._run, candidate.predictions, self._targets)

    def _classifier(self, setup: Setup) -> Callable[[Tensor], Tensor]:
        """Build a classifier; the last one is kept, since it often goes on."""
        if self._built is None or self._built[0] != setup:
            self._built = None
            self._built = setup, self._builder.build(setup)
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


class PixelSource:
    """Decodes chosen images of a dataset, and keeps those that many suspects share.

    Args:
        dataset: whose images.
        threads: how many threads decode.
    """

    def __init__(self, dataset: Dataset, threads: int) -> None:
        self._dataset = dataset
        self._threads = threads
        self._kept: tuple[bytes, Geometry, Pixels] | None = None

    def pixels(self, members: Indices, geometry: Geometry, *, keep: bool) -> Pixels:
        """Give the pixels of some images: uint8 `[N, 3, H, W]`.

        Args:
            members: positions in the dataset.
            geometry: how they become pixels.
            keep: whether to remember them until others of the same geometry come.

        Raises:
            DatasetError: an image cannot be decoded.
        """
        key = members.tobytes()
        if self._kept and self._kept[:2] == (key, geometry):
            return self._kept[2]
        pixels = np.empty((len(members), 3, *geometry.output_size), dtype=np.uint8)

        def decode(row: int) -> None:
            place = self._dataset.place(int(members[row]))
            planar_pixels(place, [geometry], [pixels[row]])

        with ThreadPoolExecutor(self._threads, "repro-decode") as pool:
            list(pool.map(decode, range(len(members))))
        if keep and (self._kept is None or self._kept[0] != key):
            self._kept = key, geometry, pixels
        return pixels


def balanced_order(indices: Indices, labels: Indices) -> Indices:
    """Order images, by a fixed draw, so that every beginning is balanced over classes.

    Args:
        indices: positions in the dataset, int64 `[N]`.
        labels: of these images, int64 `[N]`.
    """
    draw = np.random.default_rng(0).random(len(indices))
    order = np.lexsort((draw, labels))
    sizes = np.bincount(labels)
    starts = np.cumsum(sizes) - sizes
    sorted_labels = labels[order]
    place = np.arange(len(order)) - starts[sorted_labels]
    share = (place + draw[order]) / sizes[sorted_labels]
    return np.asarray(indices[order[np.argsort(share, kind="stable")]])


def _with_the_rest(order: Indices, dataset: Dataset) -> Indices:
    """Append the images that a run left out since it stopped early."""
    rest = np.setdiff1d(np.arange(len(dataset)), order, assume_unique=True)
    return np.concatenate([order, balanced_order(rest, dataset.labels[rest])])


def _fit(candidate: Candidate) -> float:
    return candidate.fit


def _rank(trial: Trial) -> tuple[int, float]:
    places = {"restored": 0, "likely": 1}
    return places.get(trial.outcome, 2), -trial.fit


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
