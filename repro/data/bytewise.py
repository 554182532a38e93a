"""Read every byte of a dataset: sums, damaged images, identical images."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import msgspec

from repro.data.dataset import Dataset
from repro.data.geometry import decoding_fault, open_rgb
from repro.data.listing import read_image
from repro.errors import DatasetError
from repro.words import counted_names


class ReadImages(msgspec.Struct, frozen=True):
    """What reading showed, by name: SHA-256, bytes, and why one is no image."""

    sums: dict[str, str]
    sizes: dict[str, int]
    damaged: dict[str, str]

    @property
    def identical(self) -> list[tuple[str, ...]]:
        """Images with the same bytes, those with the same bytes together."""
        groups: dict[str, list[str]] = {}
        for name, sum_ in self.sums.items():
            groups.setdefault(sum_, []).append(name)
        return [tuple(names) for names in groups.values() if len(names) > 1]

    def faults(self) -> list[str]:
        """Say which images are damaged."""
        if not self.damaged:
            return []
        found = [f"{name}: {reason}" for name, reason in self.damaged.items()]
        return [
            counted_names(found, "image cannot be decoded", "images cannot be decoded")
        ]

    def remarks(self) -> list[str]:
        """Say which images are the same; published sets have such images too."""
        same = [
            " = ".join(names[:3]) + (" = ..." if len(names) > 3 else "")
            for names in self.identical
        ]
        if not same:
            return []
        return [
            counted_names(
                same, "image occurs more than once", "images occur more than once"
            )
        ]


def read_images(
    dataset: Dataset, threads: int, advance: Callable[[int], object]
) -> ReadImages:
    """Read and decode all images of a dataset.

    Args:
        dataset: the images.
        threads: how many to decode at once.
        advance: told how many bytes were read.
    """

    def read(index: int) -> tuple[str, int, str]:
        try:
            content = read_image(dataset.place(index), dataset.digests[index])
        except DatasetError as error:
            return "", 0, str(error)
        advance(len(content))
        return hashlib.sha256(content).hexdigest(), len(content), _damage(content)

    with ThreadPoolExecutor(threads) as pool:
        results = list(pool.map(read, range(len(dataset)), chunksize=16))
    named = list(zip(dataset.files, results, strict=True))
    return ReadImages(
        sums={name: sum_ for name, (sum_, _, _) in named if sum_},
        sizes={name: size for name, (sum_, size, _) in named if sum_},
        damaged={name: reason for name, (_, _, reason) in named if reason},
    )


def _damage(content: bytes) -> str:
    """Say why some bytes are no whole image; empty if they are one."""
    try:
        open_rgb(content)
    # Damaged files make Pillow raise what it likes: struct.error, IndexError, ...
    except Exception as error:
        return decoding_fault(error, content).partition(" <_io")[0]
    return ""
