"""How sound things are spoilt: bytes, trees of values, texts."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

Tree = dict[str, Any]
Path = tuple[str | int, ...]

#: ESC, its eight-bit twin, a turned direction, a surrogate, and the like.
HOSTILE = st.sampled_from(
    ["\x1b[31m", "\x9b31m", "\u202e", "\u2028", "\x00", "\n", "\r", "\x85", "{}", "%s"]
)
LONG = st.sampled_from(["x", "ä", "x y ", "'", '"', "a/", "../", "a, ", ".", "\\"]).map(
    lambda piece: piece * 3000
)
#: Texts without surrogates, which neither files nor the command line hold as text.
TEXT = st.lists(
    st.one_of(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), HOSTILE),
    max_size=4,
).map("".join)
TEXTS = st.one_of(TEXT, LONG)
NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70),
    st.sampled_from([0, 1, -1, 2**31, 2**63, 10**40]),
    st.floats(),
)
VALUES = st.recursive(
    st.one_of(st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """Change, drop, repeat or cut off some bytes."""
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(content)))
        size = draw(st.integers(1, 64))
        before, piece, after = (
            content[:place],
            content[place : place + size],
            content[place + size :],
        )
        content = draw(
            st.sampled_from(
                [
                    before,
                    before + after,
                    before + piece * 3 + after,
                    before + draw(st.binary(max_size=size)) + piece + after,
                    before + bytes(byte ^ 0xFF for byte in piece) + after,
                    before + b"\xff" * len(piece) + after,
                ]
            )
        )
    return content


def places(tree: Any, path: Path = ()) -> Iterator[Path]:
    """Yield where each value of a tree stands."""
    inside: Any = ()
    if isinstance(tree, dict):
        inside = tree.items()
    elif isinstance(tree, list):
        inside = enumerate(tree)
    for key, value in inside:
        yield (*path, key)
        yield from places(value, (*path, key))


@st.composite
def spoilt(draw: st.DrawFn, tree: Any) -> Any:
    """Replace, drop, rename or add one or two values of a tree."""
    tree = copy.deepcopy(tree)
    for _ in range(draw(st.integers(1, 2))):
        # Whatever the last change has left.
        *way, last = draw(st.sampled_from(sorted(places(tree), key=repr)))
        holder = tree
        for key in way:
            holder = holder[key]
        action = draw(st.sampled_from(["replace", "drop", "rename", "add"]))
        value = holder[last]
        if action == "replace" or isinstance(holder, list):
            holder[last] = draw(VALUES)
        elif action == "add":
            holder[draw(TEXTS)] = draw(VALUES)
        elif len(holder) > 1 or action == "rename":
            del holder[last]
            if action == "rename":
                holder[draw(TEXTS)] = value
    return tree


@st.composite
def untrue(draw: st.DrawFn, tree: Any) -> Any:
    """Replace one or two values of a tree by others of their type."""
    tree = copy.deepcopy(tree)
    for _ in range(draw(st.integers(1, 2))):
        *way, last = draw(st.sampled_from(sorted(places(tree), key=repr)))
        holder = tree
        for key in way:
            holder = holder[key]
        holder[last] = draw(_of_its_type(holder[last]))
    return tree


def _of_its_type(value: Any) -> st.SearchStrategy[Any]:
    if isinstance(value, list):
        return st.sampled_from([[], value * 2, value[:1]])
    if isinstance(value, dict):
        return st.sampled_from([{}, {**value, "": 1}])
    if isinstance(value, str):
        return TEXTS | st.sampled_from(
            ["", "0", "-1", "1/0", "nan", "1e400", "9" * 5000]
        )
    if isinstance(value, bool) or value is None:
        return st.sampled_from([None, True, False, 0, "", [], {}])
    return NUMBERS
