"""The tables of a LaTeX source."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence, Set
from typing import Any

from pylatexenc import latex2text, latexwalker, macrospec

#: Tables whose arguments the parser does not know, in its notation.
_ENVIRONMENTS = {
    **dict.fromkeys(("tabular*", "tabularx", "NiceTabularX"), "{[{"),
    **dict.fromkeys(("longtable", "tblr", "longtblr", "talltblr", "NiceTabular"), "[{"),
    **dict.fromkeys(("tabu", "longtabu"), "{"),
    "tabulary": "{{",
}
_TABLES = {"tabular", "array", *_ENVIRONMENTS}
_ROW_ENDS = {"\\", "tabularnewline", "cr"}
#: Macros whose arguments the parser does not know, in its notation.
_ARGUMENTS = {
    "multicolumn": "{{{",
    "multirow": "[{[{[{",
    "textcolor": "[{{",
    "colorbox": "[{{",
    "num": "[{",
    "SI": "[{{",
    "qty": "[{{",
    "tnote": "{",
    "textsuperscript": "{",
    "textsubscript": "{",
    "makecell": "[{",
    "shortstack": "[{",
    "footnotemark": "[",
    "color": "[{",
    "resizebox": "*{{{",
    "scalebox": "{[{",
    "adjustbox": "{{",
    "rotatebox": "[{{",
    **dict.fromkeys(("phantom", "hphantom", "vphantom", "tablefootnote"), "{"),
    **dict.fromkeys(("rlap", "llap", "uline", "ul", "hl"), "{"),
}
#: Macros that print nothing, or only change how the rest looks.
_SILENT = (
    "tiny scriptsize footnotesize small normalsize large Large bfseries itshape "
    "scshape ttfamily sffamily rmfamily upshape mdseries normalfont bf it rm tt em "
    "centering raggedright raggedleft arraybackslash noindent relax strut hfill xspace "
    "boldmath phantom hphantom vphantom tablefootnote ensuremath protect leavevmode "
    "null cite citep citet citealp citealt citeauthor citeyear citeyearpar citenum"
)
#: Macros that print their only argument.
_PLAIN = "rlap llap uline ul hl textsf texttt textmd textup mbox"
#: What stands for a macro in text; `%(2)s` is its second argument.
_TEXTS = {
    "multicolumn": "%(3)s",
    "multirow": "%(6)s",
    "textcolor": "%(3)s",
    "colorbox": "%(3)s",
    "num": "%(2)s",
    "SI": "%(2)s%(3)s",
    "qty": "%(2)s%(3)s",
    "tnote": "^%(1)s",
    "textsuperscript": "^%(1)s",
    "textsubscript": "_%(1)s",
    "makecell": "%(2)s",
    "shortstack": "%(2)s",
    "percent": "%%",
    "color": "",
    "ref": "",
    "label": "",
    "footnote": "",
    "footnotemark": "",
    "rotatebox": "%(3)s",
    "resizebox": "%(4)s",
    "scalebox": "%(3)s",
    "adjustbox": "%(2)s",
    "ddagger": "‡",
    "ddag": "‡",
    "S": "§",
    "P": "¶",
    "checkmark": "✓",
    "cmark": "✓",
    "xmark": "✗",
    **dict.fromkeys(_PLAIN.split(), "%(1)s"),
    **dict.fromkeys(_SILENT.split(), ""),
}
_Rows = tuple[tuple[str, ...], ...]


@functools.cache
def walker_context() -> Any:
    """Give the macros and environments of tables, beside those of LaTeX."""
    context = latexwalker.get_default_latex_context_db()
    context.add_context_category(
        "tables",
        macros=[macrospec.MacroSpec(*pair) for pair in _ARGUMENTS.items()],
        environments=[
            macrospec.EnvironmentSpec(*pair) for pair in _ENVIRONMENTS.items()
        ],
        prepend=True,
    )
    return context


@functools.cache
def _converter() -> Any:
    context = latex2text.get_default_latex_context_db()
    context.add_context_category(
        "tables",
        macros=[latex2text.MacroTextSpec(*pair) for pair in _TEXTS.items()],
        prepend=True,
    )
    # What a document defines itself stays to be seen: 91.7\up{2} is not 91.72.
    context.set_unknown_macro_spec(
        latex2text.MacroTextSpec("", lambda node: f"\\{node.macroname} ")
    )
    return latex2text.LatexNodes2Text(
        latex_context=context, math_mode="text", keep_comments=False
    )


def environments(
    nodes: Sequence[Any],
    rules: Set[str],
    plain: Callable[[str], str],
    caption: str = "",
) -> Iterator[tuple[str, int, _Rows]]:
    """Yield caption, number of heading rows, and rows of each table, nested ones too.

    Args:
        nodes: what the parser made of the source.
        rules: macros that draw a line; rows above the first one below a row are
            headings.
        plain: makes the text of a cell one line.
        caption: of the float that the nodes are in.
    """
    for here, node in enumerate(nodes):
        if isinstance(node, latexwalker.LatexMacroNode) and node.macroname == "caption":
            after = nodes[here : here + 2]
            caption = plain(_converter().nodelist_to_text(after))
    for node in nodes:
        name = getattr(node, "environmentname", None)
        inner = getattr(node, "nodelist", None) or []
        if name in _TABLES:
            yield caption, *_table(inner, rules, plain)
        elif isinstance(node, latexwalker.LatexMacroNode):
            arguments = getattr(node.nodeargd, "argnlist", None) or []
            given = [argument for argument in arguments if argument is not None]
            yield from environments(given, rules, plain, caption)
        else:
            yield from environments(inner, rules, plain, caption)


def _table(
    nodes: Sequence[Any], rules: Set[str], plain: Callable[[str], str]
) -> tuple[int, _Rows]:
    rows: list[list[list[Any]]] = [[[]]]
    header: int | None = None
    for node in nodes:
        macro = getattr(node, "macroname", "")
        if macro in _ROW_ENDS:
            rows.append([[]])
        elif macro in rules:
            if header is None and len(rows) > 1:
                header = len(rows) - 1
        elif getattr(node, "specials_chars", "") == "&":
            rows[-1].append([])
        else:
            rows[-1][-1].append(node)
    texts: list[list[str]] = []
    spans: list[tuple[int, int, int]] = []
    for number, cells in enumerate(rows):
        texts.append([])
        for cell in cells:
            text = plain(_converter().nodelist_to_text(cell))
            height = _count(cell, "multirow", 1)
            if abs(height) > 1:
                spans.append((number, len(texts[-1]), height))
            texts[-1] += [text] * max(_count(cell, "multicolumn", 0), 1)
    _fill(texts, spans)
    return header or 1, tuple(map(tuple, texts))


def _fill(texts: list[list[str]], spans: Sequence[tuple[int, int, int]]) -> None:
    """Repeat a cell in the rows that it spans: downwards, or upwards if negative."""
    for number, column, height in spans:
        step = 1 if height > 0 else -1
        for row in range(number + step, number + height, step):
            is_there = 0 <= row < len(texts) and column < len(texts[row])
            if is_there and not texts[row][column]:
                texts[row][column] = texts[number][column]


def _count(nodes: Sequence[Any], macro: str, argument: int) -> int:
    """Read the number of rows or columns that a cell spans; 1 if it is of one."""
    for node in nodes:
        if node is None:
            continue
        arguments = getattr(getattr(node, "nodeargd", None), "argnlist", None) or []
        if getattr(node, "macroname", "") == macro:
            text = _converter().nodelist_to_text([arguments[argument]]).strip()
            digits = text.removeprefix("-")
            return int(text) if digits.isdecimal() and len(digits) < 4 else 1
        inner = [*arguments, *(getattr(node, "nodelist", None) or [])]
        found = _count(inner, macro, argument)
        if found != 1:
            return found
    return 1
