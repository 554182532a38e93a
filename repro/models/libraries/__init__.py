"""Loaders: how each library builds an architecture and reads its own weights."""

from __future__ import annotations

from functools import lru_cache

from repro.models.libraries.protocol import Loaded, Loader
from repro.published import LOADERS

__all__ = ["Loaded", "Loader", "find_loader"]


@lru_cache
def find_loader(name: str) -> Loader:
    """Make the loader of a name, once a process.

    Raises:
        ExpectedError: there is none, or its package cannot be imported.
    """
    loader: Loader = LOADERS.load(name)()
    return loader
