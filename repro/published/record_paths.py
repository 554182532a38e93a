"""Where what is seen for the first time is written down, to be checked ever after."""

from __future__ import annotations

import os
from pathlib import Path

from repro.published.files import RELEASE_FILE
from repro.published.release import Release

_INSTALLED = {"site-packages", "dist-packages"}


def place_beside(release: Release, name: str) -> Path | None:
    """Give the file of that name beside `release.toml`; None without such a folder."""
    folder = release.location
    return folder / name if (folder / RELEASE_FILE).is_file() else None


def place_of_user(release: Release, kind: str, name: str) -> Path:
    """Give the file of that name in the user's data folder: `kind/release/name`."""
    import platformdirs

    folder = platformdirs.user_data_path("repro", appauthor=False)
    return folder / kind / release.id / name


def place_to_record(release: Release, kind: str, name: str) -> Path:
    """Choose where to write: beside the release where it can be changed.

    There it is under version control with the published numbers. Where the release is
    installed, cannot be written or is one file among others, it is the user's data
    folder, which no upgrade replaces.
    """
    beside = place_beside(release, name)
    installed = bool(_INSTALLED & set(release.location.resolve().parts))
    if beside and not installed and os.access(release.location, os.W_OK):
        return beside
    return place_of_user(release, kind, name)
