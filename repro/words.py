"""Numbers and names as every sentence writes them."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence

#: Nothing is broken into narrower lines than this.
_NARROWEST = 40
#: What would break a line of text, or is no text; and what stands for that.
_ODD = re.compile(r"[\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


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
    shown = ", ".join(map(_printable, names[:3])) + (" ..." if len(names) > 3 else "")
    return f"{counted(len(names), one, many)} ({shown})"


def spelt(name: str) -> str:
    r"""Write a file name as one line of text: what is no UTF-8 as `\xff`.

    Two names that differ stay so.
    """
    return _ODD.sub(_escape, name)


def _printable(name: str) -> str:
    return name if name.isprintable() else spelt(name)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if match[0] == "\\":
        return r"\\"
    # A byte that is no UTF-8 comes as a surrogate.
    is_byte = code < 0x80 or 0xDC80 <= code <= 0xDCFF
    return f"\\x{code & 0xFF:02x}" if is_byte else f"\\u{code:04x}"


def joined_numbers(values: Iterable[float]) -> str:
    """Write the numbers of colour channels: `0.5`, or `0.48/0.46/0.41`."""
    texts = [f"{value:g}" for value in values]
    return "/".join(texts[:1] if len(set(texts)) == 1 else texts)
