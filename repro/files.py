"""Write a file beside its place and rename it into it, so that no half file is seen."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

PART_SUFFIX = ".part"


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
