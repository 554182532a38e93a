"""The tests of a room, asked of one change after the other.

Each asking is a fork of this process, which has imported already what others wrote.
Which test sees which line is found once, and only those that see what was changed are
asked, the quick before the slow, until one fails.
"""

from __future__ import annotations

import ast
import contextlib
import multiprocessing
import os
import resource
import signal
import time
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import coverage
import hypothesis
import msgspec
import pytest

#: Times that tests may take as long as they do undisturbed, and seconds besides.
PATIENCE, BESIDES = 4, 20
#: How much longer by a clock, where they sleep or the machine is busy.
ASLEEP = 10
#: What runs as files of tests are imported, before any of them begins.
_COLLECTED = "collecting"
#: What a fork has imported, pytest cannot rewrite any more, of which it warns.
_IMPORTED_BEFORE = "-Wignore::pytest.PytestAssertRewriteWarning"


class Timed(msgspec.Struct, frozen=True):
    """What a test takes: seconds of processor time, and fixtures that it may share."""

    seconds: float
    fixtures: list[str]


class Seen(msgspec.Struct, frozen=True):
    """Which tests and shared fixtures see each line of each module."""

    lines: dict[str, dict[int, list[str]]]
    tests: dict[str, Timed]

    def tests_of(self, module: Path, first: int, last: int) -> Sequence[str]:
        """Name the tests that see some lines of a module, the quickest first.

        What runs once for all, as a module is imported or a result is remembered, may
        be used by any of them, also by one that runs nothing of the module.
        """
        known = self.lines.get(str(module.resolve()), {})
        tree = ast.parse(module.read_text("utf-8"))
        # Of a statement of several lines not each is seen as it runs.
        lines = {*_statement(tree, first), *_statement(tree, last)}
        contexts = {name for line in lines for name in known.get(line, [])}
        once = _runs_once(tree, first) or contexts & {"", _COLLECTED}
        found = [
            name
            for name, test in self.tests.items()
            if once or {name, *test.fixtures} & contexts
        ]
        return sorted(found, key=lambda name: self.tests[name].seconds)


def _statement(tree: ast.Module, line: int) -> range:
    """Give the lines of the statement in which one stands, without what it holds."""
    found = range(line, line + 1)
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            end = body[0].lineno - 1 if body else node.end_lineno or 0
            if line in (lines := range(node.lineno, max(end, node.lineno) + 1)):
                found = lines
    return found


def _runs_once(tree: ast.Module, line: int) -> bool:
    """Whether a line stands in no function, or in one whose result is remembered."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            inside = node.body[0].lineno <= line <= (node.end_lineno or 0)
            kept = any("cache" in ast.unparse(each) for each in node.decorator_list)
            if inside and not kept:
                return False
    return True


def seen_by(tests: Sequence[Path], room: Path, folder: Path) -> Seen | None:
    """Ask tests of the code as it is; None where they fail, after what they say."""
    data, file, said = (folder / name for name in ("coverage", "tests.json", "said"))
    watching = _Watching(room, data, file)
    if not _all_pass([*map(str, tests)], watching, 1200, said):
        print(said.read_text("utf-8", "replace")[-3000:])
        return None
    found = coverage.CoverageData(str(data))
    found.read()
    lines = {name: found.contexts_by_lineno(name) for name in found.measured_files()}
    return Seen(lines, msgspec.json.decode(file.read_bytes(), type=dict[str, Timed]))


def notice(seen: Seen, asked: Sequence[str]) -> bool:
    """Whether one of these tests fails with the code as it is now."""
    usual = sum(seen.tests[name].seconds for name in asked)
    patience = int(PATIENCE * usual) + BESIDES
    files = dict.fromkeys(name.partition("::")[0] for name in asked)
    return not _all_pass([*files], _Choosing(asked), patience, Path(os.devnull))


class _Watching:
    """Writes down which test sees which line, and how long it takes."""

    def __init__(self, room: Path, data: Path, tests: Path) -> None:
        self._file = tests
        self._tests: dict[str, Timed] = {}
        where = [str(room.resolve())]
        self._coverage = coverage.Coverage(str(data), source=where, config_file=False)
        self._context = [""]

    @pytest.hookimpl(tryfirst=True)
    def pytest_cmdline_parse(self) -> None:
        # Before plugins that are installed are imported, of which ours is one.
        self._coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item
    ) -> Generator[None, object, object]:
        start = time.process_time()
        with self._in_context(item.nodeid):
            result = yield
        fixtures = [_shared(name) for name in getattr(item, "fixturenames", ())]
        self._tests[item.nodeid] = Timed(time.process_time() - start, fixtures)
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Generator[None, object, object]:
        if fixturedef.scope == "function":
            return (yield)
        with self._in_context(_shared(fixturedef.argname)):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self) -> Generator[None, object, object]:
        with self._in_context(_COLLECTED):
            return (yield)

    @contextlib.contextmanager
    def _in_context(self, name: str) -> Iterator[None]:
        self._context.append(name)
        self._coverage.switch_context(name)
        yield
        self._context.pop()
        self._coverage.switch_context(self._context[-1])

    def pytest_unconfigure(self) -> None:
        self._coverage.stop()
        self._coverage.save()
        self._file.write_bytes(msgspec.json.encode(self._tests))


def _shared(fixture: str) -> str:
    return f"fixture {fixture}"


class _Choosing:
    """Lets some tests run, in this order."""

    def __init__(self, asked: Sequence[str]) -> None:
        self._turns = {name: turn for turn, name in enumerate(asked)}

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self) -> None:
        # That it fails is enough: nobody reads the smallest example.
        phases = [phase for phase in hypothesis.Phase if phase.name in _FINDING]
        hypothesis.settings.register_profile("quick", deadline=None, phases=phases)
        hypothesis.settings.load_profile("quick")

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        chosen = [item for item in items if item.nodeid in self._turns]
        items[:] = sorted(chosen, key=lambda item: self._turns[item.nodeid])


_FINDING = {"explicit", "reuse", "generate"}


def _all_pass(files: list[str], plugin: object, patience: int, said: Path) -> bool:
    fork: Any = multiprocessing.get_context("fork")
    asked = fork.Process(target=_ask, args=(files, plugin, patience, said))
    asked.start()
    asked.join(ASLEEP * patience)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(asked.pid, signal.SIGKILL)
    asked.join()
    return bool(asked.exitcode == 0)


def _ask(files: list[str], plugin: object, patience: int, said: Path) -> None:
    os.setsid()
    resource.setrlimit(resource.RLIMIT_CPU, (patience, patience))
    with said.open("w") as written:
        os.dup2(written.fileno(), 1), os.dup2(written.fileno(), 2)
    # As tox does: a comparison that Python warns of, such as `is "a"`, is an error.
    options = ["-qx", "-pno:cacheprovider", "-Werror", _IMPORTED_BEFORE]
    status = pytest.main([*options, *files], plugins=[plugin])
    # Threads and whatever else a test has left do not matter any more.
    os._exit(status)
