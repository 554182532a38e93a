"""Which small changes can be made in a module, and one of them made.

cosmic-ray knows them; left out is what has no effect, whatever is written there.
"""

from __future__ import annotations

import ast
import contextlib
import difflib
import random
import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
from cosmic_ray.commands import init
from cosmic_ray.mutating import use_mutation
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec

Position = tuple[int, int]
_ORDER = re.compile(r"_(Lt|LtE|Gt|GtE)$")
#: Changes that change nothing, which somebody has read, with the reason.
_EQUIVALENT = Path(__file__).with_name("equivalent.toml")


class Change(msgspec.Struct, frozen=True):
    """What a change took out of a module and put in: lines without indentation."""

    module: str
    before: list[str]
    after: list[str]
    diff: str

    @property
    def reason(self) -> str:
        """Why it changes nothing; empty where nobody has found that it does not."""
        found = (
            one.reason
            for one in known_equivalents()
            if one.module == self.module
            and one.before in self.before
            and one.after in self.after
        )
        return next(found, "")


class Equivalent(msgspec.Struct, frozen=True):
    """A change that changes nothing: two lines without indentation, and why."""

    module: str
    before: str
    after: str
    reason: str


class _Table(msgspec.Struct):
    equivalent: list[Equivalent] = []


def known_equivalents() -> list[Equivalent]:
    """List the changes that somebody has read and that change nothing."""
    return msgspec.toml.decode(_EQUIVALENT.read_bytes(), type=_Table).equivalent


def sample(place: Path, count: int, drawn: random.Random) -> list[MutationSpec]:
    """Draw some of the changes that can be made in a module or room.

    The first of them are a sample too, for who has no time for all.
    """
    found = [mutation for module in modules(place) for mutation in changes(module)]
    return drawn.sample(found, min(count, len(found)))


def modules(place: Path) -> list[Path]:
    """List the modules of a room, or the one that is named."""
    return sorted(place.glob("*.py")) if place.is_dir() else [place]


def changes(module: Path) -> list[MutationSpec]:
    """List the changes of a module that are of what is evaluated."""
    with (
        tempfile.TemporaryDirectory() as folder,
        use_db(Path(folder) / "session.sqlite", WorkDB.Mode.create) as database,
    ):
        init([module], database, {})
        items = [item.mutations[0] for item in database.work_items]
    source = module.read_text(encoding="utf-8")
    typed, words = list(without_effect(source)), list(compared_words(source))
    lines = source.splitlines()
    return [
        item
        for item in items
        if not _is_within(item, typed)
        and not _is_marker(item, lines)
        and not (_ORDER.search(item.operator_name) and _is_within(item, words))
    ]


def _is_marker(item: MutationSpec, lines: list[str]) -> bool:
    """Whether it is of the `*,` of a signature, which multiplies nothing."""
    line, column = item.start_pos
    return bool(lines[line - 1][column : column + 2] == "*,")


def _is_within(item: MutationSpec, places: Iterable[tuple[Position, Position]]) -> bool:
    return any(begin <= item.start_pos < end for begin, end in places)


def compared_words(source: str) -> Iterator[tuple[Position, Position]]:
    """Yield where something is compared with a word, which is before or after none."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare):
            sides = (node.left, *node.comparators)
            if any(
                isinstance(side, ast.Constant) and isinstance(side.value, str | bytes)
                for side in sides
            ):
                yield _place(node)


def _place(node: ast.expr | ast.keyword) -> tuple[Position, Position]:
    end = node.end_lineno or 0, node.end_col_offset or 0
    return (node.lineno, node.col_offset), end


def without_effect(source: str) -> Iterator[tuple[Position, Position]]:
    """Yield where types stand that nothing evaluates, and what forbids to write.

    That a struct is `frozen` changes nothing where nobody writes to it, nor does it how
    many results are remembered: what `lru_cache` knows it may forget at any time.
    """
    tree = ast.parse(source)
    of_module = [node for node in tree.body if isinstance(node, ast.AnnAssign)]
    yield from (_place(node.annotation) for node in of_module)
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for keyword in node.keywords:
                yield _place(keyword)
            if "NamedTuple" in map(ast.unparse, node.bases):
                fields = [each for each in node.body if isinstance(each, ast.AnnAssign)]
                yield from (_place(field.annotation) for field in fields)
        if isinstance(node, ast.FunctionDef):
            for type_ in _types(node):
                yield _place(type_)
            for decorator in node.decorator_list:
                if "lru_cache" in ast.unparse(decorator):
                    begin, end = _place(decorator)
                    yield (begin[0], 0), end
        if isinstance(node, ast.Call) and "defstruct" in ast.unparse(node.func):
            yield from (_place(one) for one in node.keywords if one.arg == "frozen")


def _types(function: ast.FunctionDef) -> Iterator[ast.expr]:
    inside = [node for node in ast.walk(function) if node is not function]
    yield from (node.annotation for node in inside if isinstance(node, ast.AnnAssign))
    found = (node.annotation for node in inside if isinstance(node, ast.arg))
    yield from (each for each in (function.returns, *found) if each is not None)


@contextlib.contextmanager
def made(mutation: MutationSpec) -> Iterator[Change | None]:
    """Make a change while the context lasts; None where it can't be made."""
    operator = get_operator(mutation.operator_name)(**mutation.operator_args)
    place = mutation.module_path
    with contextlib.ExitStack() as stack:
        try:
            making = use_mutation(place, operator, mutation.occurrence)
            before, after = stack.enter_context(making)
        except AttributeError:
            # cosmic-ray stumbles over `except module.Error`, and has written nothing.
            after = None
        if after is None or not _is_python(after):
            yield None
            return
        lines = before.splitlines(), after.splitlines()
        differing = difflib.unified_diff(*lines, str(place), n=2, lineterm="")
        diff = list(differing)
        out, put = (
            [line[1:].strip() for line in diff[2:] if line[0] == sign] for sign in "-+"
        )
        yield Change(str(place), out, put, "\n".join(diff))


def _is_python(source: str) -> bool:
    """Whether it can be read at all: `{>>others}` is put for `{**others}`."""
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True
