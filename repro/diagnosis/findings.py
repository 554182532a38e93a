"""What a diagnosis is told, and what it says: data that is kept and shown; no torch."""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from repro.evaluation.predictions import Metrics
from repro.published import Printed, printed

Outcome = Literal[
    "clerical", "restored", "likely", "unsettled", "unexplained", "not needed"
]
#: Between the names of two topics at once.
AND = " + "
EXPLAINED: tuple[Outcome, ...] = ("restored", "likely")


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A published number that an explanation has to restore.

    Value and tolerance are in percent and points, or nats. With `is_missed` the
    measurement contradicts it.
    """

    metric: str
    published: Printed
    tolerance: float
    is_missed: bool

    @property
    def value(self) -> float:
        """The published value."""
        return float(self.published.value)


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """One published number, as measured, and as it would be measured otherwise.

    Values are in percent or nats; `error` is the standard error of `value`, 0 where all
    images were evaluated; the value has gone that `share` of the way from measured to
    published, None where there is no gap beyond the tolerance. `is_met` is None where
    too few images were seen to tell whether the published number is met.
    """

    metric: str
    published: str
    measured: float
    value: float
    error: float
    share: float | None
    is_met: bool | None

    @property
    def explained(self) -> float:
        """Share of the gap that is closed: what goes too far opens another one."""
        return 0.0 if self.share is None else 1 - abs(1 - self.share)

    @property
    def number(self) -> Printed:
        """The published number, read from the digits that records keep."""
        return printed(self.published)

    @property
    def gap(self) -> float:
        """Published minus measured."""
        return float(self.number.value) - self.measured

    @property
    def move(self) -> float:
        """By how much the value has moved from what was measured."""
        return self.value - self.measured

    @property
    def half_unit(self) -> float:
        """Half a unit of the last published digit."""
        return float(self.number.half_unit)


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """A suspect that was tried.

    `suspect` completes "evaluated with ...", `instead` says how the protocol has it;
    `images` were evaluated; of the `compared` ones among them, which the run evaluated
    too, `gained` became right and `lost` wrong, and `p` is the exact McNemar p-value.
    `fit` orders trials: a log likelihood.
    """

    suspect: str
    topic: str
    instead: str
    images: int
    compared: int
    restored: tuple[Restored, ...]
    gained: int
    lost: int
    p: float
    fit: float
    outcome: Outcome

    @property
    def is_pair(self) -> bool:
        """Whether two things were done otherwise at once."""
        return AND in self.topic


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """Why a case may diverge.

    `sentence` is for people, and so are `evidence`, how sure that is, and `advice`,
    what to do; `kind` is of what kind it is, or of which two, where nothing explains it
    but that is told, or empty; `cause` is the name of
    the suspect that explains it, or of the slip where the outcome is clerical, empty
    where none does. `hints` say what the files give away. `trials` are what was tried,
    the best explanation first; `untried` says of suspects why they could not be tried.
    `images` were evaluated for all of them, where one evaluation has `total`.
    """

    outcome: Outcome
    sentence: str
    advice: str
    cause: str = ""
    kind: str = ""
    evidence: str = ""
    hints: tuple[str, ...] = ()
    topic: str = ""
    trials: tuple[Trial, ...] = ()
    untried: dict[str, str] = {}
    images: int = 0
    total: int = 0

    @property
    def is_needed(self) -> bool:
        """Whether there is anything to explain."""
        return self.outcome != "not needed"


class Seen(msgspec.Struct, frozen=True):
    """What another case of the release gave when it was last measured in full."""

    metrics: Metrics
    weights_sha256: str = ""

    def value(self, metric: str) -> float:
        """Give a metric in its unit; not a number where it was not counted."""
        try:
            return float(self.metrics.value(metric))
        except KeyError:
            return math.nan


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What is known besides the release and the run.

    `cases` are the other cases of the release by id, and `met` tells which of them are
    as published, also where a part of the images told that; `weights_sha256` is of the
    weights that were measured now; `edited` are published numbers of the case that were
    others when it was last as expected: metric to the digits of then.
    """

    cases: dict[str, Seen] = {}
    met: dict[str, bool] = {}
    weights_sha256: str = ""
    edited: dict[str, str] = {}
