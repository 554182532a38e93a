"""The pytest plugin: hooks, options and fixtures.

Here stands what every start of pytest needs to know of the options, and no more.
"""

from __future__ import annotations

from typing import Any

import pytest

from repro.options.table import OPTIONS

#: What tests of cases and claims are marked with.
MARKER = "repro"

#: TOML that pytest reads as such may have `repro_limit = 100` as it may have "100".
_VALUE: Any = str | int | float | bool if pytest.version_tuple >= (9, 2) else "string"


def add_options(parser: pytest.Parser) -> None:
    """Register all options and their ini twins.

    They are named for pytest, lest it compares each with all that there are.
    """
    group = parser.getgroup("repro", "repro: published numbers, checked")
    for option in OPTIONS.values():
        if option.flag:
            group.addoption(
                option.flag_name,
                dest=option.ini_name,
                action="store_true",
                default=None,
                help=option.help,
            )
        else:
            group.addoption(
                option.flag_name,
                dest=option.ini_name,
                action="append" if option.repeatable else "store",
                default=None,
                metavar=option.metavar,
                help=option.help,
            )
        kind: Any = "args" if option.repeatable else _VALUE
        parser.addini(option.ini_name, option.help, type=kind, default=None)


def asks(config: pytest.Config) -> bool:
    """Whether command line or ini file ask repro for anything."""
    return any(
        config.getoption(option.flag_name) is not None
        or config.getini(option.ini_name) not in (None, [], "")
        for option in OPTIONS.values()
    )


def without_effect(config: pytest.Config) -> list[str]:
    """Say that options were typed for nothing: no test that is selected has a case.

    What stands in the ini file counts for other tests of the project. A file that could
    not be read may have such tests, and its error is what counts.
    """
    session = config.pluginmanager.get_plugin("session")
    if getattr(session, "testsfailed", 0):
        return []
    typed = [a for a in config.invocation_params.args if a.startswith("--repro-")]
    if not typed:
        return []
    many = "have" if len(typed) > 1 else "has"
    return [
        f"repro: {', '.join(typed)} {many} no effect: no selected test is marked with "
        "@pytest.mark.repro"
    ]
