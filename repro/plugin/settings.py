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
from repro.plugin.contradictions import (
    COMMAND_LINE,
    ENVIRONMENT,
    INI,
    MARKER,
    Given,
    settle,
)
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
        OptionError: a value is not allowed or can have no effect, or the marker has an
            unknown keyword.
    """
    allowed = [option.name for option in OPTIONS if option.in_marker]
    for keyword in marker:
        if keyword not in (*allowed, *SELECTORS):
            raise OptionError(
                f"the marker repro does not know {keyword!r}; "
                f"it takes {', '.join((*SELECTORS, *allowed))}"
            )
    _check_variables()
    values: dict[str, Any] = {}
    places: dict[str, Given] = {}
    for option in OPTIONS:
        _refuse_empty(option, config, marker)
        found = _given(option, config, marker, folder)
        if found is None:
            values[option.name] = (
                option.otherwise(config) if option.otherwise else option.default
            )
        else:
            values[option.name] = _read(option, *found)
            places[option.name] = found[2]
    return Settings(**settle(values, places))


def _refuse_empty(
    option: Option, config: pytest.Config, marker: Mapping[str, Any]
) -> None:
    """Refuse what a shell makes of a variable that is not set.

    In the ini file and in the environment it stands for leaving the option out.
    """
    for value, name in (
        (config.getoption(option.flag_name), option.flag_name),
        (marker.get(option.name), f"{option.name} of the marker repro"),
    ):
        if value == "" or (isinstance(value, list | tuple) and "" in value):
            raise OptionError(f"{name} is empty; give a value, or leave it out")


def check_options(config: pytest.Config) -> None:
    """Read what is asked of the whole run, before any process is started.

    Where only the environment says something, that counts once cases are selected.

    Raises:
        UsageError: a value is not allowed, or has no effect beside another.
    """
    if not asks(config):
        return
    try:
        read_settings(config, {}, config.rootpath)
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
        settings.precision or "precision as published",
    ]
    if settings.accelerate != ("auto",):
        parts.append(f"accelerated by {', '.join(settings.accelerate) or 'nothing'}")
    if settings.batch_size:
        parts.append(f"batches of {settings.batch_size}")
    if settings.limit:
        parts.append(f"limit {settings.limit:,} images")
    if settings.no_early_stop:
        parts.append("no early stop")
    if settings.diagnose_share != Settings.diagnose_share:
        share = f"{100 * settings.diagnose_share:.3g} %"
        parts.append(f"{share} of an evaluation for each suspect")
    if settings.no_diagnose:
        parts.append("no diagnosis")
    elif settings.diagnose:
        parts.append("diagnosing every case")
    if settings.strict:
        parts.append("strict")
    if settings.engine != Settings.engine:
        parts.append(f"engine {settings.engine}")
    if settings.shard:
        parts.append(f"shard {settings.shard}")
    if settings.download:
        parts.append("downloading what is missing")
    return "repro: " + ", ".join(parts)


def _check_variables() -> None:
    """Refuse variables of the environment that are an option's but for a misprint.

    Others that begin with REPRO_ may belong to somebody else.
    """
    import difflib

    known = [option.variable for option in OPTIONS]
    for name in os.environ:
        if name.startswith("REPRO_") and name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.9)
            if near:
                raise OptionError(
                    f"the environment variable {name} is not known; correct it to "
                    f"{near[0]}, or unset it"
                )


def _given(
    option: Option, config: pytest.Config, marker: Mapping[str, Any], folder: Path
) -> tuple[Any, Path, Given] | None:
    """Find the first place that has a value; give it, where paths start, and the place.

    A value can be read as None, as `none` is.
    """
    ini_folder = config.inipath.parent if config.inipath else config.rootpath
    started = invoked_in(config)
    said = f"{option.name} of the marker repro"
    found: list[tuple[Any, Path, Given]] = [
        (
            config.getoption(option.flag_name),
            started,
            Given(COMMAND_LINE, option.flag_name),
        ),
        (marker.get(option.name), folder, Given(MARKER, said)),
        (
            config.getini(option.ini_name),
            ini_folder,
            Given(INI, f"ini {option.ini_name}"),
        ),
        (
            os.environ.get(option.variable),
            started,
            Given(ENVIRONMENT, option.variable),
        ),
    ]
    return next((f for f in found if f[0] is not None and f[0] not in ([], "")), None)


def _read(option: Option, given: Any, base: Path, place: Given) -> Any:
    def read(text: Any) -> Any:
        try:
            return option.read(str(text), base)
        except ValueError as error:
            expected = (
                "must be a whole number" if "invalid literal" in str(error) else error
            )
            raise OptionError(
                f"{place.name} is {str(text)!r}; it {expected}"
            ) from error

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
