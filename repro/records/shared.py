"""Measurements of a run that is under way, shared by its worker processes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from filelock import FileLock

from repro.evaluation.predictions import Predictions, load_predictions, save_predictions
from repro.files import replace_bytes
from repro.records.compact import ImageNames, encode_names
from repro.records.identity import MeasurementKey
from repro.records.result import Measurement

MeasuredCase = tuple[Measurement, Predictions]

_OWNER = "owner.lock"
_JUST_BEGUN = 60.0  # seconds in which a process may not have its lock yet


class RunFolder:
    """A folder in which the workers of one run find each other's measurements.

    A case is measured once in a run, by whoever needs it first: another case may need
    it too, when one published number belongs to one of two checkpoints.

    Args:
        folder: that no other run has; up to the last hyphen, its name is that of the
            folders of all runs.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._owned: int | None = None

    def predictions(self, key: str) -> Predictions | None:
        """Give the predictions of a key's digest, if they were made on this machine."""
        file = self._folder / f"{key}.npz"
        return load_predictions(file) if file.is_file() else None

    def share_names(self, fingerprint: str, name: Callable[[], ImageNames]) -> None:
        """Leave the names of a dataset's images for the process that records them.

        Args:
            fingerprint: of the dataset.
            name: names them; it is called only when nobody has done so.
        """
        file = self._folder / f"{fingerprint}.names"
        # Two workers may come here at once. They write the same names, and each
        # replaces the file as a whole.
        if not file.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            replace_bytes(file, encode_names(name()))

    def names(self, fingerprint: str) -> bytes | None:
        """Give the names that a worker left, encoded for the ledger."""
        file = self._folder / f"{fingerprint}.names"
        return file.read_bytes() if file.is_file() else None

    def measure_once(
        self, key: MeasurementKey, measure: Callable[[], MeasuredCase]
    ) -> MeasuredCase:
        """Give the measurement of a key, made now or earlier in this run.

        What an evaluation of all images gave is right whatever numbers could have ended
        it; one that was ended early is for those who have the same numbers.

        Args:
            key: all that it depends on.
            measure: makes it.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        whole = key.whole.digest
        # One lock whatever numbers may end it: what the first of two evaluates to the
        # end serves the other, whose own numbers might have ended it.
        # Waited for without a limit: whoever has it may measure for an hour, and the
        # system takes it from a process that dies.
        with FileLock(self._folder / f"{whole}.lock"):
            for digest in dict.fromkeys((*key.as_good, key.digest)):
                if kept := self._kept(digest):
                    return kept
            measurement, predictions = measure()
            file = self._folder / f"{measurement.key}.json"
            # The measurement last: where it is, its predictions are. A worker that is
            # killed in between leaves nothing that counts.
            save_predictions(predictions, file.with_suffix(".npz"))
            replace_bytes(file, msgspec.json.encode(measurement))
            return measurement, predictions

    def claim(self) -> None:
        """Make it the folder of this process, and remove what dead ones left.

        A lock that ends with the process tells that the folder is in use.
        """
        common = self._folder.name.rpartition("-")[0]
        for folder in self._folder.parent.glob(f"{common}-*"):
            _remove_abandoned(folder / _OWNER)
        with contextlib.suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._owned = _lock(self._folder / _OWNER)

    def remove(self) -> None:
        """Delete what the run has shared."""
        # Before the lock is given back: until then nobody takes it for abandoned.
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._owned is not None:
            os.close(self._owned)
            self._owned = None

    def _kept(self, digest: str) -> MeasuredCase | None:
        file = self._folder / f"{digest}.json"
        if not file.is_file():
            return None
        kept = msgspec.json.decode(file.read_bytes(), type=Measurement)
        return kept, load_predictions(file.with_suffix(".npz"))


def _remove_abandoned(lock: Path) -> None:
    """Remove a run's folder unless its process lives, or has only just begun."""
    try:
        if time.time() - lock.parent.stat().st_mtime < _JUST_BEGUN:
            return
        held = _lock(lock)
    except OSError:  # Somebody else's, or gone.
        return
    # Whoever has the lock of a dead run removes it alone.
    if held is not None:
        shutil.rmtree(lock.parent, ignore_errors=True)
        os.close(held)


def _lock(file: Path) -> int | None:
    """Take the lock of a folder; None where somebody has it."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        # The descriptor stays open for as long as the lock is wanted: closing it, like
        # the end of the process, gives the lock back.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
