"""Tests of a run that have cases, and what is said of them before it starts.

A controller of xdist collects nothing, and names of tests look alike in all projects.
So the workers leave a list of their cases in the folder of the run, with what their
markers say, from which the controller finds out what is in force.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from repro.cases import Case
from repro.data.readers import Found, find_images
from repro.engine.sources import check_here
from repro.errors import NotAvailableError, ReproError
from repro.files import replace_bytes
from repro.machine import gpus_for
from repro.models.weights import find_weights
from repro.options.table import Settings
from repro.planning.plan import Allowance, Plan, make_plan, shown_time
from repro.plugin import MARKER, workers
from repro.plugin.engines import costs_of, engine_of
from repro.plugin.items import (
    SETTINGS,
    with_cases,
)
from repro.plugin.selection import all_cases
from repro.plugin.settings import (
    invoked_in,
    measures_nothing,
    read_settings,
    summary,
)
from repro.records.identity import Asked, asked
from repro.records.result import place_of
from repro.words import counted

if TYPE_CHECKING:
    from repro.cases import Case
    from repro.published import DatasetSpec

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
        #: Whose weights were seen here before the first test, by place.
        self.seen: set[str] = set()

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
    keywords: Mapping[str, Any]
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
        folder, keywords = str(item.path.parent), marker.kwargs
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
        content = msgspec.json.encode(list(groups.values()), enc_hook=str)
        replace_bytes(file, content)


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


def header(config: pytest.Config, planned: Planned) -> list[str]:
    """Say what is in force for some tests, and what measuring them takes."""
    started = invoked_in(config)
    lines = [summary(settings, started) for settings in planned.settings]
    if measures_nothing(config):
        return lines
    if workers.STARTED in config.stash:
        devices = {settings.device for settings in planned.settings}
        gpus = gpus_for(devices.pop() if len(devices) == 1 else "auto", os.environ)
        number = config.stash[workers.STARTED]
        lines.append(f"repro: {workers.describe(number, gpus)}")
    by_settings = planned.by_settings()
    groups = {s: [test.case for test in tests] for s, tests in by_settings.items()}
    for settings in groups:
        lines += engine_of(config, settings).lines()
    plans: list[Plan] = []
    # A folder may have 50,000 entries, and thousands of cases.
    found = cache(find_images)
    for settings, cases in groups.items():
        here = [
            test
            for test in by_settings[settings]
            if _is_here(config, settings, test.case, found)
        ]
        ready = [test.case for test in here]
        if engine_of(config, settings).computes_here and not settings.download:
            planned.seen.update(test.place for test in here)
        if ready:
            plans.append(_plan(config, settings, ready))
            lines.append(plans[-1].summary())
        if lacking := len(cases) - len(ready):
            said = "has not" if lacking == 1 else "have not"
            named = counted(lacking, "more case" if ready else "case")
            lines.append(
                f"repro: {named} {said} got weights or images here, and will not be "
                "measured"
            )
    if len(plans) > 1:
        number = sum(plan.work.cases for plan in plans)
        seconds = sum(plan.seconds for plan in plans)
        lines.append(
            f"repro: {counted(number, 'case')} in all, about {shown_time(seconds)}"
        )
    return lines + list(_downloads(config, groups))


def _is_here(
    config: pytest.Config,
    settings: Settings,
    case: Case,
    found: Callable[[DatasetSpec, Path], Found | None],
) -> bool:
    """Whether a case can be measured, as far as that is seen without reading files."""
    if not engine_of(config, settings).computes_here:
        return True
    try:
        check_here(case, settings.for_engine(), found)
    except NotAvailableError:
        return False
    except ReproError:
        pass  # It is here, and wrong: the case says so.
    return True


def _plan(config: pytest.Config, settings: Settings, cases: Sequence[Case]) -> Plan:
    engine = engine_of(config, settings)
    # What is on this machine says nothing of others.
    here = settings if engine.computes_here else Settings()
    return make_plan(
        cases,
        costs_of(config, settings, cases),
        engine.machine,
        checkpoints=here.checkpoints,
        data=here.data,
        cache=here.cache,
        limit=settings.limit,
        allowance=None
        if settings.no_diagnose
        else Allowance(settings.diagnose_share, settings.diagnose_time),
    )


def _downloads(
    config: pytest.Config, groups: Mapping[Settings, Sequence[Case]]
) -> Iterable[str]:
    """Say beforehand what is downloaded: workers have no terminal to show it on."""
    missing: dict[str, int] = {}
    for settings, cases in groups.items():
        is_here = engine_of(config, settings).computes_here
        for case in cases if settings.download and is_here else ():
            try:
                find_weights(case, settings.checkpoints)
            except NotAvailableError:
                missing[case.family.id] = missing.get(case.family.id, 0) + 1
    if missing:
        listed = ", ".join(
            f"{family} ({number:,})" for family, number in missing.items()
        )
        total = counted(sum(missing.values()), "case")
        yield f"repro: downloads the weights of {total} when they run: {listed}"
