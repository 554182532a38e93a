"""Numbers and names as every sentence writes them."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence

#: Nothing is broken into narrower lines than this.
_NARROWEST = 40
#: Characters that a name keeps in a table on any terminal.
_NAME = 8

#: Decimals, unless a published number has more, until an exponent reads better.
_MOST_DIGITS = 6

#: What is spelt otherwise in the name of an image: what breaks a line, or is no text.
_ODD = re.compile(r"[\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
#: The longest message, and what is left of a quoted thing in one that would be longer.
MESSAGE, QUOTED = 500, 80

#: What a terminal obeys instead of showing it: the control characters of ASCII and
#: Latin-1 other than tab and newline, what breaks lines, and what turns the direction.
_OBEYED = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff"
    "\ud800-\udfff]|\r(?!\n)"
)
_QUOTATION = re.compile(rf"(?<!\w)(['\"])(.{{{QUOTED + 1},}}?)(\1)(?!\w)")
_WORD = re.compile(rf"()(\S{{{QUOTED + 1},}})()")
_LIST = re.compile(r"((?:[^\s,]+, ){3})((?:[^\s,]+, ){2,})()")


def counted(number: int, one: str, many: str = "") -> str:
    """Write a number with its noun: `1 image`, `1,234 images`."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def nonzero_text(value: float, digits: int, *, signed: bool = False) -> str:
    """Write a number with so many decimals, or more until its first digit is there.

    A difference that is not zero never looks like it: it may be what a claim or a
    verdict rests on. Where that takes more than six decimals it is written as 4e-9.
    """
    sign = "+" if signed else ""
    if not value:
        return f"{0:.{digits}f}"
    # Of the rounded number: 0.0099999 is 0.01.
    needed = -int(f"{value:.1e}".partition("e")[2])
    if needed > max(digits, _MOST_DIGITS):
        mantissa, _, exponent = f"{value:{sign}.0e}".partition("e")
        return f"{mantissa}e{int(exponent)}"
    return f"{value:{sign}.{max(digits, needed)}f}"


def listed(names: Sequence[str], most: int = 3) -> str:
    """Write names, of many the first few and how many there are more."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def shortened(text: str, room: int) -> str:
    """Keep the beginning of a text that is too long."""
    return text if len(text) <= room else f"{text[: room - 1].rstrip()}…"


def reason(error: BaseException, room: int = 300) -> str:
    """Say in one line, and shortened, what a library said: mostly it said too much."""
    return shortened(" ".join(str(error).split()) or type(error).__name__, room)


def briefly(cases: Sequence[str]) -> list[str]:
    """Write ids of cases without protocol and dataset, where these tell none apart."""
    brief = [case.partition("@")[0] for case in cases]
    return brief if len(set(brief)) == len(set(cases)) else list(cases)


def visible(text: str) -> str:
    r"""Write out what a terminal would obey, such as `\u009b`.

    It is written as JSON and Python write it, so that a JSON text says what it said.
    """
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def brief(text: str) -> str:
    """Cut a message of more than `MESSAGE` characters where that costs least.

    What is quoted is cut first, then words, then lists, the longest first; then what
    stands in the middle, since a message ends with what to do.
    """
    if len(text) > MESSAGE:
        # The patterns are not made for megabytes.
        text = _without_middle(text, 8 * MESSAGE)
    for pattern in (_QUOTATION, _WORD, _LIST):
        while len(text) > MESSAGE and (found := _longest(pattern, text)):
            begins, cut, ends = found.groups()
            short = "…, " if pattern is _LIST else _without_middle(cut, QUOTED)
            text = "".join(
                (text[: found.start()], begins, short, ends, text[found.end() :])
            )
    return _without_middle(text, MESSAGE)


def _longest(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    return max(pattern.finditer(text), key=lambda found: len(found[0]), default=None)


def _without_middle(text: str, most: int) -> str:
    """Keep both ends of a text that is too long, more of its beginning."""
    end = most // 3
    return text if len(text) <= most else f"{text[: most - end - 1]}…{text[-end:]}"


def wrapped(text: str, width: int, indent: str = "  ") -> list[str]:
    """Break a text into lines between its words; a path stays whole, to be copied."""
    return textwrap.wrap(
        text,
        max(width, _NARROWEST),
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def fitted(
    rows: Sequence[Mapping[str, str]],
    columns: Sequence[str],
    dispensable: Iterable[str],
    width: int,
    lay_out: Callable[[Sequence[Mapping[str, str]], Sequence[str]], list[str]],
) -> list[str]:
    """Lay out a table without the columns that a narrow terminal has no room for.

    Ids of cases, in the column `case`, lose what tells nothing before others go. Where
    that is not enough, the first column loses the middle of its names.

    Args:
        rows: cells by the name of their column.
        columns: all there are.
        dispensable: those that it can do without, first to last.
        width: of the terminal, in characters.
        lay_out: gives the lines of a table of rows and columns.
    """
    lines = lay_out(rows, columns)
    if max(map(len, lines)) > width and "case" in columns:
        names = briefly([row["case"] for row in rows])
        rows = [{**row, "case": one} for row, one in zip(rows, names, strict=True)]
        lines = lay_out(rows, columns)
    for name in dispensable:
        if max(map(len, lines)) <= width:
            break
        columns = [column for column in columns if column != name]
        lines = lay_out(rows, columns)
    if (excess := max(map(len, lines)) - width) > 0:
        first = columns[0]
        room = max(_NAME, max(len(row[first]) for row in rows) - excess)
        named = [{**row, first: _without_middle(row[first], room)} for row in rows]
        lines = lay_out(named, columns)
    return lines


def counted_names(names: Sequence[str], one: str, many: str) -> str:
    """Count names and show the first of them: `2 keys are missing (a, b)`.

    Empty for none.
    """
    if not names:
        return ""
    shown = ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
    return f"{counted(len(names), one, many)} ({shown})"


def spelt(name: str) -> str:
    r"""Write a file name as one line of text: what is no UTF-8 as `\xff`.

    Two names that differ stay so.
    """
    return _ODD.sub(_escape, name)


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
