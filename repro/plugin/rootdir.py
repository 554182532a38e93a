"""Where pytest took the value of an option for a test, and so lost its ini file.

pytest looks for its root folder before it loads plugins. It cannot know then that the
folder in `--repro-data FOLDER` is not a test, and looks for the ini file there.
"""

from __future__ import annotations

import inspect
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from repro.errors import OptionError
from repro.options.table import OPTIONS
from repro.plugin.settings import invoked_in


def started_again(config: pytest.Config) -> int | None:
    """Start pytest with `--option=value` where the space misled it; give its status.

    None where it was not misled: what was parsed counts.

    Raises:
        UsageError: it was misled by something else, and options of repro were lost.
    """
    typed = list(config.invocation_params.args)
    asked = any(argument.startswith("--repro-") for argument in typed)
    started = invoked_in(config)
    ini = config.inipath
    is_near = ini is not None and ini.parent in (started, *started.parents)
    if is_near and not asked:
        return None
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
