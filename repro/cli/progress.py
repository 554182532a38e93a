"""Progress bars on the terminal, one for each thing that goes on at once."""

from __future__ import annotations

from typing import Never

from tqdm import tqdm

from repro.words import visible


class Bar:
    """A bar of bytes with rate and time left; where there is no terminal, its lines.

    Args:
        name: what is fetched or checked, at the start of every line.
        position: line of the terminal below the cursor.
    """

    def __init__(self, name: str, position: int = 0) -> None:
        self._name = name
        self._bar: tqdm[Never] = tqdm(
            desc=name,
            unit="B",
            unit_scale=True,
            position=position,
            leave=False,
            disable=None,
            dynamic_ncols=True,
        )

    def begin(self, what: str, done: int, total: int | None) -> None:
        """Start a part of the work: bytes done already, and all, where it is known."""
        if not self._bar.disable:
            self._bar.reset(total)
            self._bar.initial = self._bar.n = done
            self._bar.set_description_str(f"{self._name}: {what}")

    def advance(self, count: int) -> None:
        """Add bytes to those done."""
        self._bar.update(count)

    def say(self, message: str) -> None:
        """Write a line above the bars."""
        self._bar.write(visible(f"{self._name}: {message}"))

    def close(self) -> None:
        """Take the bar from the terminal."""
        self._bar.close()
