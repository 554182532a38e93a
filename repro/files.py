"""Files that are written as a whole or not at all, and where those of others lie."""

from __future__ import annotations

import contextlib
import re
import tokenize
import uuid
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

PART_SUFFIX = ".part"
#: What reading damaged bytes raises: JSON that is no UTF-8 is a ValueError, numpy reads
#: headers as Python, and its archives are zips.
UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
_SEAL_BYTES = 16


class DamageWarning(UserWarning):
    """Something that was kept was damaged, and is made again."""


def file_shipped_with(package: str, path: str) -> Path | None:
    """Find a file of another package without importing it; None if it has none."""
    spec = find_spec(package)
    for folder in (spec and spec.submodule_search_locations) or ():
        if (file := Path(folder, path)).is_file():
            return file
    return None


@contextlib.contextmanager
def replacing(file: Path) -> Iterator[BinaryIO]:
    """Open what takes the place of `file` when the block ends without an exception.

    A process that is killed leaves a file `NAME.*.part` behind, never half of `file`.

    Raises:
        OSError: the folder cannot be written, or the disk is full.
    """
    part = file.with_name(f"{file.name}.{uuid.uuid4().hex[:12]}{PART_SUFFIX}")
    try:
        with part.open("wb") as stream:
            yield stream
        part.replace(file)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def replace_bytes(file: Path, content: bytes) -> None:
    """Write a small file as a whole.

    Raises:
        OSError: the folder cannot be written, or the disk is full.
    """
    with replacing(file) as stream:
        stream.write(content)


def sealed(content: bytes) -> bytes:
    """Put a checksum behind bytes: XXH3 is there against damage, not against people."""
    import xxhash

    return content + xxhash.xxh3_128_digest(content)


def read_sealed(file: Path) -> bytes | None:
    """Read what was `sealed`; None, with a warning, where that is not what is there.

    Raises:
        OSError: it cannot be read.
    """
    whole = file.read_bytes()
    content = whole[:-_SEAL_BYTES]
    if sealed(content) == whole:
        return content
    warn_of_damage(f"{file} is not as it was written")
    return None


def warn_of_damage(fault: str) -> None:
    """Say that something kept is damaged, and that nothing is lost by that."""
    from repro.words import brief, visible

    said = brief(visible(f"{fault}; it is made again"))
    warnings.warn(said, DamageWarning, stacklevel=2)


def parse_size(text: str) -> int:
    """Read a number of bytes: `500M`, `20G`, `1.5T`, each unit a thousand of the last.

    Raises:
        ValueError: it is none; the message says what is allowed.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", text.strip(), re.IGNORECASE)
    if match is None:
        raise ValueError("must be a size such as 500M, 20G or 1.5T")
    return round(float(match[1]) * 1000.0 ** " KMGT".index(match[2].upper() or " "))


def shown_size(size: int) -> str:
    """Write a number of bytes for people: `7.5 GB`."""
    for unit, name in ((10**12, "TB"), (10**9, "GB"), (10**6, "MB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size / 1000:.1f} kB"
