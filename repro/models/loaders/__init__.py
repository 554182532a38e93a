"""Loaders: how each library builds an architecture and reads its own weights."""

from repro.models.loaders.protocol import Loader
from repro.models.loaders.registry import find_loader

__all__ = ["Loader", "find_loader"]
