"""Loaders: how each library builds an architecture and reads its own weights."""

from repro.models.libraries.protocol import Loader
from repro.models.libraries.registry import find_loader

__all__ = ["Loader", "find_loader"]
