"""Tests that have cases: their order, which of them run here, and what is planned.

A controller of xdist collects nothing, and names of tests look alike in all projects.
So the workers leave a list of their cases in the folder of the run, with what their
markers say, from which the controller finds out what is in force.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from operator import itemgetter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from repro.cases import Case
from repro.errors import ReproError
from repro.files import replace_bytes
from repro.options.table import Settings
from repro.plugin import MARKER, workers
from repro.plugin.engines import shard_costs
from repro.plugin.items import (
    SETTINGS,
    case_of,
    claim_of,
    remember_settings,
    with_cases,
)
from repro.plugin.selection import all_cases, order_of_cases
from repro.plugin.settings import measures_nothing, read_settings
from repro.records.identity import Asked, asked
from repro.records.result import place_of
from repro.words import listed


def arrange(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Sort the tests of cases into the places that they have, and claims behind all.

    Claims take the measurements of the others. A test that somebody lists twice has its
    second turn after all others: pytest sets up no test that follows itself.
    """
    order = order_of_cases(config)
    places: list[int] = []
    turns: Counter[pytest.Item] = Counter()
    chosen: list[tuple[int, int, pytest.Item]] = []
    for place, item in enumerate(items):
        if case := case_of(item):
            places.append(place)
            chosen.append((turns[item], order.get(case.id, 0), item))
            turns[item] += 1
    chosen.sort(key=itemgetter(0, 1))
    # Only their own places: the tests of another project stay where pytest put them.
    for place, (*_, item) in zip(places, chosen, strict=True):
        items[place] = item
    # Sorting is stable: all else keeps its order.
    items.sort(key=lambda item: claim_of(item) is not None)


def settle(
    config: pytest.Config, items: list[pytest.Item], arranged: Sequence[pytest.Item]
) -> bool:
    """Take what is selected: options in force, this shard's part, and a GPU.

    Tell whether anything was selected, though it may be another shard's. What others
    have put out of order since the tests were `arranged` is arranged again.
    """
    chosen = [item for item in items if case_of(item) or claim_of(item)]
    if not chosen:
        return False
    remember_settings(chosen)
    _keep_named(config, chosen[0].stash[SETTINGS].case, items)
    _keep_shard(config, chosen[0].stash[SETTINGS], items)
    if items != arranged and not _goes_on_from_last_run(config):
        arrange(config, items)
    workers.assign_gpu(config, {item.stash[SETTINGS].device or "" for item in chosen})
    return True


def _goes_on_from_last_run(config: pytest.Config) -> bool:
    """Whether pytest was asked for an order that follows from its last run."""
    own = ("stepwise", "failedfirst", "newfirst")
    return any(config.getoption(name, False) for name in own)


def _keep_named(
    config: pytest.Config, patterns: Sequence[str], items: list[pytest.Item]
) -> None:
    """Deselect the cases that no pattern matches, and claims.

    Raises:
        UsageError: a pattern matches no case that was collected.
    """
    if not patterns:
        return
    ids = {case.id for _, case in with_cases(items)}
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in ids):
            near = difflib.get_close_matches(pattern, ids, n=3, cutoff=0.4)
            raise pytest.UsageError(
                f"--repro-case is {pattern!r}, and no selected case has such an id; "
                f"'repro cases' lists them{f', as {listed(near)}' if near else ''}"
            )

    def stays(item: pytest.Item) -> bool:
        case = case_of(item)
        if case is None:
            return claim_of(item) is None
        return any(fnmatchcase(case.id, pattern) for pattern in patterns)

    _deselect(config, items, [item for item in items if not stays(item)])


def _deselect(
    config: pytest.Config, items: list[pytest.Item], others: list[pytest.Item]
) -> None:
    if others:
        config.hook.pytest_deselected(items=others)
        gone = set(others)
        items[:] = [item for item in items if item not in gone]


def _keep_shard(
    config: pytest.Config, settings: Settings, items: list[pytest.Item]
) -> None:
    """Deselect the cases of other shards, and claims, which need all of them."""
    from repro.planning.costs import cases_of_shard, parse_shard

    if settings.shard is None:
        return
    unique = {case.id: case for _, case in with_cases(items)}
    shard = parse_shard(settings.shard)
    kept = cases_of_shard(list(unique.values()), shard_costs(settings), shard)

    def stays(item: pytest.Item) -> bool:
        case = case_of(item)
        return case.id in kept if case else claim_of(item) is None

    _deselect(config, items, [item for item in items if not stays(item)])


#: What a test asks for that gives its case a result.
_JUDGES = "reproduce"


class PlannedTest(msgspec.Struct, frozen=True):
    """A test that has a case, what is in force for it, and so what it asks for.

    `is_judged` tells whether its case gets a result. Tests that ask for the same share
    one measurement, named by `place`.
    """

    case: Case
    settings: Settings
    is_judged: bool
    asked: Asked

    @property
    def place(self) -> str:
        """Name what is measured among all that the run measures."""
        return place_of(self.case, self.asked)


class Planned:
    """The tests of a run that have cases.

    Args:
        tests: by their names.
        settings: in force for tests of the run, also for those without a case.
    """

    def __init__(
        self,
        tests: Mapping[str, PlannedTest] | None = None,
        settings: Iterable[Settings] = (),
    ) -> None:
        self.tests = dict(tests or {})
        in_force = [*settings, *(test.settings for test in self.tests.values())]
        self.settings = list(dict.fromkeys(in_force))
        #: What is measured, each once, by place.
        self.measured = {test.place: test for test in self.tests.values()}
        #: What gets a result, each once, by place.
        self.judged = {t.place: t for t in self.tests.values() if t.is_judged}

    def by_settings(self) -> dict[Settings, list[PlannedTest]]:
        """List what is measured by what is in force for it."""
        found: dict[Settings, list[PlannedTest]] = {}
        for test in self.measured.values():
            found.setdefault(test.settings, []).append(test)
        return found


class _Marked(msgspec.Struct, frozen=True):
    """Cases of tests with the same marker: `cases` by the name of their test.

    Paths in the keywords start from `folder`; `judged` names the tests that give their
    case a result.
    """

    folder: str
    keywords: dict[str, str | list[str]]
    cases: dict[str, str] = {}
    judged: list[str] = []


def planned_of(items: Sequence[pytest.Item]) -> Planned:
    """List the tests that were collected here and have cases."""
    tests = {
        item.nodeid: _planned(case, item.stash[SETTINGS], is_judged=_is_judged(item))
        for item, case in with_cases(items)
    }
    return Planned(tests, in_force(items))


def in_force(items: Iterable[pytest.Item]) -> Iterable[Settings]:
    """Give what is in force for tests that have a case or a claim."""
    return (item.stash[SETTINGS] for item in items if SETTINGS in item.stash)


class Leaving:
    """Tells the controller, from a worker, which tests have cases."""

    # After whoever leaves tests out, such as --lf, and before xdist says it is done.
    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Leave the list for the controller."""
        if not measures_nothing(session.config):
            leave_for_controller(session.config, session.items)


def leave_for_controller(config: pytest.Config, items: Iterable[pytest.Item]) -> None:
    """Write down which tests have cases."""
    groups: dict[str, _Marked] = {}
    for item, case in with_cases(items):
        marker = item.get_closest_marker(MARKER)
        assert marker is not None
        folder, keywords = str(item.path.parent), _written(marker.kwargs)
        key = repr((folder, keywords))
        group = groups.setdefault(key, _Marked(folder, keywords, {}, []))
        group.cases[item.nodeid] = case.id
        if _is_judged(item):
            group.judged.append(item.nodeid)
    file = _file(config)
    # Every worker collects the same; one that comes second need not write it again,
    # and if both do, either file is whole and right.
    if groups and not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_bytes(file, msgspec.json.encode(list(groups.values())))


def left_by_workers(config: pytest.Config) -> Planned:
    """Read what the workers have left.

    Raises:
        UsageError: options or published numbers are wrong.
    """
    tests: dict[str, PlannedTest] = {}
    file = _file(config)
    if not file.is_file():
        return Planned()
    try:
        for group in msgspec.json.decode(file.read_bytes(), type=list[_Marked]):
            # Read as the worker has read it, from the same text, so that both agree on
            # what is in force.
            settings = read_settings(config, group.keywords, Path(group.folder))
            cases = {case.id: case for case in all_cases(config, settings)}
            judged = set(group.judged)
            for test, name in group.cases.items():
                is_judged = test in judged
                tests[test] = _planned(cases[name], settings, is_judged=is_judged)
    except ReproError as error:
        raise pytest.UsageError(str(error)) from error
    return Planned(tests)


def _planned(case: Case, settings: Settings, *, is_judged: bool) -> PlannedTest:
    engine = settings.for_engine()
    wanted = asked(case, engine.asked(), engine.chosen())
    return PlannedTest(case, settings, is_judged, wanted)


def _is_judged(item: pytest.Item) -> bool:
    return _JUDGES in getattr(item, "fixturenames", ())


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
