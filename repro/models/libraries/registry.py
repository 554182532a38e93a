"""Loaders by name."""

from __future__ import annotations

from functools import lru_cache

from repro.errors import ExpectedError
from repro.models.libraries.protocol import Loader
from repro.published import find_entry_point, loader_names


@lru_cache
def find_loader(name: str) -> Loader:
    """Make the loader of a name, once a process.

    Raises:
        ExpectedError: there is none, or its package cannot be imported.
    """
    entry_point = find_entry_point(name)
    if entry_point is None:
        raise ExpectedError(
            f"there is no loader {name!r}; known are {', '.join(loader_names())}"
        )
    try:
        loader: Loader = entry_point.load()()
    except (ImportError, AttributeError) as error:
        raise ExpectedError(
            f"the loader {name!r} ({entry_point.value}) cannot be imported: {error}; "
            "install its package again"
        ) from error
    return loader
