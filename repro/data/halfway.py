"""What shows that sorting, copying or unpacking a dataset stopped half-way."""

from __future__ import annotations

import filecmp
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from repro.data.label_tables import table_of
from repro.data.labels import VALIDATION_TAR
from repro.data.listing import Image, Listing, image_files, subfolders
from repro.data.naming import base, repeated_names
from repro.published import DatasetSpec
from repro.words import counted_names

#: Fewer bytes are no picture: what has them is found elsewhere, as damaged.
LEAST_BYTES = 64

#: So many pairs of the same name and size are compared byte by byte, and no more.
COMPARED_PAIRS = 500

# Where the devkit may lie unpacked.
_DEVKIT_FOLDERS = {"data", "devkit", "ILSVRC2012_devkit_t12"}


def placing_faults(listing: Listing) -> Iterator[str]:
    """Yield what is half-made about a copy, however its images lie."""
    yield from _nested_faults(listing)
    yield from _repeated_faults(listing)


def loose_fault(folder: Path) -> str:
    """Say that images lie where class folders should be; empty if none do."""
    beside = "beside the class folders"
    loose = image_files(folder)
    if found := counted_names(loose, f"image lies {beside}", f"images lie {beside}"):
        return f"{found}; sort them into their classes, or remove the copies"
    return ""


def folder_faults(spec: DatasetSpec, listing: Listing) -> Iterator[str]:
    """Yield what is half-made about class folders, whether all are wanted or a part."""
    if fault := loose_fault(listing.root):
        yield fault
    counts = {name: len(found) for name, found in listing.images.items()}
    total = sum(counts.values())
    empty = [name for name, count in counts.items() if not count]
    one, several = "class folder is empty", "class folders are empty"
    if empty and 0 < total < spec.images:
        yield (
            f"{counted_names(empty, one, several)} while others hold images; fill or "
            f"remove {'it' if len(empty) == 1 else 'them'}"
        )
    if short := _stopped_at(spec, counts):
        whole = spec.images // len(spec.classes)
        missing = len(spec.classes) - len(counts)
        yield (
            f"class folder {short} holds {counts[short]:,} of {whole:,} images, "
            f"{len(counts) - 1:,} others are whole and {missing:,} "
            f"{'is' if missing == 1 else 'are'} missing, as if copying or unpacking "
            "stopped there; finish it, or remove that folder"
        )


def _stopped_at(spec: DatasetSpec, counts: dict[str, int]) -> str:
    """Name the one class folder that is not whole, where others are missing."""
    whole, rest = divmod(spec.images, len(spec.classes))
    short = [name for name, count in counts.items() if count < whole]
    missing = len(counts) < len(spec.classes)
    is_so = not rest and missing and len(short) == 1 and len(counts) > 2
    even = all(count == whole for name, count in counts.items() if name not in short)
    return short[0] if is_so and even and counts[short[0]] else ""


def flat_faults(spec: DatasetSpec, listing: Listing) -> Iterator[str]:
    """Yield what is half-made about images in one folder."""
    root = listing.root
    one, several = "image has no label", "images have no label"
    if found := counted_names(listing.unlabelled, one, several):
        why = "only names such as ILSVRC2012_val_00000001.JPEG have one"
        if table := table_of(root):
            why = f"{table} has no line for {'it' if 'image has' in found else 'them'}"
        yield f"{found}: {why}"
    beside = sorted(set(subfolders(root)) - _DEVKIT_FOLDERS)
    if found := counted_names(beside, "folder lies", "folders lie"):
        yield f"{found} beside images without class folders; sort all images, or none"
    tar = root.parent / VALIDATION_TAR
    images = sum(map(len, listing.images.values()))
    if images < spec.images and tar.is_file():
        yield (
            f"it holds {images:,} of {spec.images:,} images, and {tar} lies beside it: "
            "unpacking stopped half-way. Unpack it to the end, or remove the folder"
        )


def _nested_faults(listing: Listing) -> Iterator[str]:
    """Yield that images lie deeper than others; where all do, it was meant so."""
    depths = {image.name.count("/") for image in _all(listing)}
    if len(depths) < 2:
        return
    nested = [image.name for image in _all(listing) if image.name.count("/") > 1]
    one, several = "image lies in a folder", "images lie in folders"
    if found := counted_names(nested, one, several):
        yield f"{found} inside class folders, others do not; move them up or away"


def _repeated_faults(listing: Listing) -> Iterator[str]:
    """Yield that one image is in two classes, by its name or by name and bytes."""
    names = set(repeated_names(image.name for image in _all(listing)))
    twice = sorted(names | _same_bytes(listing, names))
    two = "in two classes"
    if found := counted_names(twice, f"image stands {two}", f"images stand {two}"):
        yield f"{found}; remove the copies"


def _same_bytes(listing: Listing, known: set[str]) -> set[str]:
    alike: dict[tuple[str, int], list[Image]] = defaultdict(list)
    for image in _all(listing):
        # An image without a place lies in its class folder.
        is_file = image.place is None and image.size >= LEAST_BYTES
        if is_file and base(image.name) not in known:
            alike[base(image.name), image.size].append(image)
    pairs = [
        (name, found[0], other)
        for (name, _), found in alike.items()
        for other in found[1:]
        if other.name.partition("/")[0] != found[0].name.partition("/")[0]
    ]
    return {
        name
        for name, one, other in pairs[:COMPARED_PAIRS]
        if filecmp.cmp(listing.root / one.name, listing.root / other.name, False)
    }


def _all(listing: Listing) -> Iterator[Image]:
    for found in listing.images.values():
        yield from found
