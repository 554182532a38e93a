"""Find out what is in force.

The command line counts before the marker, the marker before the ini file, that before
the environment variable, and that before the default.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pytest

from repro.errors import OptionError
from repro.plugin.option import Option
from repro.plugin.options import OPTIONS, SELECTORS, Settings
from repro.plugin.places import invoked_in


def add_options(parser: pytest.Parser) -> None:
    """Register all options and their ini twins."""
    group = parser.getgroup("repro", "repro: published numbers, checked")
    for option in OPTIONS:
        if option.flag:
            group.addoption(
                option.flag_name, action="store_true", default=None, help=option.help
            )
        else:
            group.addoption(
                option.flag_name,
                action="append" if option.repeatable else "store",
                default=None,
                metavar=option.metavar,
                help=option.help,
            )
        kind: Literal["args", "string"] = "args" if option.repeatable else "string"
        parser.addini(option.ini_name, option.help, type=kind, default=None)


def read_settings(
    config: pytest.Config, marker: Mapping[str, Any], folder: Path
) -> Settings:
    """Find out what is in force for a test.

    Args:
        config: of the run.
        marker: keyword arguments of the test's `repro` marker.
        folder: of the test's module; paths in the marker start from it.

    Raises:
        OptionError: a value is not allowed, or the marker has an unknown keyword.
    """
    allowed = [option.name for option in OPTIONS if option.in_marker]
    for keyword in marker:
        if keyword not in (*allowed, *SELECTORS):
            raise OptionError(
                f"the marker repro does not know {keyword!r}; "
                f"it takes {', '.join((*SELECTORS, *allowed))}"
            )
    values = {option.name: _value(option, config, marker, folder) for option in OPTIONS}
    return Settings(**values)


def check_options(config: pytest.Config) -> None:
    """Read what command line and ini file say, before any process is started.

    What the environment says counts where cases are selected, and is read then.

    Raises:
        UsageError: a value is not allowed.
    """
    for option in OPTIONS:
        given = _given(option, config, {}, config.rootpath)
        if given is None or (given[2] == option.variable and not asks(config)):
            continue
        try:
            _read(option, *given)
        except OptionError as error:
            raise pytest.UsageError(str(error)) from error


def asks(config: pytest.Config) -> bool:
    """Whether command line or ini file ask repro for anything."""
    return any(
        config.getoption(option.flag_name) is not None
        or config.getini(option.ini_name) not in (None, [], "")
        for option in OPTIONS
    )


def measures_nothing(config: pytest.Config) -> bool:
    """Whether pytest was only asked what it would do, and runs no test."""
    flags = "collectonly setuponly setupplan showfixtures show_fixtures_per_test"
    return any(getattr(config.option, flag, False) for flag in flags.split())


def names_expected(config: pytest.Config) -> bool:
    """Whether the whole run was given published numbers, before anything is collected.

    What only a marker names is known later.
    """
    option = next(option for option in OPTIONS if option.name == "expected")
    return _given(option, config, {}, config.rootpath) is not None


def summary(settings: Settings) -> str:
    """Say in one line what is in force."""
    parts = [
        "expected " + ", ".join(map(_short, settings.expected)),
        f"data {_short(settings.data or 'of the release')}",
        f"checkpoints {_short(settings.checkpoints or 'of the release')}",
        f"cache {_short(settings.cache or 'none')}",
        f"device {settings.device}",
        settings.precision,
    ]
    if settings.accelerate != ("auto",):
        parts.append(f"accelerated by {', '.join(settings.accelerate) or 'nothing'}")
    if settings.batch_size:
        parts.append(f"batches of {settings.batch_size}")
    if settings.limit:
        parts.append(f"limit {settings.limit:,} images")
    if settings.no_early_stop:
        parts.append("no early stop")
    if settings.no_diagnose:
        parts.append("no diagnosis")
    elif settings.diagnose:
        parts.append("diagnosing every case")
    if settings.strict:
        parts.append("strict")
    if settings.engine != "local":
        parts.append(f"engine {settings.engine}")
    if settings.shard:
        parts.append(f"shard {settings.shard}")
    if settings.download:
        parts.append("downloading what is missing")
    return "repro: " + ", ".join(parts)


def _value(
    option: Option, config: pytest.Config, marker: Mapping[str, Any], folder: Path
) -> Any:
    """Read an option, or find what counts where it was not given."""
    given = _given(option, config, marker, folder)
    if given is not None:
        return _read(option, *given)
    return option.otherwise(config) if option.otherwise else option.default


def _given(
    option: Option, config: pytest.Config, marker: Mapping[str, Any], folder: Path
) -> tuple[Any, Path, str] | None:
    """Find the first place that has a value; give it, where paths start, and its name.

    A value can be read as None, as `none` is.
    """
    ini_folder = config.inipath.parent if config.inipath else config.rootpath
    started = invoked_in(config)
    found: list[tuple[Any, Path, str]] = [
        (config.getoption(option.flag_name), started, option.flag_name),
        (marker.get(option.name), folder, f"{option.name} of the marker repro"),
        (config.getini(option.ini_name), ini_folder, f"ini {option.ini_name}"),
        (os.environ.get(option.variable), started, option.variable),
    ]
    return next((f for f in found if f[0] is not None and f[0] not in ([], "")), None)


def _read(option: Option, given: Any, base: Path, place: str) -> Any:
    def read(text: Any) -> Any:
        try:
            return option.read(str(text), base)
        except ValueError as error:
            expected = (
                "must be a whole number" if "invalid literal" in str(error) else error
            )
            raise OptionError(f"{place} is {str(text)!r}; it {expected}") from error

    if not option.repeatable:
        return read(given)
    several = given.split(os.pathsep) if isinstance(given, str) else given
    return tuple(read(text) for text in several)


def _short(value: object) -> str:
    """Write a path below the home or the current folder shortly."""
    if isinstance(value, Path):
        for base, sign in ((Path.cwd(), ""), (Path.home(), "~/")):
            if value.is_relative_to(base) and value != base:
                return f"{sign}{value.relative_to(base)}"
    return str(value)
