"""Hatchling's hook: the images of the embedded release go into the wheel as one tar.

Each start of pytest pays for every file of an installed plugin: it goes through all of
them to find the modules whose assertions it rewrites.
"""

from __future__ import annotations

import tarfile
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

#: Below the root of the repository, and left out of the wheel.
IMAGES = "repro/embedded/val"


class PackImages(BuildHookInterface[Any]):
    """Packs them, alike in every build."""

    _folder: tempfile.TemporaryDirectory[str] | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the tar to what the wheel takes from elsewhere."""
        images = Path(self.root, IMAGES)
        if version == "editable":  # the clone has them as they are
            return
        self._folder = tempfile.TemporaryDirectory()
        tar = Path(self._folder.name, "val.tar")
        with tarfile.open(tar, "w", format=tarfile.USTAR_FORMAT) as archive:
            for file in sorted(images.rglob("*.jpg")):
                name = file.relative_to(images).as_posix()
                archive.add(file, name, filter=_without_owner)
        build_data["force_include"][str(tar)] = f"{IMAGES}.tar"

    def finalize(
        self, version: str, build_data: dict[str, Any], artifact_path: str
    ) -> None:
        """Remove what was packed."""
        if self._folder:
            self._folder.cleanup()


def _without_owner(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o644
    return entry
