"""What tells images apart, their bytes, and how a later run need not read them again.

As in git's index, the digest of a file is remembered with its size, times and inode,
and believed as long as these are the same. A file that was written to in the very
moment in which it was read can be written to again without other times, so what is that
young is not remembered; it is read again by the next run.

CACHE/index/KEY.msgpack   of the images that one dataset has at one place
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
from filelock import FileLock

from repro.data.listing import Image, Listing, place_in
from repro.data.places import digest_of, read_image
from repro.files import Stamp, read_sealed, replace_bytes, sealed
from repro.machine import available_cores

INDEX = "index"
VERSION = 1
#: Threads for each core that read: some of them wait for the disk.
READERS_PER_CORE = 4
#: Images that one thread reads before it is given more.
CHUNK = 32


class Remembered(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An image that was read once: its stamp then, and its digest."""

    stamp: Stamp
    digest: str


class _Index(msgspec.Struct, frozen=True):
    version: int
    images: dict[str, Remembered]


def find_digests(listing: Listing, cache: Path | None) -> dict[str, str]:
    """Give the digest of each image, by its name; what is not remembered is read.

    Args:
        listing: the images, with stamps that were taken before this is called.
        cache: folder below which digests are remembered; None to remember nothing.

    Raises:
        DatasetError: an image cannot be read.
    """
    file = index_file(listing, cache) if cache else None
    known, unknown = _look_up(listing, file)
    if not unknown:
        return known
    with _reading_alone(file):
        # Another process may have read them meanwhile.
        known, unknown = _look_up(listing, file)
        if unknown:
            # Before the first byte is read: what is written to from here on is not
            # remembered.
            began = time.time_ns()
            known |= _read_all(listing.root, unknown)
            if file is not None:
                _remember(file, listing, known, began)
    return known


def remembered_digests(listing: Listing, cache: Path) -> dict[str, str] | None:
    """Give the digests of all images without reading one; None if one is not known."""
    known, unknown = _look_up(listing, index_file(listing, cache))
    return None if unknown else known


def index_file(listing: Listing, cache: Path) -> Path:
    """Name the file that remembers the digests of a dataset at its place."""
    classes = [name for name, found in listing.images.items() if found]
    place = msgspec.json.encode([str(listing.root.resolve()), classes])
    return cache / INDEX / f"{hashlib.sha256(place).hexdigest()[:20]}.msgpack"


def _look_up(listing: Listing, file: Path | None) -> tuple[dict[str, str], list[Image]]:
    """Tell what is remembered of the images, and of which nothing is."""
    remembered = _remembered(file)
    known: dict[str, str] = {}
    unknown: list[Image] = []
    for images in listing.images.values():
        for image in images:
            before = remembered.get(image.name)
            if before is not None and before.stamp == image.stamp:
                known[image.name] = before.digest
            else:
                unknown.append(image)
    return known, unknown


def _remembered(file: Path | None) -> Mapping[str, Remembered]:
    """Read what is remembered; a file that is damaged or of old counts as none."""
    if file is None:
        return {}
    try:
        content = read_sealed(file)
        index = msgspec.msgpack.decode(content or b"", type=_Index)
    except (OSError, ValueError):
        return {}
    return index.images if index.version == VERSION else {}


def _remember(
    file: Path, listing: Listing, digests: Mapping[str, str], began: int
) -> None:
    """Write down what is known; a cache that may only be read does without."""
    images = {
        image.name: Remembered(image.stamp, digests[image.name])
        for found in listing.images.values()
        for image in found
        if not image.stamp.is_young(began)
    }
    with contextlib.suppress(OSError):
        content = msgspec.msgpack.encode(_Index(VERSION, images))
        replace_bytes(file, sealed(content))


@contextlib.contextmanager
def _reading_alone(file: Path | None) -> Iterator[None]:
    """Let the processes of a machine read a dataset one after the other.

    The second finds what the first has read. Where no lock can be had, both read.
    """
    with contextlib.ExitStack() as held:
        if file is not None:
            with contextlib.suppress(OSError, NotImplementedError):
                file.parent.mkdir(parents=True, exist_ok=True)
                held.enter_context(FileLock(file.with_suffix(".lock")))
        yield


def _read_all(root: Path, images: Sequence[Image]) -> dict[str, str]:
    """Read images in threads, and give their digests by name."""

    def read(start: int) -> list[str]:
        return [
            digest_of(read_image(place_in(root, image)))
            for image in images[start : start + CHUNK]
        ]

    threads = READERS_PER_CORE * available_cores()
    with ThreadPoolExecutor(threads, "repro-digest") as pool:
        chunks = pool.map(read, range(0, len(images), CHUNK))
        digests = [digest for chunk in chunks for digest in chunk]
    names = (image.name for image in images)
    return dict(zip(names, digests, strict=True))
