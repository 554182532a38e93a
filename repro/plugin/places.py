"""Folders that count where none was named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def project(config: pytest.Config) -> Path:
    """Give the folder of the project whose tests run: that of pytest's ini file.

    Without one pytest guesses it from all arguments that are paths, also from the value
    of an option: with images elsewhere it may be the root of the file system.
    """
    is_known = config.inipath is not None or config.getoption("rootdir") is not None
    return config.rootpath if is_known else invoked_in(config)


def invoked_in(config: pytest.Config) -> Path:
    """Give the folder that pytest was started in."""
    return config.invocation_params.dir


def own_expected(config: pytest.Config) -> tuple[Path, ...]:
    """Give the project's published numbers, if there are any."""
    own = project(config) / "expected"
    return (own,) if own.is_dir() else ()


def own_ledger(config: pytest.Config) -> Path:
    """Give the project's ledger."""
    return project(config) / ".repro"


def users_cache(config: pytest.Config) -> Path | None:
    """Give the user's cache folder; None where the user has nowhere to write one."""
    import platformdirs

    folder = platformdirs.user_cache_path("repro", appauthor=False)
    there = next(
        place for place in (folder, *folder.parents) if os.access(place, os.F_OK)
    )
    return folder if there.is_dir() and os.access(there, os.W_OK | os.X_OK) else None
