"""Whether a copy of a dataset is what it should be: the checks of every entrance."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from repro.data.checks import class_fault, count_fault, quick_faults
from repro.data.halfway import layout_faults
from repro.data.labels import label_faults
from repro.data.listing import (
    Listing,
    devkit_beside,
    has_class_folders,
    list_images,
    subfolders,
)
from repro.errors import DatasetError
from repro.published import DatasetSpec

#: Characters that an error may have, so that it can be read in a table of results.
MESSAGE = 450


def examine(
    spec: DatasetSpec,
    root: Path,
    data: Path,
    known: Sequence[DatasetSpec] = (),
    *,
    part: bool = False,
) -> tuple[Listing | None, list[str]]:
    """List the images of a copy and say what names and sizes prove wrong, in sentences.

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


def refusal(root: Path, faults: Sequence[str]) -> DatasetError:
    """Make one error of the faults of a copy, the first of them in full."""
    text = f"{root}: "
    for number, fault in enumerate(faults):
        if number and len(text) + len(fault) > MESSAGE:
            more = len(faults) - number
            return DatasetError(f"{text}{more} more: see `repro dataset check`")
        text += f"{fault}. "
    return DatasetError(text.removesuffix(". "))
