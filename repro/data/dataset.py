"""Index a labelled folder of images and say whether it is complete."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Container, Sequence
from functools import cached_property
from pathlib import Path, PurePath

import msgspec
import numpy as np
import numpy.typing as npt

from repro.errors import DatasetError, NotAvailableError
from repro.published import DatasetSpec

IMAGE_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
)
STRATUM_IMAGES = 1000
MINIMUM_STRATA = 10


class Dataset(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Images and labels in a fixed order: by label, then by file name.

    `files` are paths relative to `root`, `sizes` their bytes, `labels` int64 `[N]`.
    """

    name: str
    root: Path
    classes: tuple[str, ...]
    files: tuple[str, ...]
    sizes: tuple[int, ...]
    labels: npt.NDArray[np.int64]
    columns: tuple[int, ...] | None = None

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


def index_dataset(spec: DatasetSpec, data: Path | None) -> Dataset:
    """Index the images of a dataset and refuse an incomplete copy.

    Args:
        spec: what the dataset has to be.
        data: the folder that holds `spec.folder`.

    Raises:
        NotAvailableError: there is no such folder.
        DatasetError: classes or images are missing or too many.
    """
    if data is None:
        raise NotAvailableError(
            f"no images of {spec.title}: say with --repro-data DIR where they lie "
            f"(the folder that holds {spec.folder}/<class>/<image>); "
            f"get them from {spec.url or 'their publisher'}"
        )
    root = data / spec.folder
    if not root.is_dir():
        raise NotAvailableError(
            f"no images of {spec.title}: {root} does not exist. --repro-data names the "
            f"folder that holds {spec.folder}/<class>/<image>; "
            f"get them from {spec.url or 'their publisher'}"
        )
    _check_classes(spec, root)
    dataset = _index(spec.id, root, spec.classes, spec.columns)
    if len(dataset) != spec.images:
        raise DatasetError(
            f"{root} holds {len(dataset):,} images; {spec.title} has {spec.images:,}. "
            f"{_uneven(dataset, spec)}Restore the missing files or remove those that "
            "do not belong there"
        )
    return dataset


def index_part(spec: DatasetSpec, data: Path) -> Dataset:
    """Index what there is of a dataset, with the labels of the whole.

    Args:
        spec: the whole dataset.
        data: the folder that holds `spec.folder`.

    Raises:
        NotAvailableError: there is no such folder.
        DatasetError: it has other class folders, or no image.
    """
    root = data / spec.folder
    if not root.is_dir():
        raise NotAvailableError(
            f"{root} does not exist; it should hold <class>/<image> of {spec.title}"
        )
    found = _subfolders(root)
    if unknown := [name for name in found if name not in set(spec.classes)]:
        raise DatasetError(
            f"{root} is not {spec.title}: "
            f"{_listed(unknown, 'is no class of it', 'are no classes of it')}"
        )
    dataset = _index(spec.id, root, spec.classes, spec.columns, present=set(found))
    if not len(dataset):
        raise DatasetError(f"{root} holds no <class>/<image> of {spec.title}")
    return dataset


def _index(
    name: str,
    root: Path,
    classes: Sequence[str],
    columns: tuple[int, ...] | None,
    present: Container[str] | None = None,
) -> Dataset:
    files: list[str] = []
    sizes: list[int] = []
    labels: list[int] = []
    for label, class_ in enumerate(classes):
        if present is not None and class_ not in present:
            continue
        found = sorted(_images(root / class_, class_))
        files += (file for file, _ in found)
        sizes += (size for _, size in found)
        labels += [label] * len(found)
    return Dataset(
        name=name,
        root=root,
        classes=tuple(classes),
        files=tuple(files),
        sizes=tuple(sizes),
        labels=np.array(labels, dtype=np.int64),
        columns=columns,
    )


def _images(folder: Path, prefix: str) -> list[tuple[str, int]]:
    """List the images below a class folder with their sizes in bytes."""
    found: list[tuple[str, int]] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                name = f"{prefix}/{entry.name}"
                if entry.is_dir():
                    found += _images(folder / entry.name, name)
                elif PurePath(entry.name).suffix.lower() in IMAGE_SUFFIXES:
                    found.append((name, entry.stat().st_size))
    except OSError as error:
        raise _unreadable(error, folder) from error
    return found


def _subfolders(root: Path) -> list[str]:
    try:
        with os.scandir(root) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir())
    except OSError as error:
        raise _unreadable(error, root) from error


def _unreadable(error: OSError, folder: Path) -> DatasetError:
    return DatasetError(
        f"{error.filename or folder} cannot be read: {error.strerror}. Make it "
        "readable, or remove it if it does not belong there"
    )


def _check_classes(spec: DatasetSpec, root: Path) -> None:
    found = set(_subfolders(root))
    missing = [name for name in spec.classes if name not in found]
    unknown = sorted(found - set(spec.classes))
    if missing or unknown:
        raise DatasetError(
            f"{root} is not {spec.title}: of its {len(spec.classes):,} class folders "
            f"{_listed(missing, 'is missing', 'are missing')}"
            f"{' and ' if missing and unknown else ''}"
            f"{_listed(unknown, 'does not belong there', 'do not belong there')}"
            if missing
            else f"{root} is not {spec.title}: "
            f"{_listed(unknown, 'is no class of it', 'are no classes of it')}"
        )


def _listed(names: Sequence[str], one: str, many: str) -> str:
    if not names:
        return ""
    shown = ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
    return f"{len(names):,} {one if len(names) == 1 else many} ({shown})"


def _uneven(dataset: Dataset, spec: DatasetSpec) -> str:
    """Name a class with an unusual number of images, where classes are balanced."""
    if spec.images % len(spec.classes):
        return ""
    expected = spec.images // len(spec.classes)
    counts = np.bincount(dataset.labels, minlength=len(spec.classes))
    wrong = np.flatnonzero(counts != expected)
    if not 0 < len(wrong) <= len(spec.classes) // 2:
        return ""
    first = int(wrong[0])
    return (
        f"Class {spec.classes[first]} has {counts[first]:,} instead of {expected:,}"
        f"{f', and {len(wrong) - 1:,} more differ' if len(wrong) > 1 else ''}. "
    )


def _number_of_strata(images: int, largest_class: int) -> int:
    wanted = max(MINIMUM_STRATA, round(images / STRATUM_IMAGES))
    return max(1, min(wanted, largest_class))


def _order_key(file: str) -> str:
    return hashlib.sha256(file.encode()).hexdigest()[:16]
