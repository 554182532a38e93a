"""The order of a run's tests, and which of them this process takes."""

from __future__ import annotations

import pytest

from repro.plugin import workers
from repro.plugin.claims import claim_of, put_claims_last
from repro.plugin.planned import leave_for_controller
from repro.plugin.planning import keep_shard
from repro.plugin.selection import (
    SETTINGS,
    case_of,
    keeps_order,
    order_items,
    remember_settings,
)
from repro.plugin.settings import measures_nothing


def arrange(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Sort the tests of cases as cases are sorted, and claims behind them."""
    order_items(config, items)
    put_claims_last(items)


def settle(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take what is selected: options in force, this shard's part, and a GPU."""
    chosen = [item for item in items if case_of(item) or claim_of(item)]
    if not chosen:
        return
    config.stash[workers.SELECTED] = True
    for item in chosen:
        remember_settings(config, item)
    keep_shard(config, chosen[0].stash[SETTINGS], items)
    if keeps_order(config):
        arrange(config, items)
    workers.assign_gpu(config)
    if workers.is_worker(config) and not measures_nothing(config):
        leave_for_controller(config, items)
