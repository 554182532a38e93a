"""The sizes of batches that the cases of a process share."""

from __future__ import annotations

from pathlib import Path

import torch

from repro.cases import Case
from repro.engine.settings import EngineSettings
from repro.evaluation.batching import BatchSize
from repro.published import Precision
from repro.records.environment import describe_environment
from repro.records.identity import digest_of


class BatchSizes:
    """Gives the batch size for a case; what was found for one counts for others.

    Args:
        settings: whether it is given, and where it is kept.
        device: that computes.
    """

    def __init__(self, settings: EngineSettings, device: torch.device) -> None:
        self._settings = settings
        self._device = device
        self._known: dict[str, BatchSize] = {}

    @property
    def fixed(self) -> int | None:
        """The size that was asked for; None to find it."""
        size = self._settings.batch_size
        return None if size == "remembered" else size

    def of(self, case: Case, precision: Precision) -> BatchSize:
        """Give the size for a case that is computed in some precision."""
        # What decides about memory: the model, its pixels, the classes, the arithmetic.
        needs = digest_of((case.model, case.protocol, case.dataset, precision))
        if needs not in self._known:
            is_kept = self._settings.batch_size == "remembered"
            self._known[needs] = BatchSize(
                self._device.type, self.fixed, self._file(needs) if is_kept else None
            )
        return self._known[needs]

    def _file(self, needs: str) -> Path | None:
        """Name the file of a size that is the fastest with all that is as it is now."""
        settings, found = self._settings, describe_environment(str(self._device))
        share = torch.get_num_threads(), settings.accelerate
        here = digest_of((needs, found.device, found.packages.get("torch"), share))
        return settings.cache and settings.cache / "batch-sizes" / f"{here}.txt"
