"""Loaders: how each library builds an architecture and reads its own weights."""

from repro.models.libraries.protocol import Loaded, Loader
from repro.models.libraries.registry import find_loader

__all__ = ["Loaded", "Loader", "find_loader"]
