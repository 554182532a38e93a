"""Read the number in a cell of a printed table, with what stands beside it."""

from __future__ import annotations

import contextlib
import re
import unicodedata
from decimal import Decimal

import msgspec

from repro.errors import ExpectedError

#: Cells that say that there is no number.
_NOTHING = re.compile(r"(?i)[-\u2010-\u2015\u2212./?]*|n/?a|none|nan|tbd|x|✗")
_DIGITS = (
    r"[0-9]+(?:\.[0-9]*)?e[-+]?[0-9]{1,2}|[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]+)?"
    r"|[0-9]+(?:\.[0-9]*)?|\.[0-9]+"
)
_NUMBER = re.compile(
    rf"(?P<number>{_DIGITS})\s*(?P<percent>%)?"
    rf"(?:\s*_?\s*\(?\s*±\s*(?P<spread>{_DIGITS})\s*%?\s*\)?)?\s*%?"
    # A difference from another row, as in `76.1 (+1.2)` or `76.1 ↑1.2`; not 76.1-77.
    r"(?P<difference>\s*_?(?:[(\[]\s*[+\u2212\u2191\u2193-]|[+\u2212\u2191\u2193])"
    r"\s*[0-9][0-9.]*\s*%?\s*[)\]]?)?"
    r"(?P<marks>(?:\s*(?:\^\s*(?:\([^()\s]+\)|\S+)|\[\^?\w+\]"
    r"|[*†‡§¶#\u204e\u2217⋆★↑↓¹²³⁰⁴-⁹ᵃ-ᶻ]))*)"
)
#: An uncertainty of the last digits, as physicists and siunitx write it: `91.73(12)`.
_IN_LAST_DIGITS = re.compile(r"([0-9][0-9,]*\.)([0-9]+)\(([0-9]{1,2})\)")
#: A power of ten, as `e-3` or `x 10^-3`, behind a number, or one in brackets with ±.
_POWER = re.compile(
    r"(?:(?<=[0-9.)])[eE]|\s*[\u00d7x*·]\s*10\s*(?:\^\s*\(?|(?=[⁺⁻⁰¹²³⁴-⁹])))"
    r"([-+\u2212⁺⁻]?[0-9⁰¹²³⁴-⁹]{1,2})\)?"
)
_IN_BRACKETS = re.compile(r"\(([0-9.,]+)\s*±\s*([0-9.,]+)\)(e[-+]?[0-9]+|)")
_MATHS = (
    (r"\\pm\b|\+/-|\+-", "±"),
    (r"\\%|\uff05", "%"),
    (r"\\dagger\b|\\dag\b", "†"),
    (r"\\ddagger\b|\\ddag\b", "‡"),
    (r"\\(?:ast|star)\b", "*"),
    (r"\\(?:times|cdot)\b", "x"),
    (r"\\(?:mathbf|textbf|bm|boldsymbol|underline|mathrm|text)\b", ""),
    # What a document defines itself, before a number: emphasis.
    (r"^\s*(?:\\[A-Za-z]+\s*)+(?=[0-9.])", ""),
    (r"[${}]", ""),
    (r"\*\*|__|`", ""),
)


class CellNumber(msgspec.Struct, frozen=True, kw_only=True):
    """A number with its digits as printed, and `spread`, if any, after a ±.

    `is_percent` says that it has a percent sign. `marks` are those of footnotes, and
    `difference` is one from another row that is printed beside it; neither counts.
    """

    digits: str
    spread: str = ""
    is_percent: bool = False
    marks: str = ""
    difference: str = ""


def read_cell(text: str, *, decimal_comma: bool = False) -> CellNumber | None:
    """Read a cell that should hold a number; None where it says that there is none.

    Args:
        text: the cell.
        decimal_comma: whether commas stand before decimals, and points between
            thousands.

    Raises:
        ExpectedError: it holds something else.
    """
    plain = text
    for pattern, sign in _MATHS:
        plain = re.sub(pattern, sign, plain)
    plain = plain.strip()
    if decimal_comma:
        plain = plain.translate({ord(","): ".", ord("."): ","})
    plain = _POWER.sub(_power, _IN_LAST_DIGITS.sub(_written_out, plain))
    plain = _IN_BRACKETS.sub(r"\1\3 ± \2\3", plain)
    if _NOTHING.fullmatch(plain):
        return None
    match = _NUMBER.fullmatch(plain)
    if not match or not _is_whole(match["number"], match["spread"]):
        hint = ""
        if len(several(text)) > 1:
            hint = "; where it is several, say of what, --as 'HEADING=top1/top5'"
        if re.fullmatch(r"[0-9.]*,[0-9]+\s*%?", plain):
            hint = (
                "; a comma before decimals has to be written as a point, or say "
                "--decimal-comma"
            )
        raise ExpectedError(f"{text[:60]!r} is no number{hint}")
    return CellNumber(
        digits=_whole(match["number"]),
        spread=_whole(match["spread"]) if match["spread"] else "",
        is_percent="%" in plain,
        marks="".join(match["marks"].split()),
        difference=(match["difference"] or "").strip(),
    )


def several(cell: str) -> list[str]:
    """Give the numbers of a cell that holds several: `91.7/99.1`, `91.7 (99.1)`.

    One number alone, with its spread or difference, is a list of one.
    """
    parts = [part.strip() for part in re.split(r"[/|]", cell)]
    behind = re.fullmatch(r"([^()]+?)\s*\(\s*(\d[^()]*)\)", cell.strip())
    found = [behind[1], behind[2]] if behind and len(parts) == 1 else parts
    return found if len(found) > 1 and all(map(is_number, found)) else [cell]


def _written_out(match: re.Match[str]) -> str:
    whole, decimals, spread = match[1], match[2], match[3].zfill(len(match[2]) + 1)
    point = len(spread) - len(decimals)
    return f"({whole}{decimals} ± {spread[:point]}.{spread[point:]})"


def _power(match: re.Match[str]) -> str:
    exponent = unicodedata.normalize("NFKC", match[1])
    return f"e{exponent.replace(chr(0x2212), '-')}"


def _is_whole(number: str, spread: str | None) -> bool:
    """Tell whether all digits up to the point are printed, and of what a power is."""
    powers = {part.partition("e")[1] for part in (number, spread) if part}
    exponent = Decimal(number.replace(",", "")).as_tuple().exponent
    return len(powers) == 1 and isinstance(exponent, int) and exponent <= 0


def is_empty(text: str) -> bool:
    """Tell whether a cell says that there is no number."""
    return bool(_NOTHING.fullmatch(text.strip()))


def is_number(text: str) -> bool:
    """Tell whether a cell holds a number, or says that there is none."""
    for decimal_comma in (False, True):
        with contextlib.suppress(ExpectedError):
            read_cell(text, decimal_comma=decimal_comma)
            return True
    return False


def _whole(digits: str) -> str:
    """Write a number without thousands signs or a power, a digit before its point."""
    return f"{Decimal(digits.replace(',', '')):f}"
