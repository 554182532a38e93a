"""Crops that earlier stores have of images that are in a new one too.

Where some images of a dataset change it is another dataset, and gets another store.
What it has in common with an earlier one is copied, so only other images are decoded.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from repro.data.geometry import Pixels
from repro.data.layout import (
    DESCRIPTION,
    DIGEST_BYTES,
    PIXELS,
    StoreFolder,
    StoreIdentity,
)
from repro.files import decode_json

#: A stratum of a store.
_Stratum = tuple[StoreFolder, int]


class _Listed(NamedTuple):
    """All crops there are, sorted by digest: which stratum has each, and where in it.

    A hundred geometries have such a list at once, so it is small: 24 bytes a crop.
    """

    digests: npt.NDArray[np.bytes_]
    strata: npt.NDArray[np.int32]
    rows: npt.NDArray[np.int32]
    folders: list[_Stratum]

    def find(self, digest: bytes) -> tuple[_Stratum, int] | None:
        # As an array: numpy drops zeros at the end of what it reads from one.
        wanted = np.frombuffer(digest, dtype=self.digests.dtype)[0]
        place = int(np.searchsorted(self.digests, wanted))
        if place == len(self.digests) or self.digests[place] != wanted:
            return None
        return self.folders[self.strata[place]], int(self.rows[place])


class EarlierCrops:
    """Finds crops by the digests of their images, in threads too.

    Args:
        cache: folder of all stores.
        identity: of the store that is made; those of its geometry and decoder count.
    """

    def __init__(self, cache: Path, identity: StoreIdentity) -> None:
        self._cache = cache
        self._identity = identity
        self._lock = threading.Lock()
        self._listed: _Listed | None = None
        #: Strata that were compared with their sums; None where they are damaged.
        self._strata: dict[tuple[Path, int], Pixels | None] = {}

    def find(self, digest: str) -> Pixels | None:
        """Give the crop of an image, uint8 `[3, H, W]`; None if no store has it."""
        # Threads that decode share this: else each would list and sum the same strata.
        with self._lock:
            if self._listed is None:
                self._listed = _list(self._stores())
            found = self._listed.find(bytes.fromhex(digest))
            if found is None:
                return None
            stratum, row = found
            pixels = self._stratum(*stratum)
        return None if pixels is None else pixels[row]

    def count(self, digests: Iterable[str]) -> int:
        """Count the images whose crops are there, by their records alone."""
        wanted = np.frombuffer(bytes.fromhex("".join(digests)), f"S{DIGEST_BYTES}")
        listed = _list(self._stores()).digests
        return int(np.isin(wanted, listed).sum())

    def _stores(self) -> Iterator[StoreFolder]:
        """Find the other stores of the geometry."""
        for description in (self._cache / PIXELS).glob(f"*/{DESCRIPTION}"):
            with contextlib.suppress(OSError, ValueError):
                content = description.read_bytes()
                found = decode_json(content, StoreIdentity)
                # Damaged, it is not what the folder is named after.
                if found.key == description.parent.name and self._serves(found):
                    yield StoreFolder(description.parent, found)

    def _serves(self, other: StoreIdentity) -> bool:
        """Tell whether another store holds the same crops, of other datasets."""
        same = msgspec.structs.replace(
            other,
            dataset=self._identity.dataset,
            fingerprint=self._identity.fingerprint,
            partition=self._identity.partition,
        )
        return same == self._identity and other.key != self._identity.key

    def _stratum(self, folder: StoreFolder, stratum: int) -> Pixels | None:
        """Map a stratum once its sum is what its record says: damage is not copied."""
        key = folder.path, stratum
        if key not in self._strata:
            self._strata[key] = folder.compared(stratum)[0]
        return self._strata[key]


def _list(stores: Iterable[StoreFolder]) -> _Listed:
    """List the crops of some stores."""
    folders: list[_Stratum] = []
    contents: list[bytes] = []
    for store in stores:
        for file in store.path.glob("[0-9]*.json"):
            stratum = int(file.stem)
            with contextlib.suppress(OSError, ValueError):
                contents.append(store.record(stratum).digests)
                folders.append((store, stratum))
    sizes = [len(content) // DIGEST_BYTES for content in contents]
    digests = np.frombuffer(b"".join(contents), dtype=f"S{DIGEST_BYTES}")
    order = np.argsort(digests, kind="stable")
    strata = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
    rows = np.concatenate(
        [np.empty(0, np.int32), *(np.arange(size, dtype=np.int32) for size in sizes)]
    )
    return _Listed(digests[order], strata[order], rows[order], folders)
