"""The hooks of the plugin, and nothing else.

pytest loads this module in every project where repro is installed. What is heavy is
imported when a case is collected, evaluated or reported.
"""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

from repro.plugin import workers
from repro.plugin.claims import (
    attach_claim,
    claim_of,
    parametrize_claims,
    put_claims_last,
)
from repro.plugin.cluster import refuse_workers
from repro.plugin.fixtures import (
    _runner,
    case,
    claim,
    classifier,
    dataset,
    evaluate,
    model,
    reproduce,
    uphold,
    zeroshot_classifier,
)
from repro.plugin.planning import download_lines, keep_shard, plan_line
from repro.plugin.recovery import Recovery
from repro.plugin.reporting import Reporting
from repro.plugin.selection import (
    SETTINGS,
    case_of,
    order_items,
    parametrize,
    planned_cases,
    remember_settings,
)
from repro.plugin.settings import add_options, names_expected, summary

__all__ = [
    "_runner",
    "case",
    "claim",
    "classifier",
    "dataset",
    "evaluate",
    "model",
    "reproduce",
    "uphold",
    "zeroshot_classifier",
]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register the options."""
    add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers."""
    for line in (
        "repro(kind, family, **options): run once for each case of published numbers",
        "supervised: a case of a supervised checkpoint (set by repro)",
        "claim: a claim of the paper (set by repro)",
        "clip: a case of a CLIP checkpoint, evaluated zero-shot (set by repro)",
    ):
        config.addinivalue_line("markers", line)
    if not workers.is_worker(config):
        refuse_workers(config)
        if names_expected(config):
            workers.deal_one_by_one(config)
        config.pluginmanager.register(Reporting(config), "repro-reporting")
        config.pluginmanager.register(Recovery(config), "repro-recovery")


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Answer `-n auto` where published numbers are checked."""
    asked = "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ
    return workers.auto_number() if names_expected(config) and not asked else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give marked tests their cases."""
    parametrize(metafunc)
    parametrize_claims(metafunc)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Order cases and give this process its GPU."""
    chosen = [item for item in items if case_of(item) or claim_of(item)]
    for item in chosen:
        remember_settings(config, item)
    if chosen:
        keep_shard(config, chosen[0].stash[SETTINGS], items)
        order_items(config, items)
        put_claims_last(items)
        workers.assign_gpu(config)


def pytest_report_collectionfinish(
    config: pytest.Config, items: list[pytest.Item]
) -> list[str]:
    """Say what is in force, if a case was selected."""
    chosen = [item for item in items if SETTINGS in item.stash]
    lines = list(dict.fromkeys(summary(item.stash[SETTINGS]) for item in chosen))
    is_local = chosen and chosen[0].stash[SETTINGS].engine == "local"
    if is_local and not config.option.collectonly:
        cases = planned_cases(chosen)
        lines.append(plan_line(config, chosen[0].stash[SETTINGS], cases))
        lines += download_lines(chosen[0].stash[SETTINGS], cases)
    return lines


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a case's result travel with its report."""
    report = yield
    if case_of(item) or claim_of(item):
        from repro.plugin.session import attach_result, keep_headline

        (attach_result if case_of(item) else attach_claim)(item, report)
        keep_headline(call, report)
    return report
