"""Which cases a test gets, and in which order tests run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import pytest

from repro.errors import OptionError, ReproError
from repro.options.table import Settings
from repro.plugin.cluster import EXCLUDED
from repro.plugin.settings import read_settings
from repro.plugin.workers import is_worker

if TYPE_CHECKING:
    from repro.cases import Case
    from repro.published import Release

MARKER = "repro"
SETTINGS = pytest.StashKey[Settings]()
_IN_FORCE = pytest.StashKey["dict[tuple[object, ...], Settings]"]()
_CASES = pytest.StashKey["dict[tuple[object, ...], list[Case]]"]()


def parametrize(metafunc: pytest.Metafunc) -> None:
    """Give a marked test that asks for `case` one parameter set for each case.

    Raises:
        CollectError: options, marker or published numbers are wrong.
    """
    marker = metafunc.definition.get_closest_marker(MARKER)
    if marker is None or "case" not in metafunc.fixturenames:
        return
    folder = metafunc.definition.path.parent
    try:
        if marker.args:
            raise OptionError(
                f"the marker repro takes keywords only, not {marker.args[0]!r}; "
                'for example @pytest.mark.repro(kind="supervised")'
            )
        settings = read_settings(metafunc.config, marker.kwargs, folder)
        if settings.engine == "ray" and is_worker(metafunc.config):
            raise OptionError(EXCLUDED)
        selected = _selector(marker)
        found = all_cases(metafunc.config, settings)
        check_family(marker, (case.release for case in found))
        cases = filter(selected, found)
    except ReproError as error:
        raise pytest.Collector.CollectError(str(error)) from error
    metafunc.parametrize(
        "case",
        [
            pytest.param(case, id=case.id, marks=getattr(pytest.mark, case.kind))
            for case in cases
        ],
        indirect=True,
    )


def all_cases(config: pytest.Config, settings: Settings) -> list[Case]:
    """List the cases of the published numbers in force, in the order to run them.

    Raises:
        OptionError: no published numbers are named.
        ExpectedError: they cannot be read.
    """
    from repro.cases import list_cases, order_for_running
    from repro.planning.costs import Costs
    from repro.plugin.planning import costs_of
    from repro.published import read_releases

    if not settings.expected:
        raise OptionError(
            "no published numbers: name a TOML file or a folder of them with "
            "--repro-expected, or 'embedded' for the release that is shipped with repro"
        )
    known = config.stash.setdefault(_CASES, {})
    key = settings.expected, settings.checkpoints
    if key not in known:
        releases = read_releases(settings.expected)
        cases = list_cases(releases, settings.checkpoints)
        # Where a run goes on from a test of the last one, both need the same order,
        # also when that one has found out how long cases take.
        is_stable = config.getoption("stepwise", False) and not settings.costs
        costs = Costs() if is_stable else costs_of(config, settings, cases)
        known[key] = order_for_running(cases, lambda case: costs.of(case).seconds)
    return known[key]


def order_items(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Sort the tests of cases as cases are sorted, into the places that they have."""
    order: dict[str, int] = {}
    for cases in config.stash.get(_CASES, {}).values():
        order |= {case.id: place for place, case in enumerate(cases)}
    places = [place for place, item in enumerate(items) if case_of(item)]
    chosen = [items[place] for place in places]
    chosen.sort(key=lambda item: _place(item, order))
    for place, item in zip(places, chosen, strict=True):
        items[place] = item


def keeps_order(config: pytest.Config) -> bool:
    """Whether pytest was asked for an order that follows from its last run."""
    own = ("stepwise", "failedfirst", "newfirst")
    return not any(config.getoption(name, False) for name in own)


def _place(item: pytest.Item, order: Mapping[str, int]) -> int:
    case = case_of(item)
    return order.get(case.id, 0) if case else 0


def case_of(item: pytest.Item) -> Case | None:
    """Give the case of a test, if it has one."""
    if item.get_closest_marker(MARKER) is None:
        return None
    from repro.cases import Case

    # A test for which there is no case has a placeholder of pytest's.
    callspec = getattr(item, "callspec", None)
    found = callspec.params.get("case") if callspec else None
    return found if isinstance(found, Case) else None


def planned_cases(items: Iterable[pytest.Item]) -> list[Case]:
    """List the cases of some tests."""
    return [case for item in items if (case := case_of(item)) is not None]


def remember_settings(config: pytest.Config, item: pytest.Item) -> Settings:
    """Find out what is in force for a test and keep it there."""
    marker = item.get_closest_marker(MARKER)
    keywords = marker.kwargs if marker else {}
    # A marked test may run for thousands of cases; all of them are set up alike.
    known = config.stash.setdefault(_IN_FORCE, {})
    key = repr(keywords), item.path.parent
    if key not in known:
        known[key] = read_settings(config, keywords, item.path.parent)
    item.stash[SETTINGS] = known[key]
    return known[key]


def check_family(marker: pytest.Mark, releases: Iterable[Release]) -> None:
    """Refuse a pattern that no family has: its test would have no case, unnoticed.

    Raises:
        OptionError: there are families, and none is named so.
    """
    pattern = marker.kwargs.get("family", "*")
    families = list(dict.fromkeys(f for release in releases for f in release.families))
    if families and not any(fnmatchcase(family, pattern) for family in families):
        shown = ", ".join(families[:8]) + (" ..." if len(families) > 8 else "")
        raise OptionError(
            f"family of the marker repro is {pattern!r}, and no family of the "
            f"published numbers is named so; there are {shown}"
        )


def _selector(marker: pytest.Mark) -> Callable[[Case], bool]:
    """Make the condition that a marker puts on cases."""
    kind = marker.kwargs.get("kind")
    if kind not in (None, "supervised", "clip"):
        raise OptionError(
            f"kind of the marker repro is {kind!r}; it must be 'supervised' or 'clip'"
        )
    family = marker.kwargs.get("family", "*")

    def selected(case: Case) -> bool:
        return kind in (None, case.kind) and fnmatchcase(case.family.id, family)

    return selected
