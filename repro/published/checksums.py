"""Size and SHA-256 of the files of a release, and the TOML file that keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec

from repro.errors import ExpectedError
from repro.published.files import load_toml
from repro.published.located import Located, convert
from repro.published.vocabulary import (
    SHA256,
    NamedTable,
    anchored,
    check_path_name,
    check_weights_name,
    stated,
)

CHECKSUMS_FILE = "checksums.toml"

_HEADER = """\
# Size in bytes and SHA-256 of weights files. `repro fetch` and `repro verify --record`
# add the files that they see for the first time; from then on a file with another sum
# is refused. To trust another file, remove its entry.
"""


class Checksum(NamedTable, frozen=True):
    """What a weights file `family/name.suffix` must be: size in bytes and SHA-256.

    `origin` says where the sum comes from.
    """

    size: Annotated[int, stated(minimum=0)]
    sha256: Annotated[str, stated(pattern=anchored(SHA256))]
    origin: str = ""

    def __post_init__(self) -> None:
        """Refuse what is no file of a family and no sum."""
        check_path_name(self.id)
        family, _, name = self.id.rpartition("/")
        if not family:
            raise ValueError(f"the name {self.id!r} must be FAMILY/FILE, with a slash")
        check_weights_name("the name", name)
        if self.size < 0:
            raise ValueError(f"size is {self.size}; it must be 0 or more bytes")
        if not SHA256.fullmatch(self.sha256):
            raise ValueError("sha256 must be 64 hexadecimal digits in lower case")
        if not self.origin.isprintable():
            raise ValueError("origin must be one line without control characters")

    @property
    def family(self) -> str:
        """The family that the file belongs to."""
        return self.id.rpartition("/")[0]


def read_checksums(file: Path) -> dict[str, Checksum]:
    """Read a file of checksums alone; it may not exist yet.

    Raises:
        ExpectedError: it holds something else or cannot be read.
    """
    if not file.exists():
        return {}
    content = load_toml(file)
    entries = content.pop("checksum", {})
    if set(content) - {"schema"} or not isinstance(entries, dict):
        raise ExpectedError(
            f'{file} must hold tables [checksum."FAMILY/FILE"] and nothing else'
        )
    return {
        name: convert(Located(file, f"checksum.{name}", entry), Checksum, id=name)
        for name, entry in entries.items()
    }


def checksums_text(checksums: Mapping[str, Checksum]) -> str:
    """Write checksums as TOML, sorted by name."""
    tables = [
        f'\n[checksum."{name}"]\nsize = {entry.size}\nsha256 = "{entry.sha256}"\n'
        + (f"origin = {_quoted(entry.origin)}\n" if entry.origin else "")
        for name, entry in sorted(checksums.items())
    ]
    return _HEADER + "".join(tables)


def _quoted(text: str) -> str:
    # A JSON string without control characters is a basic string of TOML.
    return msgspec.json.encode(text).decode()
