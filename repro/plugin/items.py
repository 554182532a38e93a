"""Tests that are marked: what is in force for them, and what they are about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from repro.plugin import MARKER

if TYPE_CHECKING:
    from repro.cases import Case
    from repro.claims.evidence import Stated
    from repro.options.table import Settings

#: What is in force for a test that has a case or a claim.
SETTINGS: pytest.StashKey[Settings] = pytest.StashKey()

_IS_MARKED: pytest.StashKey[bool] = pytest.StashKey()


def case_of(item: pytest.Item) -> Case | None:
    """Give the case of a test, if it has one."""
    from repro.cases import Case

    found = _parameter(item, "case")
    return found if isinstance(found, Case) else None


def claim_of(item: pytest.Item) -> Stated | None:
    """Give the claim of a test, if it has one."""
    from repro.claims.evidence import Stated

    found = _parameter(item, "claim")
    return found if isinstance(found, Stated) else None


def with_cases(items: Iterable[pytest.Item]) -> Iterator[tuple[pytest.Item, Case]]:
    """Go through those tests that have a case."""
    for item in items:
        case = case_of(item)
        if case is not None:
            yield item, case


def remember_settings(items: Iterable[pytest.Item]) -> None:
    """Find out what is in force for tests and keep it with them."""
    from repro.plugin.settings import read_settings

    # A marked test may run for thousands of cases; all of them are set up alike.
    known: dict[tuple[int, pytest.Item | pytest.Collector | None], Settings] = {}
    for item in items:
        marker = item.get_closest_marker(MARKER)
        key = id(marker), item.parent
        if key not in known:
            keywords = marker.kwargs if marker else {}
            known[key] = read_settings(item.config, keywords, item.path.parent)
        item.stash[SETTINGS] = known[key]


def _parameter(item: pytest.Item, name: str) -> Any:
    """Give a parameter of a marked test; pytest's placeholder where there was none."""
    callspec = getattr(item, "callspec", None)
    found = callspec.params.get(name) if callspec else None
    if found is None:
        return None
    # It is asked for each of thousands of tests again and again.
    if _IS_MARKED not in item.stash:
        item.stash[_IS_MARKED] = item.get_closest_marker(MARKER) is not None
    return found if item.stash[_IS_MARKED] else None
