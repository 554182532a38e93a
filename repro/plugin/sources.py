"""Whether the tests that pytest is going to collect use the marker, by their text."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest


def mention_marker(config: pytest.Config) -> bool:
    """Whether a file among the tests mentions the marker `repro`.

    Workers are counted before anything is collected: there is nothing else to go by.
    """
    return any(b"mark.repro" in file.read_bytes() for file in _files(config))


def _files(config: pytest.Config) -> Iterator[Path]:
    """Find the files that pytest would collect tests from."""
    patterns = config.getini("python_files")
    left_out = config.getini("norecursedirs")
    for argument in config.args:
        place = Path(argument.partition("::")[0])
        if place.is_file():
            yield place
        for folder, below, names in os.walk(place):
            below[:] = [
                name for name in below if not any(fnmatch(name, p) for p in left_out)
            ]
            for name in names:
                if any(fnmatch(name, pattern) for pattern in patterns):
                    yield Path(folder, name)
