"""Small releases, weights files and zips to fetch."""

from __future__ import annotations

import io
import random
import zipfile
from pathlib import Path
from typing import Any

from repro.fetching import Progress
from repro.fetching.family import Fetched, fetch_family
from repro.fetching.transfer import Patience
from repro.published import Checksum, Release, read_checksums, read_releases
from tests import releases
from tests.releases import release_toml, write_release

HURRIED = Patience(attempts=4, wait=0.01, longest_wait=0.05, silence=10.0)
FAMILY = "supervised/real"


def weights(seed: int, size: int = 200_000) -> bytes:
    """Make what has the outside of a weights file saved by torch."""
    content = random.Random(seed).randbytes(size)
    return zipped({"archive/data.pkl": b"\x80\x02}.", "archive/data/0": content})


def zipped(entries: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """Make a zip of some files; a name that ends with / is a folder."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return stream.getvalue()


class Lines:
    """A progress that remembers what it was told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.began: list[tuple[str, int, int | None]] = []
        self.bytes = 0

    def begin(self, what: str, done: int, total: int | None) -> None:
        self.began.append((what, done, total))

    def advance(self, count: int) -> None:
        self.bytes += count

    def say(self, message: str) -> None:
        self.said.append(message)


class Released:
    """A release on disk and the checkpoints directory that it is fetched into."""

    def __init__(self, folder: Path, checkpoints: Path) -> None:
        self.folder = folder
        self.checkpoints = checkpoints
        self.progress = Lines()
        folder.mkdir(parents=True, exist_ok=True)

    def link(self, link: str, family: str = FAMILY) -> None:
        """Make the link that of the only family."""
        self.write({family: {"folder": link}})

    def files(self, links: dict[str, str], family: str = FAMILY) -> None:
        """Give each file of the only family a link."""
        self.write({family: {"files": links}})

    def write(self, families: dict[str, dict[str, Any]]) -> None:
        """Write the release with these families."""
        content = release_toml(
            family={name: releases.FAMILY | links for name, links in families.items()}
        )
        write_release(self.folder, content, "release.toml")

    def read(self) -> Release:
        (release,) = read_releases([self.folder])
        return release

    def fetch(
        self,
        family: str = FAMILY,
        only: str | None = None,
        patience: Patience = HURRIED,
        progress: Progress | None = None,
    ) -> Fetched:
        release = self.read()
        return fetch_family(
            release,
            release.families[family],
            self.checkpoints,
            progress or self.progress,
            patience,
            only,
        )

    def installed(self, family: str = FAMILY) -> dict[str, bytes]:
        """Read all that lies in the family's folder."""
        folder = self.checkpoints / family
        files = folder.rglob("*") if folder.is_dir() else ()
        return {str(file.relative_to(folder)): file.read_bytes() for file in files}

    def checksums(self) -> dict[str, Checksum]:
        return read_checksums(self.folder / "checksums.toml")
