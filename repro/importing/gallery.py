"""The releases of others that are shipped with repro, as first files of one's own."""

from __future__ import annotations

from pathlib import Path

from repro.errors import OptionError
from repro.published import RELEASE_FILE, Release


def gallery_folder(shipped: Path, name: str) -> Path:
    """Find a release of the gallery.

    Raises:
        OptionError: there is none of that name; the message lists those there are.
    """
    gallery = shipped / "gallery"
    known = sorted(file.parent.name for file in gallery.glob(f"*/{RELEASE_FILE}"))
    if name not in known:
        raise OptionError(
            f"--gallery is {name!r:.80}; there are {', '.join(known) or 'none'}"
        )
    return gallery / name


def gallery_files(folder: Path) -> dict[str, bytes]:
    """Give the files of a release by their names."""
    return {
        file.name: file.read_bytes()
        for file in sorted(folder.iterdir())
        if file.is_file()
    }


def code_commands(release: Release) -> list[str]:
    """List the commands that bring the code which is not beside the numbers."""
    lacking = (
        model.code_command(release.location)
        for model in release.models.values()
        if model.code_url and not (release.location / model.code).exists()
    )
    return list(dict.fromkeys(lacking))
