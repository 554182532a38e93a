"""Images in a tar, read where they are in it."""

from __future__ import annotations

import tarfile
from collections.abc import Container, Iterator
from pathlib import Path, PurePath

from repro.data.listing import (
    IMAGE_SUFFIXES,
    Image,
    Listing,
    Reader,
    is_named_so,
)
from repro.data.places import Member
from repro.errors import DatasetError
from repro.files import UNREADABLE, Stamp, stamp_of
from repro.published import DatasetSpec
from repro.words import counted_names


class PackedReader(Reader):
    """`<class>/<image>` in a tar that stands in the place of the folder."""

    def find(self, spec: DatasetSpec, data: Path) -> Path | None:
        """Find the tar; a folder that is there too comes first."""
        root = data / spec.folder
        packed = root.with_name(f"{root.name}.tar")
        return packed if packed.is_file() and not root.is_dir() else None

    def list(self, spec: DatasetSpec, root: Path, data: Path) -> Listing:
        """List its members by their folders."""
        images: dict[str, list[Image]] = {name: [] for name in spec.classes}
        others: list[str] = []
        for member in tar_members(root):
            name, class_ = _in_class(member.name, images)
            if class_:
                images[class_].append(Image(name, member.stamp, member.place))
            else:
                others.append(name)
        if others:
            said = counted_names(others, "image is", "images are")
            raise DatasetError(
                f"{root} is not {spec.title}: {said} in no folder of a class; pack it "
                "again without"
            )
        for found in images.values():
            found.sort(key=lambda image: image.name)
        return Listing(root, "in class folders of the tar", images)


def _in_class(name: str, classes: Container[str]) -> tuple[str, str]:
    """Find the class of an image in a tar, which may have folders above it."""
    parts = PurePath(name).parts
    for place, part in enumerate(parts[:-1]):
        if part in classes:
            return "/".join(parts[place:]), part
    return name, ""


def tar_members(
    tar: Path, suffixes: tuple[str, ...] = IMAGE_SUFFIXES
) -> Iterator[Image]:
    """Find the images of a tar, or other files, and where their bytes begin.

    Raises:
        DatasetError: it is compressed, damaged or none.
    """
    try:
        whole = stamp_of(tar.stat())
        with tarfile.open(tar, "r:") as archive:
            for entry in archive:
                if entry.isreg() and is_named_so(PurePath(entry.name).name, suffixes):
                    place = Member(tar, entry.name, entry.offset_data, entry.size)
                    yield Image(entry.name, _stamp_inside(whole, place), place)
            _check_end(tar, archive.offset)
    # Of sparse files tarfile reads more, and takes its numbers on trust.
    except (tarfile.TarError, *UNREADABLE) as error:
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
