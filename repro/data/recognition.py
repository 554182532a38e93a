"""Tell which dataset a folder or tar holds, by its layout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from repro.data.class_names import name_classes
from repro.data.labels import list_share
from repro.data.listing import image_names, subfolders
from repro.data.naming import set_faults
from repro.data.readers import FOLDERS, Found, find_images, suppose_images
from repro.errors import DatasetError
from repro.published import DatasetSpec

#: Below this part of common class names two sets have nothing to do with each other.
LEAST_COMMON = 0.5


class Recognised(msgspec.Struct, frozen=True):
    """A dataset, where it lies, and the folder that its devkit would lie in."""

    spec: DatasetSpec
    found: Found
    data: Path


def recognise(path: Path, specs: Sequence[DatasetSpec]) -> list[Recognised]:
    """List the datasets that a path holds: itself, or all those in a data folder.

    Raises:
        DatasetError: it is none of them.
    """
    lying = [(spec, find_images(spec, path)) for spec in specs]
    inside = [
        Recognised(spec, found, path)
        for spec, found in lying
        if found is not None and found.root != path
    ]
    if inside:
        return inside
    for spec, found in lying:
        # Class folders may be those of several.
        if found is not None and found.reader != FOLDERS:
            return [Recognised(spec, found, path.parent)]
    if path.is_dir() and (best := _most_alike(path, specs)):
        return [Recognised(best, suppose_images(best, path), path.parent)]
    known = ", ".join(spec.id for spec in specs)
    raise DatasetError(
        f"{path} is laid out like none of {known}: they are class folders, a folder of "
        "ILSVRC2012_val_*.JPEG, or ILSVRC2012_img_val.tar. --dataset says which one it "
        "should be"
    )


def _most_alike(path: Path, specs: Sequence[DatasetSpec]) -> DatasetSpec | None:
    folders = subfolders(path)
    found = set(folders)
    for spec in specs:
        # Where folders are called otherwise than the classes that they surely are.
        if found and not name_classes(spec, folders).unknown:
            found = set(name_classes(spec, folders).classes.values())
            break
    shares = {spec.id: _common(found, set(spec.classes)) for spec in specs}
    highest = max(shares.values(), default=0.0)
    if highest < LEAST_COMMON:
        return None
    alike = [spec for spec in specs if shares[spec.id] == highest]
    if len(alike) == 1:
        return alike[0]
    names = image_names(path, folders)

    def unlikeness(spec: DatasetSpec) -> tuple[int, float, int]:
        foreign = len(list(set_faults(spec, names)))
        return foreign, -list_share(spec, names), abs(spec.images - len(names))

    return min(alike, key=unlikeness)


def _common(one: set[str], other: set[str]) -> float:
    return len(one & other) / max(1, len(one | other))
