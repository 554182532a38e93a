"""What earlier measurements tell of a case before anything is tried; no torch."""

from __future__ import annotations

import math

import msgspec

from repro.evaluation.predictions import Metrics


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
