"""Where the bytes of an image are: a file of its own, or a part of an archive."""

from __future__ import annotations

import io
from pathlib import Path

import msgspec


class Member(msgspec.Struct, frozen=True):
    """An image inside an uncompressed archive: `size` bytes from `offset` on."""

    archive: Path
    name: str
    offset: int
    size: int

    def __str__(self) -> str:
        return f"{self.archive}:{self.name}"


#: What an image is read from.
Place = Path | Member


def openable(place: Place) -> Path | io.BytesIO:
    """Give what Pillow can open.

    Raises:
        OSError: an archive cannot be read.
    """
    return place if isinstance(place, Path) else io.BytesIO(read_bytes(place))


def read_bytes(place: Place) -> bytes:
    """Read all bytes of an image.

    Raises:
        OSError: the file cannot be read.
    """
    if isinstance(place, Path):
        return place.read_bytes()
    with place.archive.open("rb", buffering=0) as stream:
        stream.seek(place.offset)
        return stream.read(place.size)


def size_of(place: Place) -> int:
    """Tell how many bytes an image has."""
    return place.stat().st_size if isinstance(place, Path) else place.size
