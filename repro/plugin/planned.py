"""Which tests are about which cases, known by name in the process that reports them.

A controller of xdist collects nothing, and names of tests look alike in all projects.
So the workers leave a list of their cases in the folder of the run, with what their
markers say, from which the controller finds out what is in force.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from repro.errors import ReproError
from repro.files import replace_bytes
from repro.options.table import Settings
from repro.plugin import workers
from repro.plugin.selection import MARKER, SETTINGS, all_cases, case_of
from repro.plugin.settings import read_settings
from repro.records.identity import Asked, asked
from repro.records.result import place_of

if TYPE_CHECKING:
    from repro.cases import Case

#: What a test asks for that gives its case a result.
_JUDGES = "reproduce"


class _Marked(msgspec.Struct, frozen=True):
    """Cases of tests with the same marker: `cases` by the name of their test.

    Paths in the keywords start from `folder`; `judged` names the tests that give their
    case a result.
    """

    folder: str
    keywords: dict[str, str | list[str]]
    cases: dict[str, str] = {}
    judged: list[str] = []


class Planned:
    """The tests of a run that have cases, and what is in force for them."""

    def __init__(self) -> None:
        self.tests: dict[str, Case] = {}
        self.settings: list[Settings] = []
        self.asked: dict[str, Asked] = {}
        self._judged: set[str] = set()

    def add(self, test: str, case: Case, settings: Settings, *, judged: bool) -> None:
        """Add a test by its name; `judged` tells whether its case gets a result."""
        self.tests[test] = case
        engine = settings.for_engine()
        self.asked[test] = asked(case, engine.asked(), engine.chosen())
        if settings not in self.settings:
            self.settings.append(settings)
        if judged:
            self._judged.add(test)

    @property
    def cases(self) -> list[Case]:
        """The cases that are measured, each once."""
        return list({case.id: case for case in self.tests.values()}.values())

    @property
    def judged(self) -> dict[str, tuple[Case, Asked]]:
        """What gets a result, each once: cases, and what is asked of them, by place."""
        found = [(self.tests[test], self.asked[test]) for test in self._judged]
        return {place_of(*one): one for one in found}

    def judges(self, test: str) -> bool:
        """Whether a test gives its case a result."""
        return test in self._judged


def planned_of(items: Iterable[pytest.Item]) -> Planned:
    """List the tests that were collected here and have cases."""
    found = Planned()
    for item, case in _with_cases(items):
        judged = _JUDGES in getattr(item, "fixturenames", ())
        found.add(item.nodeid, case, item.stash[SETTINGS], judged=judged)
    return found


def leave_for_controller(config: pytest.Config, items: Iterable[pytest.Item]) -> None:
    """Tell the controller, from a worker, which tests have cases."""
    groups: dict[str, _Marked] = {}
    for item, case in _with_cases(items):
        marker = item.get_closest_marker(MARKER)
        assert marker is not None
        folder, keywords = str(item.path.parent), _written(marker.kwargs)
        key = repr((folder, keywords))
        group = groups.setdefault(key, _Marked(folder, keywords, {}, []))
        group.cases[item.nodeid] = case.id
        if _JUDGES in getattr(item, "fixturenames", ()):
            group.judged.append(item.nodeid)
    file = _file(config)
    if groups and not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_bytes(file, msgspec.json.encode(list(groups.values())))


def left_by_workers(config: pytest.Config) -> Planned:
    """Read what the workers have left.

    Raises:
        UsageError: options or published numbers are wrong.
    """
    found = Planned()
    file = _file(config)
    if not file.is_file():
        return found
    try:
        for group in msgspec.json.decode(file.read_bytes(), type=list[_Marked]):
            settings = read_settings(config, group.keywords, Path(group.folder))
            cases = {case.id: case for case in all_cases(config, settings)}
            judged = set(group.judged)
            for test, name in group.cases.items():
                found.add(test, cases[name], settings, judged=test in judged)
    except ReproError as error:
        raise pytest.UsageError(str(error)) from error
    return found


def _with_cases(items: Iterable[pytest.Item]) -> Iterator[tuple[pytest.Item, Case]]:
    for item in items:
        case = case_of(item)
        if case is not None:
            yield item, case


def _file(config: pytest.Config) -> Path:
    return workers.run_path(config) / "tests.json"


def _written(keywords: Mapping[str, Any]) -> dict[str, str | list[str]]:
    """Write the keywords of a marker as text, from which they are read anyway."""
    return {
        name: [str(part) for part in value]
        if isinstance(value, (list, tuple))
        else str(value)
        for name, value in keywords.items()
        if value is not None
    }
