"""How likely the printed digits are, for each kind of cause; no torch.

Each kind moves the numbers as its suspects do, but by any amount. Labels that are
exchanged and slips move them in ways that can be told without any.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Iterator, Sequence
from functools import cached_property

import numpy as np

from repro.diagnosis.accounts import Number, may_be_flipped
from repro.diagnosis.findings import Trial
from repro.diagnosis.suspects import KindName, topic_named
from repro.diagnosis.trials import independent
from repro.diagnosis.what_if import Floats, in_cell
from repro.evaluation.predictions import Predictions
from repro.published import METRICS

#: A cause may be so many times as large as a suspect of its kind, and move a number by
#: so large a share more or less than that.
SIZES = tuple(2.0**power for power in range(-8, 3))
UNLIKE = 0.5

#: How often it moves the numbers the other way, all of them.
OPPOSITE = 0.3

#: How often a slip leaves one of the numbers as it is.
SPARED = 0.9

#: How often a slip moves numbers together, as the row of another model does.
TOGETHER = 0.05

#: One image of so many is decided otherwise on another machine.
TURNED = 2000

#: How often arithmetic leaves all decisions as they are.
UNDECIDED = 0.7

#: So many nats of loss over all images say as much of how many are decided otherwise as
#: what other suspects do.
USUAL = 10.0

#: A number that moved in any way at all lies within so many times its gap; where it is
#: a loss that is computed otherwise, that is this share of it at least.
ANYWHERE = 4.0
LEAST = 0.25

#: How often labels are exchanged at random.
AT_RANDOM = 0.8

#: Standard error of the loss of exchanged labels, as a share of how much it moves.
LOSS_ERROR = 0.07

#: The suspect that tells what the loss of any label is, and how much it counts there.
SMOOTHED, SMOOTHING = "labels smoothed by 0.1", 0.1


class Moved:
    """Numbers that moved, beside what moves numbers.

    Args:
        numbers: published ones, with what was measured.
        run: what was measured.
        trials: of suspects.
        classes: how many the dataset has.
    """

    def __init__(
        self,
        numbers: Sequence[Number],
        run: Predictions,
        trials: Sequence[Trial],
        classes: int,
    ) -> None:
        self.numbers = independent(numbers)
        self.classes, self.images = classes, run.total
        self.trials = [trial for trial in trials if not trial.is_pair]
        self.gaps = np.array([n.value - n.measured for n in self.numbers])
        if any(n.metric == "loss" and n.is_exact for n in self.numbers):
            # What rounding may have decided is not off.
            flipped = [may_be_flipped(n, self.numbers, run) for n in self.numbers]
            self.gaps[flipped] = 0.0
        #: Share of the images that is decided otherwise for a nat of loss.
        self.rate = _turned_by_a_nat(
            [trial for trial in self.trials if _kind_of(trial) != "arithmetic"]
        )
        #: Half of what the last digit leaves open, or half an image.
        self.cells = np.array([n.step for n in self.numbers])
        self.errors = np.array([n.error for n in self.numbers])
        #: What an image counts, nothing in a loss.
        self.images_each = np.array([n.image for n in self.numbers])
        #: How far numbers are off that were spared.
        turned = math.sqrt(run.total / TURNED) * self.images_each
        self.rounding = np.hypot(self.errors, turned)

    @property
    def strength(self) -> float:
        """How many tolerances the numbers are off, at most."""
        return max(n.gap / (n.room + n.half_unit) for n in self.numbers)

    @cached_property
    def by_metric(self) -> dict[str, Number]:
        """The numbers by metric, where there is one each."""
        return {n.metric: n for n in self.numbers}

    @property
    def shares(self) -> list[str]:
        """The accuracies."""
        return [n.metric for n in self.numbers if n.image]

    @property
    def spared(self) -> list[str]:
        """The numbers that are met to their last digit."""
        pairs = zip(self.numbers, np.abs(self.gaps), self.cells, strict=True)
        return [n.metric for n, gap, cell in pairs if gap <= cell + 1e-9]


def _kind_of(trial: Trial) -> str:
    return topic_named(trial.topic).kind


def log_chances_of_digits(moved: Moved) -> dict[KindName, float]:
    """Tell how likely the numbers are what is printed, for each kind of cause."""
    by_kind: dict[str, list[Trial]] = {}
    for trial in moved.trials:
        by_kind.setdefault(_kind_of(trial), []).append(trial)
    otherwise = _as_suspects(
        moved, [t for k, found in by_kind.items() if k != "arithmetic" for t in found]
    )
    pixels, text, arithmetic = (
        _as_suspects(moved, by_kind[kind]) if kind in by_kind else otherwise
        for kind in ("pixels", "text", "arithmetic")
    )
    alike, exchanged = _all_decided_alike(moved), _as_exchanged(moved)
    chances: dict[KindName, float] = {
        "pixels": pixels,
        "text": text,
        "labels": AT_RANDOM * exchanged + (1 - AT_RANDOM) * otherwise,
        "weights": otherwise,
        "arithmetic": UNDECIDED * alike + (1 - UNDECIDED) * arithmetic,
        "bookkeeping": TOGETHER * otherwise + (1 - TOGETHER) * _each_by_itself(moved),
    }
    return {kind: math.log(max(c, 1e-300)) for kind, c in chances.items()}


def wrong_labels(moved: Moved) -> float | None:
    """Give the share of labels that would have to be exchanged for any other.

    Those of the source where it published less than was measured, else our own. None
    where no share does that.
    """
    if "top1" not in moved.by_metric:
        return None
    clean, noisy = sorted(_sides(moved, "top1"), reverse=True)
    share = (noisy - clean) / _by_exchange(clean, 100, moved.classes)
    return share if 0 < share < 1 else None


def _as_exchanged(moved: Moved) -> float:
    """Give the chance where a share of the labels was exchanged for any other."""
    share = wrong_labels(moved)
    if share is None:
        return 0.0
    ours, theirs = _sides(moved, "top1")
    chance, counted = 1.0, {"top1"}
    sampled = math.sqrt(share * (1 - share) / moved.images)
    for metric, whole, error in _wholes(moved, share, sampled):
        measured, published = _sides(moved, metric)
        clean, noisy = (measured, published) if ours > theirs else (published, measured)
        left = noisy - clean - share * _by_exchange(clean, whole, moved.classes)
        cell = moved.by_metric[metric].step
        chance *= in_cell(*map(np.atleast_1d, (left, cell, error))).item()
        counted.add(metric)
    if len(counted) < len(moved.numbers):
        return 0.0
    return chance * _as_suspects(moved, moved.trials, {"top1"})


def _wholes(
    moved: Moved, share: float, sampled: float
) -> Iterator[tuple[str, float, float]]:
    """Yield metrics besides top-1 with the sum over all labels, and an error."""
    if "top5" in moved.by_metric:
        yield "top5", 500.0, 100 * sampled
    if "loss" in moved.by_metric and (of_any := _loss_of_any_label(moved.trials)):
        value, uncertain = of_any
        error = math.hypot(LOSS_ERROR * share, sampled / 2) * value
        yield "loss", moved.classes * value, math.hypot(error, share * uncertain)


def _by_exchange(clean: float, whole: float, classes: int) -> float:
    """Tell how a mean moves if all labels are exchanged, of which the sum is known."""
    return (whole - clean) / (classes - 1) - clean


def _sides(moved: Moved, metric: str) -> tuple[float, float]:
    number = moved.by_metric[metric]
    return number.measured, number.value


def _loss_of_any_label(trials: Iterable[Trial]) -> tuple[float, float] | None:
    """Give the loss if every class were right alike, and its error."""
    for trial in trials:
        if trial.topic == "loss" and trial.suspect == SMOOTHED:
            (loss,) = (r for r in trial.restored if r.metric == "loss")
            change = loss.move / SMOOTHING
            return loss.measured + change, loss.error / SMOOTHING
    return None


def _as_suspects(
    moved: Moved, trials: Sequence[Trial], metrics: Container[str] = METRICS
) -> float:
    """Give the chance where numbers move as they do with some suspects, at any size."""
    if not trials:
        return 0.0
    counted = [n.metric in metrics for n in moved.numbers]
    known = [found for trial in trials for found in _moves(moved, trial)]
    moves, spreads = (np.stack(each)[:, counted] for each in zip(*known, strict=True))
    gaps, cells = moved.gaps[counted], moved.cells[counted]
    alike, opposite = (
        in_cell(gaps - sign * moves, cells, spreads).prod(axis=1).mean()
        for sign in (1, -1)
    )
    return float((1 - OPPOSITE) * alike + OPPOSITE * opposite)


def _turned_by_a_nat(trials: Sequence[Trial]) -> float:
    """Tell which share of the images suspects decide otherwise for a nat of loss.

    One suspect that saw few images may have turned none of them.
    """
    nats = math.fsum(trial.compared * _loss_moved(trial) for trial in trials)
    return sum(trial.gained + trial.lost for trial in trials) / nats if nats else 0.0


def _loss_moved(trial: Trial) -> float:
    """Tell by how much a suspect moves the loss, 0 where none was published."""
    return sum(abs(r.move) for r in trial.restored if r.metric == "loss")


def _moves(moved: Moved, trial: Trial) -> Iterator[tuple[Floats, Floats]]:
    """Yield how far a suspect moves each number, and how surely, at several sizes."""
    by_metric = {r.metric: r for r in trial.restored}
    numbers = [by_metric[n.metric] for n in moved.numbers]
    moves = np.array([r.move for r in numbers])
    # What few images say of a move is worth as much as it is larger than its error.
    errors = np.maximum(np.array([r.error for r in numbers]), 1e-12)
    moves *= moves**2 / (moves**2 + errors**2)
    turned = (trial.gained + trial.lost) / max(1, trial.compared)
    if nats := _loss_moved(trial):
        seen = trial.compared * nats
        decided = trial.gained + trial.lost + moved.rate * USUAL
        turned = nats * decided / (seen + USUAL)
    for size in SIZES:
        # What turns as many images to the right as to the wrong leaves no number alike.
        images = np.sqrt(size * turned * moved.images) * moved.images_each
        spread = np.sqrt((UNLIKE * size * moves) ** 2 + images**2 + moved.errors**2)
        yield size * moves, spread


def _each_by_itself(moved: Moved) -> float:
    """Give the chance where each number was spared, or became any other."""
    spared = in_cell(moved.gaps, moved.cells, moved.rounding)
    chance = (SPARED * spared + (1 - SPARED) * _anything(moved, 0.0)).prod()
    # One of them was not, at least.
    return float(chance / (1 - SPARED ** len(moved.numbers)))


def _all_decided_alike(moved: Moved) -> float:
    """Give the chance where all images are decided as they were, and losses are not."""
    is_share = moved.images_each > 0
    if is_share.all():
        return 0.0
    spared = in_cell(moved.gaps, moved.cells, moved.rounding)
    return float(np.where(is_share, spared, _anything(moved, LEAST)).prod())


def _anything(moved: Moved, least: float) -> Floats:
    """Give the chance of numbers that may be anything as far from the measured ones.

    Or further: `least` is a share of these.
    """
    measured = np.array([n.measured for n in moved.numbers])
    away = np.maximum(np.abs(moved.gaps), least * measured)
    away = np.maximum(away, moved.cells + moved.errors)
    chance: Floats = moved.cells / (ANYWHERE * away)
    return chance
