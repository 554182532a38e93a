"""Measurements of a run that is under way, shared by its worker processes."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
from filelock import FileLock

from repro.evaluation.predictions import (
    Predictions,
    load_predictions,
    save_predictions,
)
from repro.records.compact import ImageNames, encode_names
from repro.records.result import Measurement

Measured = tuple[Measurement, Predictions]


class RunFolder:
    """A folder in which the workers of one run find each other's measurements.

    A case is measured once in a run, by whoever needs it first: another case may need
    it too, when one published number belongs to one of two checkpoints.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @staticmethod
    def key(case: str, settings: str) -> str:
        """Name the measurement of a case.

        Args:
            case: its id.
            settings: what else a measurement depends on, such as precision and limit.
        """
        return hashlib.sha256(f"{case}\0{settings}".encode()).hexdigest()[:32]

    def predictions(self, key: str) -> Predictions | None:
        """Give the predictions of a measurement, if it was made on this machine."""
        file = self._folder / f"{key}.npz"
        return load_predictions(file) if file.is_file() else None

    def share_names(self, fingerprint: str, name: Callable[[], ImageNames]) -> None:
        """Leave the names of a dataset's images for the process that records them.

        Args:
            fingerprint: of the dataset.
            name: names them; it is called only when nobody has done so.
        """
        file = self._folder / f"{fingerprint}.names"
        if not file.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            part = file.with_suffix(f".{os.getpid()}.part")
            part.write_bytes(encode_names(name()))
            part.replace(file)

    def names(self, fingerprint: str) -> bytes | None:
        """Give the names that a worker left, encoded for the ledger."""
        file = self._folder / f"{fingerprint}.names"
        return file.read_bytes() if file.is_file() else None

    def measure_once(
        self, case: str, settings: str, measure: Callable[[], Measured]
    ) -> Measured:
        """Give the measurement of a case, made now or earlier in this run.

        Args:
            case: its id.
            settings: as for `key`.
            measure: makes it.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._folder / f"{self.key(case, settings)}.json"
        predicted = file.with_suffix(".npz")
        with FileLock(file.with_suffix(".lock")):
            if file.is_file():
                kept = msgspec.json.decode(file.read_bytes(), type=Measurement)
                return kept, load_predictions(predicted)
            measurement, predictions = measure()
            save_predictions(predictions, predicted)
            part = file.with_suffix(".part")
            part.write_bytes(msgspec.json.encode(measurement))
            part.replace(file)
            return measurement, predictions

    def remove(self) -> None:
        """Delete what the run has shared."""
        shutil.rmtree(self._folder, ignore_errors=True)
