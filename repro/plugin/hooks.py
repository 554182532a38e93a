"""The hooks of the plugin, and nothing else.

pytest loads this module in every project where repro is installed. What is heavy is
imported when a case is collected, evaluated or reported.
"""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

from repro.plugin import workers
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
from repro.plugin.recovery import Recovery
from repro.plugin.reporting import Reporting
from repro.plugin.settings import (
    add_options,
    asks,
    check_options,
    measures_nothing,
    names_expected,
    summary,
)

MARKER = "repro"

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


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Start again where pytest took the value of an option for a test."""
    if workers.is_worker(config):
        return None
    from repro.plugin.rootdir import started_again

    return started_again(config)


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
        check_options(config)
        if asks(config):
            from repro.plugin.cluster import refuse_workers

            refuse_workers(config)
        if names_expected(config):
            workers.deal_one_by_one(config)
        config.pluginmanager.register(Reporting(config), "repro-reporting")
        config.pluginmanager.register(Recovery(config), "repro-recovery")


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Answer `-n auto` where published numbers are checked."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    from repro.plugin.sources import mention_marker

    is_mine = names_expected(config) or mention_marker(config)
    return workers.auto_number() if is_mine else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give marked tests their cases."""
    if metafunc.definition.get_closest_marker(MARKER) is None:
        return
    from repro.plugin.claims import parametrize_claims
    from repro.plugin.selection import parametrize

    parametrize(metafunc)
    parametrize_claims(metafunc)


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None, None, None]:
    """Order cases and give this process its GPU.

    What goes on from the last run, such as `--stepwise`, gets the order in which tests
    run; what shuffles has had its say when they are put in order again.
    """
    if any(item.get_closest_marker(MARKER) for item in items):
        from repro.plugin.arrangement import arrange, settle

        arrange(config, items)
        yield
        settle(config, items)
    else:
        yield


def pytest_report_collectionfinish(
    config: pytest.Config, items: list[pytest.Item]
) -> list[str]:
    """Say what is in force, if a case was selected."""
    if workers.SELECTED not in config.stash:
        return []
    from repro.plugin.planning import download_lines, plan_line
    from repro.plugin.selection import SETTINGS, planned_cases

    chosen = [item for item in items if SETTINGS in item.stash]
    lines = list(dict.fromkeys(summary(item.stash[SETTINGS]) for item in chosen))
    is_local = chosen and chosen[0].stash[SETTINGS].engine == "local"
    if is_local and not measures_nothing(config):
        cases = list({case.id: case for case in planned_cases(chosen)}.values())
        lines.append(plan_line(config, chosen[0].stash[SETTINGS], cases))
        lines += download_lines(chosen[0].stash[SETTINGS], cases)
    return lines


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a case's result travel with its report."""
    if item.get_closest_marker(MARKER) is None:
        return (yield)
    from repro.plugin.claims import attach_claim, claim_of
    from repro.plugin.selection import case_of
    from repro.plugin.session import attach_result, keep_headline, settle_cause

    settle_cause(call)
    report = yield
    if case_of(item) or claim_of(item):
        (attach_result if case_of(item) else attach_claim)(item, report)
        keep_headline(call, report)
    return report
