"""Find out what is in force.

The command line counts before the marker, the marker before the ini file, that before
the environment variable, and that before the default.

pytest looks for its root folder before it loads plugins. It cannot know then that the
folder in `--repro-data FOLDER` is not a test, and looks for the ini file there: that is
noticed here, and pytest started again.
"""

from __future__ import annotations

import inspect
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from repro.errors import OptionError
from repro.options.option import (
    COMMAND_LINE,
    ENVIRONMENT,
    INI,
    MARKER,
    Given,
    Option,
    refuse_empty,
)
from repro.options.table import OPTIONS, SELECTORS, Settings, refuse_misprints
from repro.words import counted


def project(config: pytest.Config) -> Path:
    """Give the folder of the project whose tests run: that of pytest's ini file.

    Without one pytest guesses it from all arguments that are paths, also from the value
    of an option: with images elsewhere it may be the root of the file system.
    """
    is_known = config.inipath is not None or config.getoption("rootdir") is not None
    return config.rootpath if is_known else invoked_in(config)


def invoked_in(config: pytest.Config) -> Path:
    """Give the folder that pytest was started in."""
    return config.invocation_params.dir


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
    from repro.options.contradictions import settle

    allowed = [name for name, option in OPTIONS.items() if option.in_marker]
    for keyword in marker:
        if keyword not in (*allowed, *SELECTORS):
            raise OptionError(
                f"the marker repro does not know {keyword!r}; "
                f"it takes {', '.join((*SELECTORS, *allowed))}"
            )
    for selector in SELECTORS:
        refuse_empty(marker.get(selector), f"{selector} of the marker repro")
    refuse_misprints()
    values: dict[str, Any] = {}
    places: dict[str, Given] = {}
    for name, option in OPTIONS.items():
        found = _given(option, config, marker, folder)
        if found is None:
            values[name] = option.in_absence(project(config))
        else:
            given, base, places[name] = found
            values[name] = option.read_given(given, base, places[name].name)
    return Settings(**settle(values, places))


def check_options(config: pytest.Config) -> None:
    """Read what command line and ini file ask, before any process is started.

    Where only the environment says something, that counts once cases are selected.

    Raises:
        UsageError: a value is not allowed, or has no effect beside another.
    """
    try:
        read_settings(config, {}, config.rootpath)
    except OptionError as error:
        raise pytest.UsageError(str(error)) from error


def measures_nothing(config: pytest.Config) -> bool:
    """Whether pytest was only asked what it would do, and runs no test."""
    flags = "collectonly setuponly setupplan showfixtures show_fixtures_per_test"
    return any(getattr(config.option, flag, False) for flag in flags.split())


def names_expected(config: pytest.Config) -> bool:
    """Whether the whole run was given published numbers, before anything is collected.

    What only a marker names is known later.
    """
    return _given(Settings.expected, config, {}, config.rootpath) is not None


def device_of_run(config: pytest.Config) -> str:
    """Give the device of tests whose marker names none, before they are collected."""
    try:
        return read_settings(config, {}, config.rootpath).device
    except OptionError:
        # It is said where the run is refused.
        return Settings.device.default or "auto"


#: What is said of a precision that is no arithmetic.
_PRECISION = {None: "precision as published", "guarded": "guarded precision"}


def summary(settings: Settings, started: Path) -> str:
    """Say in one line what is in force.

    Args:
        settings: in force.
        started: folder that pytest was started in, from which paths are written.
    """

    def short(value: object) -> str:
        return _short(value, started)

    parts = [
        "expected " + ", ".join(map(short, settings.expected)),
        f"data {short(settings.data or 'of the release')}",
        f"checkpoints {short(settings.checkpoints or 'of the release')}",
        f"cache {short(settings.cache or 'none')}",
        f"device {settings.device}",
        _PRECISION.get(settings.precision) or str(settings.precision),
    ]
    if settings.accelerate != ("auto",):
        parts.append(f"accelerated by {', '.join(settings.accelerate) or 'nothing'}")
    if settings.batch_size:
        size = settings.batch_size
        said = "a remembered size" if size == "remembered" else f"{size:,}"
        parts.append(f"batches of {said}")
    if settings.case:
        parts.append(f"cases {', '.join(settings.case)}")
    if settings.limit:
        parts.append(f"limit {counted(settings.limit, 'image')}")
    parts += ["no early stop"] * settings.no_early_stop
    if settings.diagnose_share != Settings.diagnose_share.default:
        share = f"{100 * settings.diagnose_share:.3g} %"
        parts.append(f"{share} of an evaluation for each suspect")
    if settings.diagnose_time:
        parts.append(f"{settings.diagnose_time:,} s for a diagnosis")
    if settings.no_diagnose:
        parts.append("no diagnosis")
    elif settings.diagnose:
        parts.append("diagnosing every case")
    if settings.strict:
        parts.append("strict")
    if settings.engine != Settings.engine.default:
        place = f" at {settings.ray_address}" if settings.ray_address else ""
        parts.append(f"engine {settings.engine}{place}")
    if settings.shard:
        parts.append(f"shard {settings.shard}")
    allowed = {
        "downloading what is missing": settings.download,
        "running code of releases": settings.run_code,
    }
    parts += [words for words, is_allowed in allowed.items() if is_allowed]
    return "repro: " + ", ".join(parts)


def _given(
    option: Option[Any], config: pytest.Config, marker: Mapping[str, Any], folder: Path
) -> tuple[Any, Path, Given] | None:
    """Find the first place that has a value; give it, where paths start, and the place.

    A value can be read as None, as `none` is.

    Raises:
        OptionError: it is empty where it could have been left out.
    """
    for given, base, place in _places(option, config, marker, folder):
        if place.rank <= MARKER:
            refuse_empty(given, place.name)
        if given is not None and given not in ([], ""):
            return given, base, place
    return None


def _places(
    option: Option[Any], config: pytest.Config, marker: Mapping[str, Any], folder: Path
) -> Iterator[tuple[Any, Path, Given]]:
    """Look into each place, the strongest first."""
    started, named = invoked_in(config), option.flag_name
    yield config.getoption(named), started, Given(COMMAND_LINE, named)
    said = f"{option.name} of the marker repro"
    yield marker.get(option.name), folder, Given(MARKER, said)
    written = config.inipath.parent if config.inipath else config.rootpath
    ini = option.ini_name
    yield config.getini(ini), written, Given(INI, f"ini {ini}")
    variable = option.variable
    yield os.environ.get(variable), started, Given(ENVIRONMENT, variable)


def _short(value: object, started: Path) -> str:
    """Write a path below the home or the folder of the start shortly."""
    from repro.files import at_home

    if isinstance(value, Path):
        value = Path(os.path.normpath(value))  # tests/../expected
        for base, sign in ((started, ""), (at_home("~"), "~/")):
            if value.is_relative_to(base) and value != base:
                return f"{sign}{value.relative_to(base)}"
    return str(value)


def started_again(config: pytest.Config) -> int | None:
    """Start pytest with `--option=value` where the space misled it; give its status.

    None where it was not misled: what was parsed counts.

    Raises:
        UsageError: it was misled by something else, and options of repro were lost.
    """
    typed = list(config.invocation_params.args)
    asked = any(argument.startswith("--repro-") for argument in typed)
    ini = config.inipath
    meant = _meant(config, typed)
    if meant is None or meant == (config.rootpath, ini):
        return None
    joined = join_values(typed)
    if joined != typed:
        return int(
            pytest.main(joined, plugins=list(config.invocation_params.plugins or ()))
        )
    if meant[1] is not None and meant[1] != ini and (asked or _is_ours(meant[1])):
        raise pytest.UsageError(
            f"{meant[1]} was not read, but {ini or 'no ini file at all'}: pytest took "
            "the value of an option for a test; write each as --option=value, or add "
            f"-c {shlex.quote(str(meant[1]))}"
        )
    return None


def refuse_lost_ini(config: pytest.Config) -> None:
    """Refuse to measure without the settings of the folder that pytest was started in.

    Where tests are named that stand elsewhere, pytest looks there alone for a file.

    Raises:
        OptionError: no ini file was read, and one is there that is for repro.
    """
    if config.inipath is not None or config.getoption("rootdir") is not None:
        return
    found = _determined(config, [], None)
    if found and found[1] is not None and _is_ours(found[1]):
        raise OptionError(
            f"{found[1]} was not read, since tests outside of its folder are named; "
            f"add -c {shlex.quote(str(found[1]))}, or run them from their own folder"
        )


def join_values(arguments: Sequence[str]) -> list[str]:
    """Write `--repro-data FOLDER` as `--repro-data=FOLDER`; leave all else alone."""
    takers = {option.flag_name for option in OPTIONS.values() if not option.flag}
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] in takers:
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def _meant(
    config: pytest.Config, typed: Sequence[str]
) -> tuple[Path, Path | None] | None:
    """Find root folder and ini file from those arguments that are tests.

    None where that cannot be told.
    """
    everything = [*typed, *shlex.split(os.environ.get("PYTEST_ADDOPTS", ""))]
    if any(argument.startswith("@") for argument in everything):
        return None
    # What stands in the ini file is read when that has been found. With --help pytest
    # parses nothing else.
    parsed = getattr(config.option, "file_or_dir", None) or []
    tests = [test for test in parsed if test in everything]
    names_root = any(argument.startswith("--rootdir") for argument in everything)
    return _determined(config, tests, config.option.rootdir if names_root else None)


def _determined(
    config: pytest.Config, tests: list[str], root: str | None
) -> tuple[Path, Path | None] | None:
    """Ask pytest for root folder and ini file of some tests; None where it fails."""
    from _pytest.config import findpaths

    known: dict[str, Any] = {
        "inifile": config.option.inifilename,
        "override_ini": None,
        "args": tests,
        "rootdir_cmd_arg": root,
        "invocation_dir": invoked_in(config),
    }
    determine: Any = findpaths.determine_setup
    accepted = inspect.signature(determine).parameters
    try:
        folder, ini, *_ = determine(**{name: known[name] for name in accepted})
    except (KeyError, TypeError, pytest.UsageError):
        return None
    return folder, ini


def _is_ours(file: Path) -> bool:
    """Whether an ini file sets options of repro."""
    return "repro_" in file.read_text(encoding="utf-8", errors="replace")
