"""What tells images apart, their bytes, and how a later run need not read them again.

As in git's index, the digest of a file is remembered with its size, times and inode,
and believed as long as these are the same. A file that was written to in the very
moment in which it was read can be written to again without other times, so what is that
young is not remembered; it is read again by the next run.

CACHE/index/KEY.msgpack   of the images that one dataset has at one place

A copy that is trusted is recorded with names, sizes and SHA-256. The file has a line
for each image, as `sha256sum` writes it with the size between:
`<sha256>  <bytes>  <class>/<image>`.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from repro.data.listing import (
    UNKNOWN_SIZE,
    Image,
    Listing,
    digest_of,
    place_in,
    read_image,
)
from repro.errors import DatasetError
from repro.files import Stamp, keep, kept, made_once, replace_bytes
from repro.machine import available_cores
from repro.published import (
    DatasetSpec,
    Release,
    place_beside,
    place_of_user,
    place_to_record,
)
from repro.words import counted_names

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
    with made_once(file):
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
    for image in listing.all():
        before = remembered.get(image.name)
        if before is not None and before.stamp == image.stamp:
            known[image.name] = before.digest
        else:
            unknown.append(image)
    return known, unknown


def _remembered(file: Path | None) -> Mapping[str, Remembered]:
    """Read what is remembered; a file that is damaged or of old counts as none."""
    if file is None or (content := kept(file)) is None:
        return {}
    try:
        index = msgspec.msgpack.decode(content, type=_Index)
    except ValueError:
        return {}
    return index.images if index.version == VERSION else {}


def _remember(
    file: Path, listing: Listing, digests: Mapping[str, str], began: int
) -> None:
    """Write down what is known; a cache that may only be read does without."""
    images = {
        image.name: Remembered(image.stamp, digests[image.name])
        for image in listing.all()
        if not image.stamp.is_young(began)
    }
    keep(file, msgspec.msgpack.encode(_Index(VERSION, images)))


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


class Record(msgspec.Struct, frozen=True):
    """A recorded copy: `files` is `{<class>/<image>: (bytes, sha256)}`."""

    source: Path
    files: dict[str, tuple[int, str]]

    def difference(
        self, sizes: Mapping[str, int], sums: Mapping[str, str] | None = None
    ) -> str:
        """Say how many files of a copy differ; empty if none do.

        Args:
            sizes: the bytes of its files by name.
            sums: SHA-256 of its files, if they were read; else sizes are compared.
        """
        changed = [
            name
            for name, size in sizes.items()
            if (known := self.files.get(name))
            and (
                size not in (known[0], UNKNOWN_SIZE)
                or (sums is not None and sums.get(name) != known[1])
            )
        ]
        missing = [name for name in self.files if name not in sizes]
        new = [name for name in sizes if name not in self.files]
        faults = (
            counted_names(changed, "file has other bytes", "files have other bytes"),
            counted_names(missing, "file is missing", "files are missing"),
            counted_names(new, "file is new", "files are new"),
        )
        if not any(faults):
            return ""
        return (
            f"is not the copy recorded in {self.source}: "
            f"{', '.join(filter(None, faults))}; restore the files, or remove that "
            "record if this copy is right"
        )


def read_record(release: Release, spec: DatasetSpec) -> Record | None:
    """Read what was recorded of a dataset, the release's own record first.

    Raises:
        DatasetError: it cannot be understood.
    """
    name = _name(spec)
    own = place_of_user(release, "records", name)
    for file in (place_beside(release, name), own):
        if file is not None and file.is_file():
            return Record(file, _read(file))
    return None


def write_record(
    release: Release,
    spec: DatasetSpec,
    sizes: Mapping[str, int],
    sums: Mapping[str, str],
) -> Path:
    """Write down the bytes and SHA-256 of the files of a copy, and tell where.

    Raises:
        DatasetError: it cannot be written.
    """
    file = place_to_record(release, "records", _name(spec))
    lines = sorted(f"{sums[name]}  {size}  {name}\n" for name, size in sizes.items())
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_bytes(file, "".join(lines).encode())
    except OSError as error:
        raise DatasetError(
            f"{file}: the record cannot be written ({error.strerror}); make it writable"
        ) from error
    return file


def _name(spec: DatasetSpec) -> str:
    return f"records/{spec.id}.txt"


def _read(file: Path) -> dict[str, tuple[int, str]]:
    try:
        rows = [
            line.split("  ", 2)
            for line in file.read_text(encoding="utf-8").split("\n")
            if line
        ]
        return {name: (int(size), sha256) for sha256, size, name in rows}
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"{file} is no record of a dataset ({error}); its lines are "
            "<sha256>  <bytes>  <class>/<image>. Remove it to record the copy anew"
        ) from error
