"""Index a labelled folder of images and say whether it is complete."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import numpy.typing as npt

from repro.data.checks import class_fault, count_fault, quick_faults
from repro.data.halfway import layout_faults
from repro.data.labels import label_faults
from repro.data.listing import (
    Listing,
    devkit_beside,
    find_root,
    has_class_folders,
    list_images,
    subfolders,
)
from repro.data.places import Place
from repro.errors import DatasetError, NotAvailableError
from repro.published import DatasetSpec

if TYPE_CHECKING:
    from repro.data.recorded import Record

STRATUM_IMAGES = 1000

#: Characters that an error may have, so that it can be read in a table of results.
MESSAGE = 450
MINIMUM_STRATA = 10


class Dataset(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Images and labels in a fixed order: by label, then by file name.

    `files` are names `<class>/<image>`, `sizes` their bytes, `labels` int64 `[N]`. The
    files lie below `root` under their names, unless `places` says where each is.
    """

    name: str
    root: Path
    classes: tuple[str, ...]
    files: tuple[str, ...]
    sizes: tuple[int, ...]
    labels: npt.NDArray[np.int64]
    columns: tuple[int, ...] | None = None
    places: tuple[Place, ...] = ()
    layout: str = "in class folders"

    def place(self, index: int) -> Place:
        """Give where the bytes of an image are."""
        return self.places[index] if self.places else self.root / self.files[index]

    def __len__(self) -> int:
        return len(self.files)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over relative paths, sizes and labels, as hexadecimal digits."""
        lines = sorted(
            f"{file}\0{size}\0{label}\n"
            for file, size, label in zip(
                self.files, self.sizes, self.labels.tolist(), strict=True
            )
        )
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    @cached_property
    def class_sizes(self) -> npt.NDArray[np.int64]:
        """How many images each class has: int64 `[C]`."""
        return np.bincount(self.labels, minlength=len(self.classes))

    @cached_property
    def strata(self) -> tuple[npt.NDArray[np.int64], ...]:
        """Indices of the images of each stratum, about 1,000, balanced over classes.

        Any prefix is a stratified sample of the whole. The permutation is fixed by the
        names of the files: for ImageNet's validation set every stratum is one image of
        each class.
        """
        counts = self.class_sizes
        number = _number_of_strata(len(self), int(counts.max()))
        ranks = np.empty(len(self), dtype=np.int64)
        keys = np.array([_order_key(file) for file in self.files])
        for label in np.flatnonzero(counts):
            members = np.flatnonzero(self.labels == label)
            shuffled = members[np.argsort(keys[members], kind="stable")]
            # A class with fewer images than strata begins somewhere of its own, lest
            # all such classes fill the same strata.
            start = (
                int(_order_key(self.classes[label]), 16) % number
                if len(members) < number
                else 0
            )
            ranks[shuffled] = (
                np.arange(len(members)) * number // len(members) + start
            ) % number
        return tuple(np.flatnonzero(ranks == stratum) for stratum in range(number))

    @cached_property
    def partition(self) -> str:
        """SHA-256 of the strata, as hexadecimal digits."""
        digest = hashlib.sha256()
        for members in self.strata:
            digest.update(f"{len(members)}\n".encode())
            digest.update(members.astype("<i8").tobytes())
        return digest.hexdigest()


def index_dataset(
    spec: DatasetSpec,
    data: Path | None,
    known: Sequence[DatasetSpec] = (),
    recorded: Record | None = None,
) -> Dataset:
    """Index the images of a dataset and refuse a copy that names or sizes prove wrong.

    Args:
        spec: what the dataset has to be.
        data: the folder that holds `spec.folder`, or the dataset itself.
        known: other datasets, to say which one it is when it is not this.
        recorded: a copy that this one has to equal.

    Raises:
        NotAvailableError: there is no such folder.
        DatasetError: something is missing, too much, or of another set.
    """
    root = find_root(spec, data) if data is not None else None
    if data is None or root is None:
        found = f": {data / spec.folder} does not exist" if data else ""
        raise NotAvailableError(
            f"no images of {spec.title}{found or ': say where they lie'}. "
            f"--repro-data names the folder that holds {spec.folder}/<class>/<image>; "
            f"get them from {spec.url or 'their publisher'}"
        )
    listing, faults = examine(spec, root, data, known)
    if listing is None or faults:
        raise refusal(root, faults)
    dataset = dataset_of(spec, listing)
    if recorded is not None:
        _check_recorded(dataset, recorded)
    return dataset


def _check_recorded(dataset: Dataset, recorded: Record) -> None:
    if fault := recorded.difference(dataset):
        raise refusal(dataset.root, [f"it {fault}"])


def examine(
    spec: DatasetSpec,
    root: Path,
    data: Path,
    known: Sequence[DatasetSpec] = (),
    *,
    part: bool = False,
) -> tuple[Listing | None, list[str]]:
    """List a copy and say what its names and sizes prove wrong, a sentence each.

    Args:
        spec: what the dataset has to be.
        root: where it lies.
        data: folder beside which a devkit is looked for.
        known: other datasets, to say which one it is when it is not this.
        part: whether a part of its images is enough.

    Raises:
        DatasetError: it cannot be read, or has no labels.
    """
    classes: Sequence[str] = spec.classes
    if has_class_folders(spec, root):
        if fault := class_fault(spec, root, known, part=part):
            return None, [fault]
        present = set(subfolders(root))
        classes = [name for name in spec.classes if name in present]
    listing = list_images(spec, root, data, classes)
    names = [image.name for found in listing.images.values() for image in found]
    devkit = None if spec.files else devkit_beside(root, data)
    faults = [
        *layout_faults(spec, listing),
        *quick_faults(spec, listing),
        *label_faults(spec, names, devkit, known),
    ]
    if not part and (fault := count_fault(spec, listing)):
        faults.append(fault)
    if not names:
        faults.append(f"it holds no <class>/<image> of {spec.title}")
    return listing, faults


def index_part(
    spec: DatasetSpec,
    data: Path,
    known: Sequence[DatasetSpec] = (),
    recorded: Record | None = None,
) -> Dataset:
    """Index what there is of a dataset, with the labels of the whole.

    Args:
        spec: the whole dataset.
        data: the folder that holds `spec.folder`, or the dataset itself.
        known: other datasets, to say which one it is when it is not this.
        recorded: a copy that this one has to equal, if all images are there.

    Raises:
        NotAvailableError: there is no such folder.
        DatasetError: it has other class folders, no image, or is half-made.
    """
    root = find_root(spec, data)
    if root is None:
        raise NotAvailableError(
            f"{data / spec.folder} does not exist; it should hold <class>/<image> of "
            f"{spec.title}"
        )
    listing, faults = examine(spec, root, data, known, part=True)
    if listing is None or faults:
        raise refusal(root, faults)
    dataset = dataset_of(spec, listing)
    if recorded is not None and len(dataset) == spec.images:
        _check_recorded(dataset, recorded)
    return dataset


def refusal(root: Path, faults: Sequence[str]) -> DatasetError:
    """Make one error of the faults of a copy, the first of them in full."""
    text = str(root) + ": "
    for number, fault in enumerate(faults):
        if number and len(text) + len(fault) > MESSAGE:
            more = len(faults) - number
            return DatasetError(f"{text}{more} more: see `repro dataset check`")
        text += f"{fault}. "
    return DatasetError(text.removesuffix(". "))


def dataset_of(spec: DatasetSpec, listing: Listing) -> Dataset:
    """Put the images of a listing into the order of the labels."""
    label = {name: number for number, name in enumerate(spec.classes)}
    ordered = [
        (image, label[class_])
        for class_ in spec.classes
        for image in listing.images.get(class_, ())
    ]
    places = tuple(image.place for image, _ in ordered if image.place is not None)
    return Dataset(
        name=spec.id,
        root=listing.root,
        classes=spec.classes,
        files=tuple(image.name for image, _ in ordered),
        sizes=tuple(image.size for image, _ in ordered),
        labels=np.array([number for _, number in ordered], dtype=np.int64),
        columns=spec.columns,
        places=places,
        layout=listing.layout,
    )


def _number_of_strata(images: int, largest_class: int) -> int:
    wanted = max(MINIMUM_STRATA, round(images / STRATUM_IMAGES))
    return max(1, min(wanted, largest_class))


def _order_key(file: str) -> str:
    return hashlib.sha256(file.encode()).hexdigest()[:16]
