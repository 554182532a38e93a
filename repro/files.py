"""Files that are written as a whole or not at all, and where those of others lie."""

from __future__ import annotations

import contextlib
import os
import re
import tokenize
import uuid
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO, TypeVar

import msgspec

_T = TypeVar("_T")

PART_SUFFIX = ".part"
#: What reading damaged bytes raises: JSON that is no UTF-8 is a ValueError, numpy reads
#: headers as Python, and its archives are zips, of which a version may not be known.
UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    NotImplementedError,
    zlib.error,
)
_SEAL_BYTES = 16
#: Times of files may be as coarse as this: two seconds on some disks.
YOUNG_NANOSECONDS = 2 * 10**9


LEFT_OUT = "it is left out"


#: What begins so was downloaded in the place of a file: what it is, and what to do.
STAND_INS: tuple[tuple[bytes, str], ...] = (
    (rb"version https://git-lfs", "a git-lfs pointer; run 'git lfs pull' where it is"),
    (rb"/annex/objects/", "a git-annex pointer; run 'git annex get' where it is"),
    (
        rb"(?i)\s*(<!doctype html|<html|<head)",
        "a web page; download the file itself, not the page that shows it",
    ),
)


class DamageWarning(UserWarning):
    """Something that was kept is damaged, and is made again or left out."""


def file_shipped_with(package: str, path: str) -> Path | None:
    """Find a file of another package without importing it; None if it has none."""
    spec = find_spec(package)
    for folder in (spec and spec.submodule_search_locations) or ():
        if (file := Path(folder, path)).is_file():
            return file
    return None


def at_home(path: str | Path) -> Path:
    """Put a home folder in place of `~`; what is nobody's stays, as in a shell."""
    return Path(os.path.expanduser(path))  # noqa: PTH111


def is_there(path: Path) -> bool:
    """Tell whether something is there; `Path.exists` of Python 3.14 never says why not.

    Raises:
        OSError: it cannot be told, as below a folder that is not ours to read.
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    return True


@contextlib.contextmanager
def replacing(file: Path) -> Iterator[BinaryIO]:
    """Open what takes the place of `file` when the block ends without an exception.

    A process that is killed leaves a file `NAME.*.part` behind, never half of `file`.

    Raises:
        OSError: the folder cannot be written, or the disk is full.
    """
    # Beside the file: a rename is whole on one file system only. With a name of its
    # own: two processes may write the same file.
    part = file.with_name(f"{file.name}.{uuid.uuid4().hex[:12]}{PART_SUFFIX}")
    try:
        with part.open("wb") as stream:
            yield stream
        part.replace(file)
    except BaseException as error:
        part.unlink(missing_ok=True)
        # Nobody has heard of the other one.
        if isinstance(error, OSError) and error.filename in (part, str(part)):
            error.filename = str(file)
        raise


def replace_bytes(file: Path, content: bytes) -> None:
    """Write a small file as a whole.

    Raises:
        OSError: the folder cannot be written, or the disk is full.
    """
    with replacing(file) as stream:
        stream.write(content)


def decode_json(content: bytes | str, kind: type[_T]) -> _T:
    """Read JSON that somebody may have damaged, or made to harm.

    Raises:
        ValueError: it is none, or of another kind, or nested too deeply.
    """
    try:
        return msgspec.json.decode(content, type=kind)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def sealed(content: bytes) -> bytes:
    """Put a checksum behind bytes: XXH3 is there against damage, not against people."""
    import xxhash

    return content + xxhash.xxh3_128_digest(content)


def keep(file: Path, content: bytes) -> None:
    """Keep bytes for later runs; where nothing can be written, they are made again."""
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_bytes(file, sealed(content))


def kept(file: Path) -> bytes | None:
    """Read what was kept; None where it is not there, with a warning if damaged."""
    try:
        whole = file.read_bytes()
    except OSError:
        return None
    content = whole[:-_SEAL_BYTES]
    if sealed(content) == whole:
        return content
    warn_of_damage(f"{file} is not as it was written")
    return None


@contextlib.contextmanager
def made_once(file: Path | None) -> Iterator[None]:
    """Let the processes of a machine make what is kept in a file one after the other.

    The second finds what the first has kept. Where no lock can be had, each makes it.
    """
    from filelock import FileLock

    with contextlib.ExitStack() as held:
        if file is not None:
            with contextlib.suppress(OSError, NotImplementedError):
                file.parent.mkdir(parents=True, exist_ok=True)
                held.enter_context(FileLock(file.with_suffix(".lock")))
        yield


def warn_of_damage(fault: str, then: str = "it is made again") -> None:
    """Say that something kept is damaged, and what is done then."""
    from repro.words import brief, visible

    said = brief(visible(f"{fault}; {then}"))
    warnings.warn(said, DamageWarning, stacklevel=2)


class Stamp(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What changes when a file is written to: bytes, times in nanoseconds, inode.

    Of an image inside an archive it is the archive's, with the image's own bytes and
    the `offset` at which they begin.
    """

    size: int
    modified: int
    changed: int
    inode: int
    offset: int = 0

    def is_young(self, moment: int) -> bool:
        """Whether a file could have been written to after `moment` without another one.

        Times of files are coarse, so that a second change can leave those of the first.
        """
        return max(self.modified, self.changed) >= moment - YOUNG_NANOSECONDS


def stamp_of(status: os.stat_result) -> Stamp:
    """Take the stamp of a file."""
    # Of both times: anybody can set back the first, and nobody the second.
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


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
