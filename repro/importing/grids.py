"""Read the tables of a paper, a README or a spreadsheet as grids of text.

Every format is left to a parser of its own; Markdown becomes HTML first, so that the
tables which READMEs write in HTML are found too. Emphasis and colours are gone, and of
links all but the names of weights files; raised text keeps a `^` and lowered text a `_`
before it, since `76.1<sup>1</sup>` is not 76.11.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

import msgspec

from repro.errors import ExpectedError, OptionError
from repro.published import split_weights_name

Format = Literal["markdown", "latex", "html", "csv", "tsv", "text"]
FORMATS: tuple[Format, ...] = get_args(Format)

_MISSING = (
    "reading tables of this format needs {}; install it: pip install "
    "'pytest-repro[tables]'"
)
_RULES = {"toprule", "midrule", "bottomrule", "hline", "specialrule"}
_NO_CONTENT = re.compile(
    r"\\(?:cmidrule|cline)\s*(?:\[[^]]*\])?(?:\([^)]*\))?\s*\{[^}]*\}"
    r"|\\(?:rowcolor|cellcolor|columncolor)\s*(?:\[[^]]*\])?\{[^}]*\}"
    r"|\\end(?:firsthead|head|foot|lastfoot)\b"
    r"|\\(?:addlinespace|arrayrulecolor)(?:\[[^]]*\]|\{[^}]*\})?"
)
#: Tables of LaTeX, by how their names begin.
TABLES = "tabular|longtable|array|tblr|longtblr|talltblr|tabu|longtabu|NiceTabular"
_DRAWN = re.compile(r"(?m)^\s*(?:\+[-=+]{3,}\+|=+(?: +=+)+|\|-+\+[-+]*\|)\s*$|[│║]")
_HIDDEN = re.compile(r"(?i)display\s*:\s*none|visibility\s*:\s*hidden")


#: HTML itself allows no more columns. A cell may say that it spans all of them, and as
#: many rows, so that a small text would fill the memory.
_MOST_COLUMNS, _MOST_CELLS = 1000, 2**19

#: Links of files by their names, by family.
Files = Mapping[str, Mapping[str, str]]


class Link(msgspec.Struct, frozen=True):
    """A weights file that a row links to.

    `checkpoint` is its name without the suffix, empty where other rows link to files
    of that name; `url` is empty where it is none that anybody can open.
    """

    checkpoint: str
    suffix: str = ""
    url: str = ""


class Grid(msgspec.Struct, frozen=True, kw_only=True):
    """One table: rows of equal length, of which the first `header` are headings.

    A cell that spans rows or columns stands in each of them. `number` is its place
    among the tables of the text, from 1. `linked` is for each row the weights file that
    it links to, None where there is none or several.
    """

    caption: str = ""
    header: int
    rows: tuple[tuple[str, ...], ...]
    linked: tuple[Link | None, ...] = ()
    number: int = 1

    @property
    def place(self) -> str:
        """What people call it, in short."""
        return f"table {self.number}"

    @property
    def title(self) -> str:
        """The same with its caption, if it has one."""
        return f"{self.place} {self.caption!r}" if self.caption else self.place


class _Cell(msgspec.Struct, frozen=True):
    text: str
    columns: int = 1
    rows: int = 1


def read_grids(text: str, form: Format | None = None) -> list[Grid]:
    """Read all tables of a text; without a format it is told by what the text holds.

    Raises:
        ExpectedError: there is no table in it, or its parser is not installed.
    """
    if form is None:
        form = _format_of(text)
    found = enumerate(_READERS[form](text), 1)
    grids = [grid for number, read in found if (grid := _numbered(read, number)).rows]
    if not grids:
        raise ExpectedError(f"no table is in it, read as {form}; see --format")
    return grids


def one_grid(
    grids: Sequence[Grid], number: int | None, header: int | None = None
) -> Grid:
    """Choose a table, and how many of its rows are headings where that is said.

    Raises:
        OptionError: it is not said which of several, or there is none of that number.
    """
    titles = "; ".join(f"{grid.title} with {len(grid.rows)} rows" for grid in grids[:8])
    if number is None and len(grids) > 1:
        raise OptionError(f"say which table with --table=N: {titles[:400]}")
    if number is not None and not 1 <= number <= len(grids):
        raise OptionError(f"--table={number}: there is {titles[:400]}")
    grid = grids[(number or 1) - 1]
    return grid if header is None else msgspec.structs.replace(grid, header=header)


def _format_of(text: str) -> Format:
    signs: tuple[tuple[Format, str], ...] = (
        ("latex", rf"\\begin\s*\{{(?:{TABLES})|\\\\\s*(?:\n|\\|$)"),
        ("markdown", r"(?m)^\s*\|?\s*:?-+:?\s*\|[\s:|-]*$"),
        ("html", r"(?i)<t(?:able|r|d)\b"),
        ("tsv", r"\t"),
        ("csv", r",.*\n.*,|;.*\n.*;"),
        ("text", r"\S {2,}\S"),
    )
    for form, sign in signs:
        if form == "tsv" and re.search(_DRAWN, text):
            raise ExpectedError(
                "it is a table that is drawn with lines; make it one of Markdown "
                "first: pandoc -t gfm"
            )
        if re.search(sign, text):
            return form
    raise ExpectedError(
        "it does not look like a table of Markdown, LaTeX, HTML, CSV or TSV; say which "
        "it is with --format"
    )


def _numbered(grid: Grid, number: int) -> Grid:
    """Give a table its number, its rows one length, and drop rows of nothing."""
    width = max((len(row) for row in grid.rows), default=0)
    _check_size(width, len(grid.rows) * width)
    rows = [row + ("",) * (width - len(row)) for row in grid.rows]
    header = sum(1 for row in rows[: grid.header] if any(row))
    linked = grid.linked or (None,) * len(rows)
    kept = [
        (row, link)
        for place, (row, link) in enumerate(zip(rows, linked, strict=True))
        # Headings that are repeated, for the pages of a long table, are no row.
        if any(row) and (place < grid.header or row not in rows[: grid.header])
    ]
    return msgspec.structs.replace(
        grid,
        number=number,
        header=header,
        rows=tuple(row for row, _ in kept),
        linked=tuple(link for _, link in kept),
    )


def _check_size(columns: int, cells: int) -> None:
    """Refuse what is larger than any table that is printed.

    Raises:
        ExpectedError: it is.
    """
    if columns > _MOST_COLUMNS or cells > _MOST_CELLS:
        raise ExpectedError(
            f"a table has more than {_MOST_COLUMNS:,} columns or {_MOST_CELLS:,} "
            "cells, with those that others span; import a part of it"
        )


def _separated(text: str, split: Callable[[str], list[list[str]]]) -> list[Grid]:
    rows = tuple(tuple(map(_plain, row)) for row in split(text))
    return [Grid(header=1, rows=rows)]


def _csv(text: str, delimiter: str = "") -> list[Grid]:
    first = text.lstrip().partition("\n")[0]
    # Where commas stand before decimals, spreadsheets write semicolons.
    delimiter = delimiter or (";" if first.count(";") > first.count(",") else ",")
    return _separated(
        text, lambda text: list(csv.reader(io.StringIO(text), delimiter=delimiter))
    )


def _columns(text: str) -> list[Grid]:
    """Read columns that are held apart by two blanks or more."""
    return _separated(
        text,
        lambda text: [re.split(r" {2,}", line.strip()) for line in text.splitlines()],
    )


def _markdown(text: str) -> list[Grid]:
    try:
        from markdown_it import MarkdownIt
    except ImportError as error:
        raise ExpectedError(_MISSING.format("markdown-it-py")) from error
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    return _html(parser.render(text))


def _html(text: str) -> list[Grid]:
    try:
        import lxml.html
    except ImportError as error:
        raise ExpectedError(_MISSING.format("lxml")) from error
    if not re.search(r"(?i)<table\b", text):
        text = f"<table>{text}</table>"
    # A parser of HTML that expands no entity of a document type and opens no file.
    document = lxml.html.document_fromstring(f"<html><body>{text}</body></html>")
    return [_html_grid(table) for table in document.iter("table")]


def _html_grid(table: Any) -> Grid:
    found: list[tuple[bool, list[_Cell]]] = []
    linked: list[Link | None] = []
    for row in table.iter("tr"):
        if next(row.iterancestors("table")) is not table:
            continue
        cells = [cell for cell in row if cell.tag in {"td", "th"}]
        is_header = next(row.iterancestors("thead", "table")).tag == "thead" or (
            bool(cells) and all(cell.tag == "th" for cell in cells)
        )
        found.append((is_header, [_html_cell(cell) for cell in cells]))
        linked.append(_linked(row))
    header = 0
    while header < len(found) and found[header][0]:
        header += 1
    caption = next(iter(table.iter("caption")), None)
    return Grid(
        caption="" if caption is None else _plain(_html_text(caption)),
        header=header or 1,
        rows=_spread([cells for _, cells in found]),
        linked=_told_apart(linked),
    )


def _told_apart(linked: Sequence[Link | None]) -> tuple[Link | None, ...]:
    """Leave out names that several rows link to, such as `checkpoint`."""
    counts = Counter(link.checkpoint for link in linked if link)
    return tuple(
        msgspec.structs.replace(link, checkpoint="")
        if link and counts[link.checkpoint] > 1
        else link
        for link in linked
    )


def _linked(row: Any) -> Link | None:
    """Find the weights file that a row links to, if it is one alone."""
    found: dict[tuple[str, str], set[str]] = {}
    for url in row.xpath(".//a/@href"):
        named = split_weights_name(PurePosixPath(urlsplit(url).path).name)
        if named[1]:
            found.setdefault(named, set()).add(url)
    if len({checkpoint for checkpoint, _ in found}) != 1:
        return None
    (checkpoint, suffix), urls = next(iter(found.items()))
    is_one = len(found) == len(urls) == 1
    url = next(iter(urls)) if is_one else ""
    is_open = urlsplit(url).scheme in {"http", "https"} and url.isprintable()
    return Link(checkpoint, suffix, url if is_open else "")


def _html_cell(cell: Any) -> _Cell:
    return _Cell(
        _plain(_html_text(cell)),
        columns=_span(cell.get("colspan")),
        rows=_span(cell.get("rowspan")),
    )


def _span(text: str | None) -> int:
    # In HTML 0 stands for all that there are.
    digits = (text or "").strip()
    if not digits.isdecimal():
        return 1
    return min(int(digits) or _MOST_COLUMNS, _MOST_COLUMNS)


def _html_text(element: Any) -> str:
    """Give an element's text, marking what is raised or lowered."""
    parts = [element.text or ""]
    for child in element:
        is_shown = (
            isinstance(child.tag, str)
            and child.get("hidden") is None
            and not _HIDDEN.search(child.get("style") or "")
            and child.tag not in {"s", "del", "strike", "script", "style", "caption"}
        )
        shown = " " if child.tag == "br" else _html_text(child)
        inner = shown if is_shown else ""
        mark = {"sup": "^", "sub": "_"}.get(child.tag, "") if inner.strip() else ""
        parts += [mark, inner, child.tail or ""]
    return "".join(parts)


def _spread(rows: Sequence[Sequence[_Cell]]) -> tuple[tuple[str, ...], ...]:
    """Write cells into every row and column that they span."""
    taken: dict[tuple[int, int], str] = {}
    for number, cells in enumerate(rows):
        column = 0
        for cell in cells:
            while (number, column) in taken:
                column += 1
            below = range(number, min(number + cell.rows, len(rows)))
            for place in range(column, column + cell.columns):
                taken |= {(row, place): cell.text for row in below}
                _check_size(place, len(taken))
            column += cell.columns
    width = max((column for _, column in taken), default=-1) + 1
    return tuple(
        tuple(taken.get((row, column), "") for column in range(width))
        for row in range(len(rows))
    )


def _latex(text: str) -> list[Grid]:
    try:
        from pylatexenc.latexwalker import LatexWalker, LatexWalkerParseError
    except ImportError as error:
        raise ExpectedError(_MISSING.format("pylatexenc")) from error
    from repro.importing.latex import environments, walker_context

    text = _NO_CONTENT.sub("", text)
    if not re.search(rf"\\begin\s*\{{(?:{TABLES})", text):
        text = f"\\begin{{tabular}}{{l}}{text}\\end{{tabular}}"
    try:
        nodes = LatexWalker(text, latex_context=walker_context()).get_latex_nodes()[0]
        return [
            Grid(caption=caption, header=header, rows=rows)
            for caption, header, rows in environments(nodes, _RULES, _plain)
        ]
    except (LatexWalkerParseError, RecursionError) as error:
        reason = getattr(error, "msg", "it is nested too deeply")
        raise ExpectedError(f"is no LaTeX that can be read: {reason}") from error


def _plain(text: str) -> str:
    return " ".join(text.replace("\N{NO-BREAK SPACE}", " ").split())


_READERS: dict[Format, Callable[[str], Sequence[Grid] | Iterator[Grid]]] = {
    "markdown": _markdown,
    "latex": _latex,
    "html": _html,
    "csv": _csv,
    "tsv": lambda text: _csv(text, "\t"),
    "text": _columns,
}
