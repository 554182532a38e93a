"""The images of a dataset that is there, with their labels, and how folders are listed.

Whatever the way in which they lie (`readers.py`), an image is named `<class>/<image>`.
Its bytes are a file of its own or a part of an archive, its place: whoever decodes an
image or takes its sum reads it there, and nowhere else.
"""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import msgspec
import xxhash

from repro.errors import DatasetError
from repro.files import Stamp, is_there, stamp_of
from repro.published import DatasetSpec
from repro.words import spelt


class ImagePlace(Protocol):
    """Where an image is that has no file of its own; `str` of it names it."""

    def read(self) -> bytes:
        """Read its bytes, which Pillow decodes; OSError where that fails."""


class Member(msgspec.Struct, frozen=True):
    """An image inside an uncompressed archive: `size` bytes from `offset` on."""

    archive: Path
    name: str
    offset: int
    size: int

    def __str__(self) -> str:
        return f"{self.archive}:{self.name}"

    def read(self) -> bytes:
        """Read its bytes, whatever other threads read meanwhile."""
        with self.archive.open("rb", buffering=0) as stream:
            return os.pread(stream.fileno(), self.size, self.offset)


#: The size of an image that is known only when it is read.
UNKNOWN_SIZE = -1


#: What an image is read from.
ImageLocation = str | Path | ImagePlace


def digest_of(content: bytes) -> str:
    """Give what tells an image from every other: the XXH3-128 of its bytes.

    Its 128 bits are there against mistakes, not against people who forge images. Of a
    photograph of 88 kB it takes 5 microseconds of a core, SHA-256 74 where the core has
    instructions for it; decoding and resizing took 5,100 in the same run.
    """
    return xxhash.xxh3_128_hexdigest(content)


def read_image(place: ImageLocation, digest: str | None = None) -> bytes:
    """Read all bytes of an image.

    Args:
        place: where they are.
        digest: what they have to be, unless that is about to be found out.

    Raises:
        DatasetError: the file is missing or cannot be read, or holds other bytes now.
    """
    try:
        content = _read(place)
    except FileNotFoundError as error:
        raise DatasetError(f"{place} is missing. Restore the original file") from error
    except OSError as error:
        raise DatasetError(
            f"{place} cannot be read: {error.strerror or error}. Replace it with "
            "the original file"
        ) from error
    if digest is not None and digest_of(content) != digest:
        raise DatasetError(
            f"{place} has changed since its dataset was indexed: it holds other bytes "
            "now. Leave the images alone while they are evaluated, and run again"
        )
    return content


def _read(place: ImageLocation) -> bytes:
    if not isinstance(place, str | Path):
        return place.read()
    with open(place, "rb", buffering=0) as stream:  # noqa: PTH123 - twice as fast
        return stream.read()


# Those of torchvision's ImageFolder, and two by which JPEGs and small sets go too.
_SUFFIXES = ("jpg", "jpeg", "png", "ppm", "bmp", "pgm", "tif", "tiff", "webp")
IMAGE_SUFFIXES = tuple(f".{suffix}" for suffix in (*_SUFFIXES, "jfif", "gif"))
#: macOS keeps what a disk of another system cannot hold of `x.png` in `._x.png`.
_BESIDE_A_FILE = "._"


class Image(msgspec.Struct, frozen=True, gc=False):
    """An image: its name `<class>/<image>`, the stamp of its file, and where it is.

    Without a place it lies below the root of its listing under its name.
    """

    name: str
    stamp: Stamp
    place: ImageLocation | None = None

    @property
    def size(self) -> int:
        """Its bytes."""
        return self.stamp.size


class Listing(msgspec.Struct, frozen=True):
    """The images of each class of a dataset that is there, sorted by name.

    `layout` says in words how they lie at `root`, and `assumed` what was concluded to
    tell their classes; `unlabelled` are names of images whose class nothing tells.
    `may_lack` says what cannot be known to be there, where images are missing.
    """

    root: Path
    layout: str
    images: dict[str, list[Image]]
    assumed: tuple[str, ...] = ()
    unlabelled: tuple[str, ...] = ()
    may_lack: str = ""

    def all(self) -> Iterator[Image]:
        """Yield the images of all classes."""
        return itertools.chain.from_iterable(self.images.values())

    def sizes(self) -> dict[str, int]:
        """Give the bytes of each image by its name."""
        return {image.name: image.size for image in self.all()}


class Reader(Protocol):
    """A way in which the images of a dataset can lie.

    A class that names this one as its base has to define `find` and `list` only.
    """

    def find(self, spec: DatasetSpec, data: Path) -> Path | None:
        """Find where the images lie; None where they do not lie in this way.

        Args:
            spec: the dataset.
            data: the folder that holds `spec.folder`, or the images themselves.
        """

    def list(self, spec: DatasetSpec, root: Path, data: Path) -> Listing:
        """List the images, without reading them.

        Args:
            spec: the dataset.
            root: where `find` has found it.
            data: what was named by the user.

        Raises:
            DatasetError: it cannot be read, or labels are needed and not there.
        """

    def refusal(
        self, spec: DatasetSpec, root: Path, known: Sequence[DatasetSpec], *, part: bool
    ) -> str:
        """Say why it need not even be listed; empty if nothing is known.

        Args:
            spec: what the dataset has to be.
            root: where it lies.
            known: other datasets, one of which this may be.
            part: whether a part of it is enough.
        """
        return ""

    def faults(self, spec: DatasetSpec, listing: Listing) -> Iterable[str]:
        """Yield what is wrong with how images lie in this way, a sentence each."""
        return ()

    def labels(
        self, spec: DatasetSpec, root: Path
    ) -> tuple[Sequence[str], Sequence[str]] | None:
        """Give each label once, and what the files call labels, in their order.

        None, the default, where images are found by the classes that they may have.
        """
        return None


def place_in(root: Path, image: Image) -> ImageLocation:
    """Give where an image of a listing is."""
    return f"{root}/{image.name}" if image.place is None else image.place


def by_class(
    spec: DatasetSpec, images: Iterable[tuple[str, Image]]
) -> dict[str, list[Image]]:
    """Sort images, each of which comes with its class, by class and by name."""
    found: dict[str, list[Image]] = {name: [] for name in spec.classes}
    for class_, image in images:
        found[class_].append(image)
    for members in found.values():
        members.sort(key=lambda image: image.name)
    return found


def class_folders(spec: DatasetSpec, folder: Path) -> set[str]:
    """Give the names of the classes of a dataset that have a folder here."""
    return set(spec.classes) & set(subfolders(folder))


def image_names(root: Path, classes: Iterable[str]) -> list[str]:
    """List the names of the images in some class folders."""
    return [image.name for name in classes for image in images_below(root / name, name)]


def subfolders(root: Path) -> list[str]:
    """List the names of the folders in a folder, sorted; none in a tar or flat folder.

    What systems and notebooks leave in any folder is none of them.

    Raises:
        DatasetError: it cannot be read.
    """
    return _entries(root, lambda e: e.is_dir() and not _is_left_behind(e.name))


def _is_left_behind(name: str) -> bool:
    """Whether a folder is of a system or a notebook: `.ipynb_checkpoints`, say."""
    return name.startswith(".") or name in {"__MACOSX", "@eaDir"}


def is_named_so(name: str, suffixes: tuple[str, ...] = IMAGE_SUFFIXES) -> bool:
    """Whether a file has a suffix, and is not what macOS keeps beside one that has."""
    return name.lower().endswith(suffixes) and not name.startswith(_BESIDE_A_FILE)


def image_files(folder: Path) -> list[str]:
    """List the names of all images right in a folder, sorted.

    Raises:
        DatasetError: it cannot be read.
    """
    return _entries(folder, lambda e: is_named_so(e.name) and e.is_file())


def _entries(folder: Path, is_wanted: Callable[[os.DirEntry[str]], bool]) -> list[str]:
    """List the names of what is wanted in a folder, sorted."""
    try:
        # The listing itself tells what is a folder: the disk need not be asked for each
        # of 50,000 images.
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if is_wanted(entry))
    except OSError as error:
        raise unreadable(error, folder) from error


def images_below(
    folder: Path,
    prefix: str,
    above: tuple[os.stat_result, ...] = (),
    *,
    placed: bool = False,
) -> list[Image]:
    """List the images below a class folder with their sizes in bytes.

    Args:
        folder: where they lie.
        prefix: of their names.
        above: the folders above it that were listed to get here.
        placed: whether each says where it is, since its name does not.

    Raises:
        DatasetError: it cannot be read, or a link in it leads nowhere or in a circle.
    """
    found: list[Image] = []
    try:
        above = (*above, os.stat(folder))  # noqa: PTH116
        with os.scandir(folder) as entries:
            for entry in entries:
                name = f"{prefix}/{entry.name}"
                if entry.is_dir():
                    if _is_left_behind(entry.name):
                        continue
                    if entry.is_symlink():
                        _check_leads_on(entry, above)
                    found += images_below(Path(entry.path), name, above, placed=placed)
                elif is_named_so(entry.name):
                    found.append(image_of(name, entry.stat(), entry.path, placed))
                elif entry.is_symlink():
                    entry.stat()
    except OSError as error:
        raise unreadable(error, folder) from error
    return found


def image_of(
    name: str, status: os.stat_result, path: str, placed: bool = True
) -> Image:
    """Make the image of a file; a name that is no line of text is spelt as one."""
    if not name.isprintable() or "\\" in name:
        return Image(spelt(name), stamp_of(status), path)
    return Image(name, stamp_of(status), path if placed else None)


def _check_leads_on(entry: os.DirEntry[str], above: tuple[os.stat_result, ...]) -> None:
    """Refuse a link to a folder that it lies in.

    Raises:
        OSError: it is one.
    """
    if any(os.path.samestat(entry.stat(), one) for one in above):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), entry.path)


def unreadable(error: OSError, folder: Path) -> DatasetError:
    """Say that a folder, or something in it, cannot be read."""
    path = Path(error.filename or folder)
    if error.errno in (errno.ENOENT, errno.ELOOP) and path.is_symlink():
        return DatasetError(dead_link(path))
    return DatasetError(
        f"{path} cannot be read: {error.strerror}. Make it "
        "readable, or remove it if it does not belong there"
    )


def dead_link(path: Path) -> str:
    """Say that a link leads nowhere, or in a circle."""
    try:
        is_circle = is_there(path)
    except OSError as error:
        is_circle = error.errno == errno.ELOOP
    leads = "from where it leads in a circle" if is_circle else "which is not there"
    what = "remove it" if is_circle else "restore that, or remove the link"
    return f"{path} is a link to {path.readlink()}, {leads}; {what}"
