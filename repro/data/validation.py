"""ImageNet's validation images as they are downloaded: one tar, or one folder of it.

Without class folders their labels are the ground truth of the devkit.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath

from repro.data.devkit import (
    DEVKIT,
    GROUND_TRUTH,
    META,
    VALIDATION_IMAGE,
    VALIDATION_TAR,
    Devkit,
    find_devkit,
)
from repro.data.halfway import flat_faults
from repro.data.listing import (
    Image,
    Listing,
    Reader,
    class_folders,
    image_files,
    unreadable,
)
from repro.data.packed import tar_members
from repro.data.places import stamp_of
from repro.errors import DatasetError
from repro.published import DatasetSpec

_WORDNET = re.compile(r"n\d{8}")


class TarReader(Reader):
    """`ILSVRC2012_img_val.tar`."""

    def find(self, spec: DatasetSpec, data: Path) -> Path | None:
        """Find the tar: in its folder, beside it, or itself."""
        if not _takes_validation(spec):
            return None
        root = data / spec.folder
        if root.is_dir():
            # The usual way to sort the images into folders leaves the tar beside them.
            inside = root / VALIDATION_TAR
            is_it = inside.is_file() and not class_folders(spec, root)
            return inside if is_it else None
        if data.is_dir() and class_folders(spec, data):
            return None
        places = data, data / VALIDATION_TAR, root.parent / VALIDATION_TAR
        tars = (place for place in places if place.name.endswith(".tar"))
        return next(filter(Path.is_file, tars), None)

    def list(self, spec: DatasetSpec, root: Path, data: Path) -> Listing:
        """List its members."""
        # Whether it is a tar is said before it is asked for labels.
        bare = [
            Image(PurePath(member.name).name, member.stamp, member.place)
            for member in tar_members(root)
        ]
        images = [image for image in bare if VALIDATION_IMAGE.fullmatch(image.name)]
        return _listing(spec, root, "in the tar", images, data)


class FlatReader(Reader):
    """`ILSVRC2012_val_*.JPEG` in one folder."""

    def find(self, spec: DatasetSpec, data: Path) -> Path | None:
        """Find the folder.

        Where there is a folder of a class too, the images are in such folders.
        """
        root = data / spec.folder
        folder = root if root.is_dir() else data
        is_flat = (
            _takes_validation(spec)
            and folder.is_dir()
            and not class_folders(spec, folder)
            and bool(_loose_images(folder))
        )
        return folder if is_flat else None

    def list(self, spec: DatasetSpec, root: Path, data: Path) -> Listing:
        """List its images."""
        return _listing(spec, root, "in one folder", _flat_images(root), data)

    def faults(self, spec: DatasetSpec, listing: Listing) -> Iterator[str]:
        """Yield what shows that unpacking or sorting stopped half-way."""
        return flat_faults(spec, listing)


def _takes_validation(spec: DatasetSpec) -> bool:
    """Whether a dataset can be ImageNet's validation set by its classes and folder."""
    is_named_so = PurePath(spec.folder).name == "val"
    return is_named_so and all(_WORDNET.fullmatch(name) for name in spec.classes)


def _flat_images(folder: Path) -> Iterator[Image]:
    for name in _loose_images(folder):
        path = os.path.join(folder, name)  # noqa: PTH118 - Path is slow for 50,000
        try:
            yield Image(name, stamp_of(os.stat(path)), path)  # noqa: PTH116
        except OSError as error:
            raise unreadable(error, folder) from error


def _loose_images(folder: Path) -> list[str]:
    """List the names of ImageNet's validation images right in a folder.

    Raises:
        DatasetError: it cannot be read.
    """
    return [name for name in image_files(folder) if VALIDATION_IMAGE.fullmatch(name)]


def _listing(
    spec: DatasetSpec, root: Path, layout: str, files: Iterable[Image], data: Path
) -> Listing:
    """Sort images without class folders into the classes that the devkit tells."""
    devkit = _devkit(spec, root, data)
    images: dict[str, list[Image]] = {name: [] for name in spec.classes}
    for file in files:
        class_ = devkit.class_of(file.name)
        images[class_].append(Image(f"{class_}/{file.name}", file.stamp, file.place))
    for found in images.values():
        found.sort(key=lambda image: image.name)
    return Listing(root, f"{layout}, labelled by {devkit.source}", images)


def _devkit(spec: DatasetSpec, root: Path, data: Path) -> Devkit:
    folders = _around(root, data)
    devkit = find_devkit(folders)
    if devkit is None:
        alone = [folder / GROUND_TRUTH for folder in folders]
        more = "".join(
            f". {file} alone does not say which class a number is; {META} does"
            for file in alone
            if file.is_file()
        )
        raise DatasetError(
            f"{root} holds validation images without class folders, so their labels "
            f"are not known. Put {DEVKIT} (from {spec.url or 'image-net.org'}) into "
            f"{folders[0]}: the labels are read from it, and no file is moved{more}"
        )
    if unknown := set(devkit.classes) - set(spec.classes):
        raise DatasetError(
            f"{devkit.source} has {len(unknown):,} classes that {spec.title} does not "
            f"have ({', '.join(sorted(unknown)[:3])}); it belongs to other images"
        )
    return devkit


def _around(root: Path, data: Path) -> list[Path]:
    """List the folders in which a devkit is looked for."""
    folder = data if data.is_dir() else data.parent
    inside = [root] if root.is_dir() else []
    return list(dict.fromkeys((folder, *inside, root.parent)))


def devkit_beside(root: Path, data: Path) -> Devkit | None:
    """Find the devkit beside a dataset, if there is one.

    Raises:
        DatasetError: it cannot be read.
    """
    return find_devkit(_around(root, data))
