"""List the images of a dataset as they lie on disk, with their labels.

| layout | labels |
|---|---|
| `<class>/<image>` | the place of the folder's name in the list of classes |
| `<class>/<image>` in an uncompressed tar | the same |
| `ILSVRC2012_val_*.JPEG` in one folder | the devkit's ground truth |
| `ILSVRC2012_img_val.tar`, as it is downloaded | the devkit's ground truth |

Whatever the layout, an image is named `<class>/<image>`.
"""

from __future__ import annotations

import os
import re
import tarfile
from collections.abc import Container, Iterable, Iterator
from pathlib import Path, PurePath

import msgspec

from repro.data.devkit import DEVKIT, GROUND_TRUTH, META, Devkit, find_devkit
from repro.data.places import ImageLocation, Member, Stamp, stamp_of
from repro.errors import DatasetError
from repro.published import DatasetSpec
from repro.words import counted_names

# Those of torchvision's ImageFolder.
IMAGE_SUFFIXES = tuple(
    f".{suffix}"
    for suffix in ("jpg", "jpeg", "png", "ppm", "bmp", "pgm", "tif", "tiff", "webp")
)
VALIDATION_TAR = "ILSVRC2012_img_val.tar"
VALIDATION_IMAGE = re.compile(r"ILSVRC2012_val_(\d{8})\.JPEG")

_WORDNET = re.compile(r"n\d{8}")


class Image(msgspec.Struct, frozen=True, gc=False):
    """An image: its name `<class>/<image>`, the stamp of its file, and where it is."""

    name: str
    stamp: Stamp
    place: ImageLocation | None = None

    @property
    def size(self) -> int:
        """Its bytes."""
        return self.stamp.size


class Listing(msgspec.Struct, frozen=True):
    """The images of each class of a dataset that is there, sorted by name.

    `layout` says in words how they lie at `root`.
    """

    root: Path
    layout: str
    images: dict[str, list[Image]]

    def sizes(self) -> dict[str, int]:
        """Give the bytes of each image by its name."""
        return {
            image.name: image.size for found in self.images.values() for image in found
        }


def find_root(spec: DatasetSpec, data: Path) -> Path | None:
    """Find where a dataset lies: below a data folder, or that folder or tar itself."""
    root = data / spec.folder
    if root.is_dir():
        inside = root / VALIDATION_TAR
        is_tar = _takes_validation(spec) and inside.is_file()
        # The usual way to sort the images into folders leaves the tar beside them.
        return inside if is_tar and not _class_folders(spec, root) else root
    packed = root.with_name(f"{root.name}.tar")
    if packed.is_file():
        return packed
    has_folders = data.is_dir() and bool(_class_folders(spec, data))
    if _takes_validation(spec) and not has_folders:
        for tar in (data, data / VALIDATION_TAR, root.parent / VALIDATION_TAR):
            if tar.name.endswith(".tar") and tar.is_file():
                return tar
    if data.is_dir() and (_is_root(spec, data) or _is_flat(spec, data)):
        return data
    return None


def list_images(
    spec: DatasetSpec, root: Path, data: Path, classes: Iterable[str]
) -> Listing:
    """List the images of some classes.

    Args:
        spec: the dataset.
        root: where it lies.
        data: folder beside which a devkit is looked for.
        classes: whose folders to read, where there are folders.

    Raises:
        DatasetError: something cannot be read, or labels are needed and not there.
    """
    if root.is_file():
        return _list_tar(spec, root, data)
    if _is_flat(spec, root):
        return _listing(spec, root, "in one folder", _flat_images(root), data)
    images = {
        class_: sorted(_images(root / class_, class_), key=lambda image: image.name)
        for class_ in classes
    }
    return Listing(root, "in class folders", images)


def image_names(root: Path, classes: Iterable[str]) -> list[str]:
    """List the names of the images in some class folders."""
    return [image.name for name in classes for image in _images(root / name, name)]


def subfolders(root: Path) -> list[str]:
    """List the names of the folders in a folder, sorted; none in a tar or flat folder.

    Raises:
        DatasetError: it cannot be read.
    """
    try:
        with os.scandir(root) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir())
    except OSError as error:
        raise _unreadable(error, root) from error


def has_class_folders(spec: DatasetSpec, root: Path) -> bool:
    """Whether a dataset lies in folders, one for each class."""
    return root.is_dir() and not _is_flat(spec, root)


def _takes_validation(spec: DatasetSpec) -> bool:
    """Whether a dataset can be ImageNet's validation set by its classes and folder."""
    is_named_so = PurePath(spec.folder).name == "val"
    return is_named_so and all(_WORDNET.fullmatch(name) for name in spec.classes)


def _class_folders(spec: DatasetSpec, folder: Path) -> set[str]:
    return set(spec.classes) & set(subfolders(folder))


def _is_root(spec: DatasetSpec, folder: Path) -> bool:
    """Whether most classes have a folder here; which do not is said later."""
    return 2 * len(_class_folders(spec, folder)) > len(spec.classes)


def _is_flat(spec: DatasetSpec, folder: Path) -> bool:
    """Whether ImageNet's validation images lie in one folder.

    Where there is a folder of a class too, the images are in such folders.
    """
    return (
        _takes_validation(spec)
        and not _class_folders(spec, folder)
        and bool(loose_images(folder))
    )


def _flat_images(folder: Path) -> Iterator[Image]:
    for name in loose_images(folder):
        path = os.path.join(folder, name)  # noqa: PTH118 - Path is slow for 50,000
        try:
            yield Image(name, stamp_of(os.stat(path)), path)  # noqa: PTH116
        except OSError as error:
            raise _unreadable(error, folder) from error


def loose_images(folder: Path) -> list[str]:
    """List the names of ImageNet's validation images right in a folder.

    Raises:
        DatasetError: it cannot be read.
    """
    return [name for name in image_files(folder) if VALIDATION_IMAGE.fullmatch(name)]


def image_files(folder: Path) -> list[str]:
    """List the names of all images right in a folder, sorted.

    Raises:
        DatasetError: it cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted(
                entry.name
                for entry in entries
                if entry.name.lower().endswith(IMAGE_SUFFIXES) and entry.is_file()
            )
    except OSError as error:
        raise _unreadable(error, folder) from error


def _list_tar(spec: DatasetSpec, tar: Path, data: Path) -> Listing:
    """List the images of a tar: in class folders, or else as they are downloaded."""
    members = list(_tar_members(tar))
    images: dict[str, list[Image]] = {name: [] for name in spec.classes}
    others: list[str] = []
    for member in members:
        name, class_ = _in_class(member.name, images)
        if class_:
            images[class_].append(Image(name, member.stamp, member.place))
        else:
            others.append(name)
    if others and any(images.values()):
        said = counted_names(others, "image is", "images are")
        raise DatasetError(
            f"{tar} is not {spec.title}: {said} in no folder of a class; pack it again "
            "without"
        )
    if any(images.values()):
        for found in images.values():
            found.sort(key=lambda image: image.name)
        return Listing(tar, "in class folders of the tar", images)
    bare = [Image(PurePath(m.name).name, m.stamp, m.place) for m in members]
    loose = [image for image in bare if VALIDATION_IMAGE.fullmatch(image.name)]
    # Whether it is a tar was said before it is asked for labels.
    return _listing(spec, tar, "in the tar", loose, data)


def _in_class(name: str, classes: Container[str]) -> tuple[str, str]:
    """Find the class of an image in a tar, which may have folders above it."""
    parts = PurePath(name).parts
    for place, part in enumerate(parts[:-1]):
        if part in classes:
            return "/".join(parts[place:]), part
    return name, ""


def _tar_members(tar: Path) -> Iterator[Image]:
    """Find the images of a tar and where their bytes begin."""
    try:
        whole = stamp_of(tar.stat())
        with tarfile.open(tar, "r:") as archive:
            for entry in archive:
                if entry.isreg() and entry.name.lower().endswith(IMAGE_SUFFIXES):
                    place = Member(tar, entry.name, entry.offset_data, entry.size)
                    yield Image(entry.name, _stamp_inside(whole, place), place)
            _check_end(tar, archive.offset)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DatasetError(
            f"{tar} ({tar.stat().st_size:,} bytes) is cut off or no plain tar: "
            f"{error}. Download it again; it must not be compressed"
        ) from error


def _stamp_inside(tar: Stamp, member: Member) -> Stamp:
    return Stamp(member.size, tar.modified, tar.changed, tar.inode, member.offset)


def _check_end(tar: Path, offset: int) -> None:
    """Refuse a tar whose last member, or the mark of the end, is not all there."""
    size = tar.stat().st_size
    if offset >= size:
        raise tarfile.ReadError(f"its last file ends at byte {offset:,}")


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


def _images(folder: Path, prefix: str) -> list[Image]:
    """List the images below a class folder with their sizes in bytes."""
    found: list[Image] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                name = f"{prefix}/{entry.name}"
                if entry.is_dir():
                    found += _images(folder / entry.name, name)
                elif entry.name.lower().endswith(IMAGE_SUFFIXES):
                    found.append(Image(name, stamp_of(entry.stat())))
    except OSError as error:
        raise _unreadable(error, folder) from error
    return found


def _unreadable(error: OSError, folder: Path) -> DatasetError:
    return DatasetError(
        f"{error.filename or folder} cannot be read: {error.strerror}. Make it "
        "readable, or remove it if it does not belong there"
    )
