"""Predictions and names of images: small for the ledger, shared by workers."""

from __future__ import annotations

import contextlib
import fcntl
import io
import lzma
import os
import shutil
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from filelock import FileLock

from repro.evaluation.predictions import (
    TOP,
    Predictions,
    load_predictions,
    save_predictions,
)
from repro.files import decode_json, replace_bytes
from repro.judgement.images import ImageSet
from repro.records.identity import MeasurementKey
from repro.records.result import Measurement
from repro.stored.arrays import read_member

#: Stands for a class that was not kept.
UNKNOWN = -1
#: Bytes of the names of three million images: a stranger's ledger may say more.
_MOST_NAMES = 2**29
#: Bytes of an array of predictions as they are kept: one or two for an image.
_MOST_VALUES = 2**24
_MOST_IMAGES, _MOST_CLASSES = 2**40, 2**24


def encode_predictions(predictions: Predictions) -> bytes:
    """Write predictions small: about 100 kB for 50,000 images of 1,000 classes.

    Kept exactly are the most likely class, the place of the true class among the
    first five, and which images there are; losses keep three significant digits.
    """
    hits = predictions.classes == predictions.labels[:, None]
    width = hits.shape[1]
    places = np.where(hits.any(axis=1), hits.argmax(axis=1), width)
    largest = np.finfo(np.float16).max
    fields: dict[str, Any] = {
        "first": _smallest(predictions.classes[:, 0]),
        "place": places.astype(np.uint8),
        "width": np.uint8(width),
        "labels": _smallest(predictions.labels),
        # Neighbours differ by little, which compresses to almost nothing.
        "steps": _smallest(np.diff(predictions.indices, prepend=0)),
        # float16 has eleven bits, three digits; what is beyond its range would be
        # infinite, and such a loss is huge either way.
        "losses": np.minimum(predictions.losses, largest).astype(np.float16),
        "total": predictions.total,
    }
    if predictions.recomputed is not None:
        fields["recomputed"] = np.packbits(predictions.recomputed)
    stream = io.BytesIO()
    np.savez_compressed(stream, **fields)
    return stream.getvalue()


def decode_predictions(content: bytes) -> Predictions:
    """Read what `encode_predictions` wrote; a class that was not kept is -1.

    Raises:
        ValueError: it is something else; whatever reading archives raises too.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = {name.removesuffix(".npy") for name in archive.namelist()}
        kept = {name: read_member(archive, name, _MOST_VALUES) for name in names}
    labels, places = _integers(kept["labels"], _MOST_CLASSES), kept["place"]
    # Top-1, top-5 and flips need no more than the first class and the place of the
    # true one; the other four would be most of the bytes.
    width = int(_integers(kept["width"][None], TOP + 1)[0])
    classes = np.full((len(labels), width), UNKNOWN, dtype=np.int32)
    classes[:, 0] = _integers(kept["first"], _MOST_CLASSES)
    within = np.flatnonzero(places < width)
    classes[within, places[within]] = labels[within]
    total = int(_integers(kept["total"][None], _MOST_IMAGES)[0])
    indices = np.cumsum(_integers(kept["steps"], _MOST_IMAGES), dtype=np.int64)
    losses = kept["losses"].astype(np.float64)
    if not len(labels) == len(places) == len(indices) == len(losses) > 0:
        raise ValueError("they are of different numbers of images")
    if indices[-1] >= total or not np.isfinite(losses).all():
        raise ValueError("they are of other images than there are")
    return Predictions(
        indices=indices,
        labels=labels,
        classes=classes,
        losses=losses,
        total=total,
        recomputed=np.unpackbits(kept["recomputed"], count=len(labels)).astype(bool)
        if "recomputed" in kept
        else None,
    )


def _integers(values: npt.NDArray[Any], limit: int) -> npt.NDArray[np.int64]:
    """Give a row of integers from 0 on and below a limit.

    Raises:
        ValueError: they are none.
    """
    if values.dtype.kind not in "iu" or values.ndim != 1:
        raise ValueError("they are no row of integers")
    if values.size and not 0 <= values.min() <= values.max() < limit:
        raise ValueError("an integer is larger than any there is")
    return values.astype(np.int64)


class ImageNames(msgspec.Struct, frozen=True):
    """The files of a dataset in its order, and its classes in label order.

    `digests` tell what the bytes of each file are; records of old have none.
    """

    files: tuple[str, ...]
    classes: tuple[str, ...]
    digests: tuple[str, ...] = ()

    def images(self) -> ImageSet | None:
        """Give what tells the images apart; None where their digests were not kept."""
        labels = {name: label for label, name in enumerate(self.classes)}
        folders = [file.partition("/")[0] for file in self.files]
        if len(self.digests) != len(self.files) or not set(folders) <= labels.keys():
            return None
        found = tuple(labels[folder] for folder in folders)
        return ImageSet(self.files, self.digests, found)


def encode_names(names: ImageNames) -> bytes:
    """Write names small: about 1 MB for 50,000 images, most of it their digests."""
    return lzma.compress(msgspec.json.encode(names), preset=1)


def decode_names(content: bytes) -> ImageNames:
    """Read what `encode_names` wrote."""
    unpacking = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MOST_NAMES)
    text = unpacking.decompress(content, max_length=_MOST_NAMES)
    if not unpacking.eof:
        raise EOFError("the names end too early, or are larger than any are")
    return decode_json(text, ImageNames)


def _smallest(values: np.ndarray) -> np.ndarray:
    """Store integers of 0 and more in as few bytes as the largest needs."""
    return values.astype(np.min_scalar_type(int(values.max(initial=0))))


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
