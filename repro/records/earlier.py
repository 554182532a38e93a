"""A part of the images, compared with an earlier run of all of them."""

from __future__ import annotations

import msgspec

from repro.evaluation.predictions import Predictions
from repro.judgement.compare import Flips, compare_predictions
from repro.records.ledger import Ledger
from repro.records.result import Measurement


class SinceFullRun(msgspec.Struct, frozen=True, kw_only=True):
    """What has changed on some images since a run evaluated all of them.

    `top1` is what that run measured on all images, in percent; `same_weights` tells
    whether the weights are those of then.
    """

    run: int
    top1: float
    flips: Flips
    same_weights: bool

    def text(self) -> str:
        """Say it in one line."""
        images = f"{self.flips.images:,} images"
        weights = "" if self.same_weights else ", with other weights"
        if not self.flips.any:
            said = f"all {images} are decided as in run {self.run}"
        else:
            said = (
                f"of {images}, {self.flips.gained:,} became right and "
                f"{self.flips.lost:,} wrong since run {self.run} "
                f"(McNemar p = {self.flips.p:.2g})"
            )
        return f"{said}{weights}, which measured {self.top1:.3f} % on all images"


def since_full_run(
    ledger: Ledger,
    case: str,
    measurement: Measurement,
    predictions: Predictions,
    own: str = "",
) -> SinceFullRun | None:
    """Compare a part of the images with the newest run of all of the same images.

    None where the ledger has none with its predictions. The run whose uid is `own` is
    not an earlier one, though it may have measured the case in another way.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    for run, result in reversed(ledger.history(case)):
        earlier = result.measurement
        if run.uid == own or earlier is None or not earlier.is_complete:
            continue
        if earlier.dataset_fingerprint != measurement.dataset_fingerprint:
            continue
        if earlier.precision != measurement.precision:
            continue
        before = ledger.predictions(run.id, case, earlier.key)
        if before is not None:
            return SinceFullRun(
                run=run.id,
                top1=earlier.metrics.percent("top1"),
                flips=compare_predictions(before, predictions),
                same_weights=earlier.weights_sha256 == measurement.weights_sha256,
            )
    return None
