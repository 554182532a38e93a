"""Index a labelled folder of images and say whether it is complete."""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from repro.data.digests import Record, find_digests, remembered_digests
from repro.data.examination import examine, refusal
from repro.data.folders import lies_instead
from repro.data.geometry import Pixels, decode, decoding_fault, open_rgb, planar_pixels
from repro.data.listing import Image, ImageLocation, Listing, place_in, read_image
from repro.data.readers import find_images
from repro.errors import DatasetError, NotAvailableError
from repro.published import DatasetSpec, Geometry
from repro.words import counted_names

STRATUM_IMAGES = 1000
MINIMUM_STRATA = 10


class Dataset(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Images and labels in a fixed order: by label, then by digest.

    `digests` tell what the bytes of the images are (`digest_of`), 32 hexadecimal digits
    each; `files` are names `<class>/<image>`, `sizes` their bytes, `labels` int64
    `[N]`. The files lie below `root` under their names, unless `places` says where
    each is. Nothing that is measured depends on names and places. `assumed` says what
    was concluded to tell the labels.
    """

    name: str
    root: Path
    classes: tuple[str, ...]
    files: tuple[str, ...]
    digests: tuple[str, ...]
    sizes: tuple[int, ...]
    labels: npt.NDArray[np.int64]
    columns: tuple[int, ...] | None = None
    places: tuple[ImageLocation, ...] = ()
    layout: str = "in class folders"
    assumed: tuple[str, ...] = ()

    def place(self, index: int) -> ImageLocation:
        """Give where the bytes of an image are."""
        return self.places[index] if self.places else self.root / self.files[index]

    def __len__(self) -> int:
        return len(self.files)

    def some(self, chosen: npt.NDArray[np.int64]) -> Dataset:
        """Give a dataset of the images at these positions, in that order."""
        return msgspec.structs.replace(
            self,
            files=tuple(self.files[index] for index in chosen),
            digests=tuple(self.digests[index] for index in chosen),
            sizes=tuple(self.sizes[index] for index in chosen),
            labels=self.labels[chosen],
            places=tuple(self.places[i] for i in chosen) if self.places else (),
        )

    def planar_pixels(
        self, index: int, geometries: Sequence[Geometry], outputs: Sequence[Pixels]
    ) -> None:
        """Decode an image once and write it in several geometries.

        Raises:
            DatasetError: it cannot be decoded, or has changed since it was indexed.
        """
        planar_pixels(self.place(index), geometries, outputs, self.digests[index])

    def size_in(self, geometry: Geometry) -> tuple[int, int]:
        """Give height and width of the images in a geometry, in pixels.

        Raises:
            DatasetError: it leaves them as they are, and the first cannot be decoded.
        """
        return geometry.output_size if geometry.steps else self._own_size

    @cached_property
    def _own_size(self) -> tuple[int, int]:
        width, height = decode(self.place(0), self.digests[0]).size
        return height, width

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the digests and labels of all images: `xxh3:` and 64 digits.

        A copy elsewhere, or under other names, has the same. What is without `xxh3:` in
        older records is of names and sizes, and can be compared with nothing of now.
        """
        lines = sorted(
            f"{digest} {label}\n"
            for digest, label in zip(self.digests, self.labels.tolist(), strict=True)
        )
        content = "".join((f"{len(self.classes)}\n", *lines))
        return f"xxh3:{hashlib.sha256(content.encode()).hexdigest()}"

    @cached_property
    def class_sizes(self) -> npt.NDArray[np.int64]:
        """How many images each class has: int64 `[C]`."""
        return np.bincount(self.labels, minlength=len(self.classes))

    @cached_property
    def strata(self) -> tuple[npt.NDArray[np.int64], ...]:
        """Indices of the images of each stratum, about 1,000, balanced over classes.

        Any prefix is a stratified sample of the whole. Images are drawn by their
        digests, in the order of which they are: for ImageNet's validation set every
        stratum is one image of each class.
        """
        counts = self.class_sizes
        number = count_strata(len(self), int(counts.max()))
        ranks = np.empty(len(self), dtype=np.int64)
        ends = np.cumsum(counts)
        for label in np.flatnonzero(counts).tolist():
            size, end = int(counts[label]), int(ends[label])
            # A class with fewer images than strata begins somewhere of its own, lest
            # all such classes fill the same strata.
            start = _start_of(label) % number if size < number else 0
            # Spread evenly: each stratum gets as many of a class as any other, give or
            # take one image.
            ranks[end - size : end] = (
                np.arange(size) * number // size + start
            ) % number
        order = np.argsort(ranks, kind="stable")
        sizes = np.bincount(ranks, minlength=number)
        return tuple(np.split(order, np.cumsum(sizes)[:-1]))

    @cached_property
    def partition(self) -> str:
        """SHA-256 of the strata, as hexadecimal digits."""
        digest = hashlib.sha256()
        for members in self.strata:
            digest.update(f"{len(members)}\n".encode())
            # In one order of bytes: stores are shared between machines.
            digest.update(members.astype("<i8").tobytes())
        return digest.hexdigest()


def index_dataset(
    spec: DatasetSpec,
    data: Path | None,
    known: Sequence[DatasetSpec] = (),
    recorded: Record | None = None,
    cache: Path | None = None,
    *,
    part: bool = False,
) -> Dataset:
    """Index the images of a dataset and refuse a copy that names or sizes prove wrong.

    What is not remembered in the cache is read, every byte of it.

    Args:
        spec: what the dataset has to be.
        data: the folder that holds `spec.folder`, or the dataset itself.
        known: other datasets, to say which one it is when it is not this.
        recorded: a copy that this one has to equal, if all images are there.
        cache: folder that remembers images; None to read all of them.
        part: whether a part of the images is enough; labels are those of the whole.

    Raises:
        NotAvailableError: there is no such folder.
        DatasetError: something is missing, too much, of another set, or half-made.
    """
    found = find_images(spec, data) if data is not None else None
    if data is None or found is None:
        lacking = "say where they lie"
        if data is not None:
            lacking = f"{data / spec.folder} does not exist{_packed(data, spec)}"
        raise NotAvailableError(
            f"no images of {spec.title}: {lacking}. "
            f"--repro-data names the folder that holds {spec.folder}/<class>/<image>; "
            f"get them from {spec.url or 'their publisher'}",
            f"images of {spec.title}",
            f"--repro-data=DIR, which holds {spec.folder}/<class>/<image>",
        )
    listing, faults = examine(spec, found, data, known, part=part)
    if listing is None:
        raise refusal(found.root, faults)
    sizes = listing.sizes()
    if recorded is not None and (not part or len(sizes) == spec.images):
        fault = recorded.difference(sizes)
        faults += [f"it {fault}"] if fault else []
    if faults:
        raise refusal(found.root, faults)
    return read_dataset(spec, listing, cache)


def _packed(data: Path, spec: DatasetSpec) -> str:
    """Say that it lies there in a form that is not read as it is."""
    place = data / spec.folder
    said = map(lies_instead, sorted(place.parent.glob(f"{glob.escape(place.name)}.*")))
    return next((f", but {found}" for found in said if found), "")


def read_dataset(spec: DatasetSpec, listing: Listing, cache: Path | None) -> Dataset:
    """Find out what the bytes of listed images are; see `index_dataset`.

    Raises:
        DatasetError: an image cannot be read.
    """
    return _dataset(spec, listing, find_digests(listing, cache))


def remembered_dataset(
    spec: DatasetSpec, data: Path | None, cache: Path
) -> Dataset | None:
    """Give a dataset whose images are all remembered; None where one must be read.

    Raises:
        DatasetError: it cannot be listed.
    """
    found = find_images(spec, data) if data is not None else None
    if data is None or found is None:
        return None
    listing, faults = examine(spec, found, data)
    if listing is None or faults:
        return None
    digests = remembered_digests(listing, cache)
    return None if digests is None else _dataset(spec, listing, digests)


def _dataset(
    spec: DatasetSpec, listing: Listing, digests: Mapping[str, str]
) -> Dataset:
    """Put the images of a listing into the order of labels and digests."""
    images: list[Image] = []
    labels: list[int] = []
    for label, class_ in enumerate(spec.classes):
        found = listing.images.get(class_, ())
        # Names decide between images that are the same anyway.
        images += sorted(found, key=lambda image: (digests[image.name], image.name))
        labels += [label] * len(found)
    is_placed = any(image.place is not None for image in images)
    places = (place_in(listing.root, image) for image in images if is_placed)
    return Dataset(
        name=spec.id,
        root=listing.root,
        classes=spec.classes,
        files=tuple(image.name for image in images),
        digests=tuple(digests[image.name] for image in images),
        sizes=tuple(image.stamp.size for image in images),
        labels=np.array(labels, dtype=np.int64),
        columns=spec.columns,
        places=tuple(places),
        layout=listing.layout,
        assumed=listing.assumed,
    )


def count_strata(images: int, largest_class: int) -> int:
    """Tell how many strata so many images have, never more than the largest class."""
    wanted = max(MINIMUM_STRATA, round(images / STRATUM_IMAGES))
    return max(1, min(wanted, largest_class))


def first_strata(dataset: Dataset, limit: int | None) -> list[int]:
    """Number the strata that are needed for at least `limit` images."""
    chosen: list[int] = []
    images = 0
    for number, members in enumerate(dataset.strata):
        if limit is not None and images >= limit:
            break
        chosen.append(number)
        images += len(members)
    return chosen


def _start_of(label: int) -> int:
    """Draw a number for a label, the same one everywhere."""
    return int(hashlib.sha256(f"{label}".encode()).hexdigest()[:16], 16)


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
        found = [f"{name}: {reason}" for name, reason in self.damaged.items()]
        one, several = "image cannot be decoded", "images cannot be decoded"
        return [counted_names(found, one, several)] if found else []

    def remarks(self) -> list[str]:
        """Say which images are the same; published sets have such images too."""
        same = [
            " = ".join(names[:3]) + (" = ..." if len(names) > 3 else "")
            for names in self.identical
        ]
        one, several = "image occurs more than once", "images occur more than once"
        return [counted_names(same, one, several)] if same else []


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
