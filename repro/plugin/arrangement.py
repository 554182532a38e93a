"""The order of a run's tests, and which of them this process takes."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase
from operator import itemgetter

import pytest

from repro.options.table import Settings
from repro.plugin import workers
from repro.plugin.costs import shard_costs
from repro.plugin.items import (
    SETTINGS,
    case_of,
    claim_of,
    remember_settings,
    with_cases,
)
from repro.plugin.planned import leave_for_controller
from repro.plugin.selection import order_of_cases
from repro.plugin.settings import measures_nothing
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


def settle(config: pytest.Config, items: list[pytest.Item]) -> bool:
    """Take what is selected: options in force, this shard's part, and a GPU.

    Tell whether anything was selected, though it may be another shard's.
    """
    chosen = [item for item in items if case_of(item) or claim_of(item)]
    if not chosen:
        return False
    for item in chosen:
        remember_settings(item)
    _keep_named(config, chosen[0].stash[SETTINGS].case, items)
    _keep_shard(config, chosen[0].stash[SETTINGS], items)
    if not _goes_on_from_last_run(config):
        arrange(config, items)
    workers.assign_gpu(config, {item.stash[SETTINGS].device or "" for item in chosen})
    if workers.is_worker(config) and not measures_nothing(config):
        leave_for_controller(config, items)
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
    from repro.planning.shards import cases_of_shard, parse_shard

    if settings.shard is None:
        return
    unique = {case.id: case for _, case in with_cases(items)}
    shard = parse_shard(settings.shard)
    kept = cases_of_shard(list(unique.values()), shard_costs(settings), shard)

    def stays(item: pytest.Item) -> bool:
        case = case_of(item)
        return case.id in kept if case else claim_of(item) is None

    _deselect(config, items, [item for item in items if not stays(item)])
