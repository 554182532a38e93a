"""Predictions and file names as small blobs for the ledger."""

from __future__ import annotations

import io
import lzma
import zipfile
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from repro.evaluation.predictions import TOP, Predictions
from repro.files import decode_json
from repro.judgement.images import ImageSet
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
