"""The hooks of the plugin, and nothing else.

pytest loads this module in every project where repro is installed. What is heavy is
imported when a marked test is collected, evaluated or reported.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Generator

import pytest

from repro.plugin import MARKER, add_options, asks, without_effect
from repro.plugin.surroundings import as_they_were, remember_imports

pytest_plugins = ["repro.plugin.fixtures"]

#: Whether no garbage is collected until all tests are.
_PAUSED = pytest.StashKey[bool]()

_MARKERS = (
    "repro(kind, family, **options): run once for each case of published numbers",
    "supervised: a case of a supervised checkpoint (set by repro)",
    "claim: a claim of the paper (set by repro)",
    "clip: a case of a CLIP checkpoint, evaluated zero-shot (set by repro)",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register the options."""
    add_options(parser)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Start again where pytest took the value of an option for a test."""
    # It takes for one only what begins with no hyphen.
    typed = config.invocation_params.args
    added = os.environ.get("PYTEST_ADDOPTS", "").split()
    is_safe = all(argument.startswith("-") for argument in (*typed, *added))
    if is_safe or hasattr(config, "workerinput"):
        return None
    # Where an ini file of this folder or one above was found, nothing was misled.
    started, ini = config.invocation_params.dir, config.inipath
    is_near = ini is not None and ini.parent in (started, *started.parents)
    if is_near and not any(argument.startswith("--repro-") for argument in typed):
        return None
    from repro.plugin.settings import started_again

    return started_again(config)


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers, and what a controller of xdist has to do."""
    for line in _MARKERS:
        config.addinivalue_line("markers", line)
    if not hasattr(config, "workerinput"):
        with as_they_were():
            _prepare(config)


def pytest_unconfigure() -> None:
    """Keep what was imported for a run that follows in this process."""
    if "repro.plugin.items" in sys.modules:
        remember_imports()


def _prepare(config: pytest.Config) -> None:
    if asks(config):
        from repro.plugin.settings import check_options

        check_options(config)
    if config.getoption("dist", "no") != "no" and not config.option.collectonly:
        from repro.plugin.controller import Recovery, Reporting
        from repro.plugin.engines import refuse_workers
        from repro.plugin.settings import names_expected
        from repro.plugin.workers import deal_one_by_one

        refuse_workers(config)
        if names_expected(config):
            deal_one_by_one(config)
        config.pluginmanager.register(Reporting(config), "repro-reporting")
        config.pluginmanager.register(Recovery(config), "repro-recovery")


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Answer `-n auto` where published numbers are checked."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    from repro.plugin.settings import device_of_run
    from repro.plugin.workers import auto_number, is_mine

    return auto_number(device_of_run(config)) if is_mine(config) else None


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give marked tests their cases and claims."""
    if metafunc.definition.get_closest_marker(MARKER) is not None:
        if gc.isenabled():
            # All that is made of published numbers lasts as long as the run: to go
            # through it again and again takes as long as to make it. Nothing is frozen,
            # since that would hide it from others, as from `gc.get_referrers`.
            metafunc.config.stash[_PAUSED] = True
            gc.disable()
        with as_they_were():
            from repro.plugin.selection import parametrize

            parametrize(metafunc)


@pytest.hookimpl(wrapper=True)
def pytest_collection_finish(
    session: pytest.Session,
) -> Generator[None, object, object]:
    """Let garbage be collected again, which comes before all that may fail then."""
    if session.config.stash.get(_PAUSED, False):
        if not gc.get_freeze_count():
            # All that was made is old at once, without being gone through.
            gc.freeze()
            gc.unfreeze()
        gc.enable()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None, object, None]:
    """Order cases, give this process its GPU, and report what comes of them.

    What goes on from the last run, such as `--stepwise`, gets the order in which tests
    run; what shuffles has had its say when they are put in order again.
    """
    if not any(item.get_closest_marker(MARKER) for item in items):
        yield
        return
    from repro.plugin.planned import Leaving
    from repro.plugin.selection import arrange, settle

    arrange(config, items)
    arranged = list(items)
    yield
    if not settle(config, items, arranged):
        return
    if hasattr(config, "workerinput"):
        config.pluginmanager.register(Leaving())
    else:
        from repro.plugin.controller import Reporting

        config.pluginmanager.register(Reporting(config), "repro-reporting")


def pytest_report_collectionfinish(
    config: pytest.Config, items: list[pytest.Item]
) -> list[str]:
    """Say where options of repro were typed and nothing is measured."""
    is_mine = any(item.get_closest_marker(MARKER) for item in items)
    return [] if is_mine else without_effect(config)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let what was found out travel with the report of a marked test."""
    if item.get_closest_marker(MARKER) is None:
        return (yield)
    with as_they_were():
        from repro.plugin import items

        items.settle_cause(call)
    report = yield
    if items.SETTINGS in item.stash:
        with as_they_were():
            items.attach_result(item, report)
            items.keep_headline(call, report)
    return report
