"""Which cases and claims a marked test gets, in which order, and which run here."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from operator import itemgetter
from typing import TYPE_CHECKING, Any, get_args

import pytest

from repro.errors import OptionError, ReproError
from repro.options.table import Settings
from repro.plugin import MARKER, workers
from repro.plugin.engines import costs_of, engine_of
from repro.plugin.items import (
    SETTINGS,
    case_of,
    claim_of,
    remember_settings,
    with_cases,
)
from repro.plugin.settings import read_settings, refuse_lost_ini
from repro.words import listed

if TYPE_CHECKING:
    from repro.cases import Case
    from repro.published import Release

#: What pytest calls the values of a parameter.
Values = list[Any]

_CASES: pytest.StashKey[dict[tuple[object, ...], list[Case]]] = pytest.StashKey()


def parametrize(metafunc: pytest.Metafunc) -> None:
    """Give a marked test one parameter set for each case, or claim, that it asks for.

    Raises:
        CollectError: options, marker or published numbers are wrong.
    """
    marker = metafunc.definition.get_closest_marker(MARKER)
    asked = [name for name in _VALUES if name in metafunc.fixturenames]
    if marker is None or not asked:
        return
    folder = metafunc.definition.path.parent
    try:
        _check(marker)
        refuse_lost_ini(metafunc.config)
        settings = read_settings(metafunc.config, marker.kwargs, folder)
        engine_of(metafunc.config, settings)  # it may refuse to have workers
        found = {n: _VALUES[n](metafunc.config, settings, marker) for n in asked}
    except ReproError as error:
        raise pytest.Collector.CollectError(str(error)) from error
    for name, values in reversed(found.items()):
        # Unlike a call of metafunc.parametrize, a mark counts before a fixture of this
        # name that the project has, with parameters of its own or without.
        mark = pytest.mark.parametrize(name, values)
        metafunc.definition.add_marker(mark, append=False)


def all_cases(config: pytest.Config, settings: Settings) -> list[Case]:
    """List the cases of the published numbers in force, in the order to run them.

    Raises:
        OptionError: no published numbers are named.
        ExpectedError: they cannot be read.
    """
    from repro.cases import list_cases, order_for_running
    from repro.planning.costs import Costs

    known = config.stash.setdefault(_CASES, {})
    key = settings.expected, settings.checkpoints
    if key not in known:
        cases = list_cases(_releases(settings), settings.checkpoints)
        # Where a run goes on from a test of the last one, both need the same order,
        # also when that one has found out how long cases take.
        is_stable = config.getoption("stepwise", False) and not settings.costs
        costs = Costs() if is_stable else costs_of(config, settings, cases)
        known[key] = order_for_running(cases, lambda case: costs.of(case).in_all)
    return known[key]


def order_of_cases(config: pytest.Config) -> dict[str, int]:
    """Give the place of each case, by its id, among all that were listed."""
    return {
        case.id: place
        for cases in config.stash.get(_CASES, {}).values()
        for place, case in enumerate(cases)
    }


def _releases(settings: Settings) -> list[Release]:
    from repro.published import read_releases

    if not settings.expected:
        raise OptionError(
            "no published numbers: name a TOML file or a folder of them with "
            "--repro-expected, or 'embedded' for the release that is shipped with repro"
        )
    return read_releases(settings.expected)


def _check(marker: pytest.Mark) -> None:
    """Refuse what does not depend on the published numbers.

    Raises:
        OptionError: the marker has arguments, or no such kind.
    """
    if marker.args:
        raise OptionError(
            f"the marker repro takes keywords only, not {marker.args[0]!r}; "
            'for example @pytest.mark.repro(kind="supervised")'
        )
    kind = marker.kwargs.get("kind")
    if kind not in (None, "supervised", "clip"):
        raise OptionError(
            f"kind of the marker repro is {kind!r}; it must be 'supervised' or 'clip'"
        )


def _cases(config: pytest.Config, settings: Settings, marker: pytest.Mark) -> Values:
    """List the cases that a marker lets through."""
    from repro.published import Kind

    kind, is_wanted = marker.kwargs.get("kind"), _family_pattern(marker)
    cases = all_cases(config, settings)
    _check_family(marker, {id(case.release): case.release for case in cases}.values())
    marks = {name: getattr(pytest.mark, name) for name in get_args(Kind)}
    return [
        pytest.param(case, id=case.id, marks=marks[case.kind])
        for case in cases
        if kind in (None, case.kind) and is_wanted(case.family.id)
    ]


def _claims(config: pytest.Config, settings: Settings, marker: pytest.Mark) -> Values:
    """List the claims that a marker lets through."""
    from repro.claims.evidence import Stated

    kind, is_wanted = marker.kwargs.get("kind"), _family_pattern(marker)
    releases = _releases(settings)
    _check_family(marker, releases)
    return [
        pytest.param(stated, id=stated.id, marks=pytest.mark.claim)
        for release in releases
        for stated in (Stated(release, claim) for claim in release.claims)
        if kind in (None, release.protocols[stated.claim.protocol].kind)
        and any(map(is_wanted, (f for place in stated.claim.places() for f in place)))
    ]


_VALUES: dict[str, Callable[[pytest.Config, Settings, pytest.Mark], Values]] = {
    "case": _cases,
    "claim": _claims,
}


def _family_pattern(marker: pytest.Mark) -> Callable[[str], bool]:
    pattern = marker.kwargs.get("family", "*")
    return lambda family: fnmatchcase(family, pattern)


def _check_family(marker: pytest.Mark, releases: Iterable[Release]) -> None:
    """Refuse a pattern that no family has: its test would have no case, unnoticed.

    Raises:
        OptionError: there are families, and none is named so.
    """
    families = list(dict.fromkeys(f for release in releases for f in release.families))
    if families and not any(map(_family_pattern(marker), families)):
        shown = ", ".join(families[:8]) + (" ..." if len(families) > 8 else "")
        raise OptionError(
            f"family of the marker repro is {marker.kwargs['family']!r}, and no family "
            f"of the published numbers is named so; there are {shown}"
        )


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
    kept = {name for name in ids if any(fnmatchcase(name, p) for p in patterns)}
    _keep(kept, config, items)


def _keep_shard(
    config: pytest.Config, settings: Settings, items: list[pytest.Item]
) -> None:
    """Deselect the cases of other shards, and claims, which need all of them.

    What cases take is that of `--repro-costs`, or else estimated; never a ledger's,
    which the other shards may be writing.

    Raises:
        OptionError: the file of `--repro-costs` holds none.
    """
    from repro.planning.costs import Costs, cases_of_shard, parse_shard

    if settings.shard is None:
        return
    costs = Costs.read(settings.costs) if settings.costs else Costs()
    unique = {case.id: case for _, case in with_cases(items)}
    shard = parse_shard(settings.shard)
    _keep(cases_of_shard(unique.values(), costs, shard), config, items)


def _keep(kept: set[str], config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect claims, and all cases but some."""
    others = {
        item
        for item in items
        if ((case := case_of(item)) and case.id not in kept) or claim_of(item)
    }
    if others:
        config.hook.pytest_deselected(items=[i for i in items if i in others])
        items[:] = [item for item in items if item not in others]
