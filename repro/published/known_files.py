"""Files that are known: sums of weights, and which images a dataset consists of.

The TOML file `checksums.toml` keeps size and SHA-256 of the files of a release.

Published sets name their files in a way that tells each image from all others:
`ILSVRC2012_val_00000293.JPEG`, or forty hexadecimal digits. A list says which of them
are of which class, as a digest of each name: enough to see that an image is of another
class or of another set, in a tenth of the size.

| line | what it is |
|---|---|
| `title`, `source` | what the set is called, and where its files are listed |
| `form` | regular expression of what its names look like, without suffix |
| `<class> <digests>` | four characters for each image, one after the other |
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated

import msgspec

from repro.errors import ExpectedError
from repro.published.files import Located, convert, load_toml
from repro.published.vocabulary import (
    SHA256,
    NamedTable,
    anchored,
    check_path_name,
    check_weights_name,
    stated,
)

LISTS = Path(__file__).parent / "lists"
SHIPPED = "repro:"
#: Bytes of a digest: a name of another set has one of 50,000 in three cases of a
#: thousand, so of a few wrong images most are told.
DIGEST = 3

# As some scripts that sort the validation images name them.
_CLASS_BEHIND = re.compile(r"(?<=\d{8})_n\d{8}$")


class FileList(msgspec.Struct, frozen=True, dict=True):
    """The files of a dataset: for each class the digests of their names.

    `form` is a regular expression of the names that the list speaks of.
    """

    title: str
    source: str
    form: str
    classes: tuple[str, ...]
    digests: tuple[str, ...]

    def speaks_of(self, name: str) -> bool:
        """Whether a file has a name such as those of the set."""
        return bool(self._pattern.fullmatch(stem(name)))

    def classes_of(self, name: str) -> tuple[str, ...]:
        """Give the classes that a file may be of: none, or nearly always one."""
        return self._by_digest.get(_digest(name), ())

    def misfits(self, names: Iterable[str]) -> list[str]:
        """List which of `<class>/<image>` it knows to be of another class or set."""
        found = self._by_digest
        return [
            name
            for name in names
            if name.partition("/")[0] not in found.get(_digest(name), ())
            and self.speaks_of(name)
        ]

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(self.form)

    @cached_property
    def _by_digest(self) -> dict[bytes, tuple[str, ...]]:
        found: dict[bytes, tuple[str, ...]] = {}
        for class_, digests in zip(self.classes, self.digests, strict=True):
            content = base64.urlsafe_b64decode(digests)
            for start in range(0, len(content), DIGEST):
                digest = content[start : start + DIGEST]
                found[digest] = (*found.get(digest, ()), class_)
        return found


def stem(name: str) -> str:
    """Give what identifies a file: its name without folder, suffix and class."""
    found = name.rpartition("/")[2].rpartition(".")[0]
    return _CLASS_BEHIND.sub("", found) if "_n" in found else found


def _digest(name: str) -> bytes:
    """Digest what identifies a file into 24 bits, which base64 writes as 4 characters.

    A surrogate stands for a byte of a file name that is no UTF-8.
    """
    return hashlib.sha256(stem(name).encode(errors="surrogateescape")).digest()[:DIGEST]


def make_list(
    title: str, source: str, form: str, images: Iterable[tuple[str, str]]
) -> FileList:
    """Make a list of pairs of a class and a file name."""
    digests: dict[str, list[bytes]] = defaultdict(list)
    for class_, name in images:
        digests[class_].append(_digest(name))
    return FileList(
        title=title,
        source=source,
        form=form,
        classes=tuple(digests),
        digests=tuple(
            base64.urlsafe_b64encode(b"".join(sorted(found))).decode()
            for found in digests.values()
        ),
    )


def list_text(files: FileList) -> str:
    """Write a list as it is shipped."""
    head = f"title {files.title}\nsource {files.source}\nform {files.form}\n"
    rows = zip(files.classes, files.digests, strict=True)
    return head + "".join(f"{class_} {digests}\n" for class_, digests in rows)


def shipped_names() -> list[str]:
    """List the names of the lists that are shipped."""
    return sorted(file.stem for file in LISTS.glob("*.txt"))


@lru_cache
def shipped_list(name: str) -> FileList:
    """Read a list that is shipped."""
    lines = (LISTS / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    rows = [line.split(" ", 1) for line in lines]
    head, rows = dict(rows[:3]), rows[3:]
    return FileList(
        **head,
        classes=tuple(class_ for class_, _ in rows),
        digests=tuple(digests for _, digests in rows),
    )


def plain_list(text: str, title: str, source: str) -> FileList:
    """Read lines `<class>/<image>`, as somebody writes them for an own dataset.

    Raises:
        ValueError: a line is something else.
    """
    lines = [line.strip() for line in text.splitlines()]
    images = [line.partition("/")[::2] for line in lines if line]
    if wrong := [line for line in lines if line and not all(line.partition("/"))]:
        raise ValueError(f"its line {wrong[0][:60]!r} is not <class>/<image>")
    if not images:
        raise ValueError("it holds no line <class>/<image>")
    return make_list(title, source, ".*", images)


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
