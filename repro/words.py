"""Numbers and names as every sentence writes them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

#: Nothing is broken into narrower lines than this.
_NARROWEST = 40


def counted(number: int, one: str, many: str = "") -> str:
    """Write a number with its noun: `1 image`, `1,234 images`."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def listed(names: Sequence[str], most: int = 3) -> str:
    """Write names, of many the first few and how many there are more."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def shortened(text: str, room: int) -> str:
    """Keep the beginning of a text that is too long."""
    return text if len(text) <= room else f"{text[: room - 1].rstrip()}…"


def wrapped(text: str, width: int, indent: str = "  ") -> list[str]:
    """Break a text into lines between its words; a path stays whole, to be copied."""
    return textwrap.wrap(
        text,
        max(width, _NARROWEST),
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def counted_names(names: Sequence[str], one: str, many: str) -> str:
    """Count names and show the first of them: `2 keys are missing (a, b)`.

    Empty for none.
    """
    if not names:
        return ""
    shown = ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
    return f"{counted(len(names), one, many)} ({shown})"


def joined_numbers(values: Iterable[float]) -> str:
    """Write the numbers of colour channels: `0.5`, or `0.48/0.46/0.41`."""
    texts = [f"{value:g}" for value in values]
    return "/".join(texts[:1] if len(set(texts)) == 1 else texts)
