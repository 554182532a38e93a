"""Released folders become a checkpoints directory: links, downloads, archives."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Watches one family being fetched."""

    def begin(self, what: str, done: int, total: int | None) -> None:
        """Start a part of the work: bytes done already, and all, where it is known."""

    def advance(self, count: int) -> None:
        """Add bytes to those done."""

    def say(self, message: str) -> None:
        """Tell the user something in one line."""


class Silent:
    """Watches and says nothing."""

    def begin(self, what: str, done: int, total: int | None) -> None:
        """Say nothing."""

    def advance(self, count: int) -> None:
        """Say nothing."""

    def say(self, message: str) -> None:
        """Say nothing."""
