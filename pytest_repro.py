"""What pytest loads in every project: the plugin, where `repro` is ours.

`python -m pytest` looks for modules in the current folder first, and scripts that
reproduce something are often called `repro.py`. Such a one is neither run nor does it
end pytest. Where ours is found, and the project has a `repro` too, all modules get the
one that is imported first: that of the project, unless it asks for the plugin.
"""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

_FOUND = importlib.util.find_spec("repro")
_PLACES = (_FOUND.submodule_search_locations if _FOUND else None) or ()
_OURS = Path("plugin", "hooks.py")
#: The zip that it is imported from, if it is.
_ARCHIVE = getattr(_FOUND.loader, "archive", "") if _FOUND else ""

#: What an ini file has that asks for the plugin.
_ASKING = r"(?m)^\s*repro_\w+\s*=|--repro-|pytest[-_]repro"


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    """Load the plugin where it can be, unless that would take a project its own."""
    config: Any = pluginmanager.get_plugin("pytestconfig")
    namesake = _namesake(config)
    if not any(Path(place, _OURS).is_file() for place in _PLACES):
        place = _FOUND.origin if _FOUND else None
        pluginmanager.register(_Absent(str(place or namesake or "nothing")))
    elif namesake is None or _is_asked_for(config):
        pluginmanager.import_plugin("repro.plugin.hooks")
        if namesake is not None:
            pluginmanager.register(_Preferred(namesake))
    else:
        pluginmanager.register(_Absent(str(namesake)))


class _Absent:
    """Says why the plugin is not there, to those who want something of it.

    Args:
        place: of what is called as it is.
    """

    def __init__(self, place: str) -> None:
        self._reason = (
            f"repro lies in {_ARCHIVE}, and reads files that have to lie in a folder: "
            "install pytest-repro with pip"
            if _ARCHIVE
            else f"repro is {place} here, and not the plugin: rename it, or start "
            "pytest as `pytest -p repro` and not as `python -m pytest`"
        )

    def pytest_load_initial_conftests(self, args: list[str]) -> None:
        """Refuse options that are not known.

        Raises:
            UsageError: a project that has a `repro` of its own uses the plugin.
        """
        if any(argument.startswith("--repro-") for argument in args):
            raise pytest.UsageError(self._reason)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Add the reason to the error of a marked test that gets no case."""
        report = yield
        is_lacking = call.excinfo and call.excinfo.typename == "FixtureLookupError"
        if is_lacking and item.get_closest_marker("repro"):
            report.sections.append(("repro", self._reason))
        return report


class _Preferred:
    """Says that the plugin is what a project gets that has such a module too.

    Args:
        namesake: of the plugin.
    """

    def __init__(self, namesake: Path) -> None:
        self._namesake = namesake

    def pytest_report_header(self) -> str:
        """Say what `import repro` gives."""
        return f"repro: `import repro` gives the plugin here, not {self._namesake}"


def _namesake(config: pytest.Config) -> Path | None:
    """Find a module of the project that is called as ours, and is not it."""
    try:
        folders = [config.rootpath, config.rootpath / "src", *_python_path(config)]
    except AttributeError:
        # Plugins that are given to `pytest.main` are loaded before it is known.
        return None
    for folder in dict.fromkeys([*folders, config.invocation_params.dir]):
        for file in (folder / "repro" / "__init__.py", folder / "repro.py"):
            if file.is_file() and not (file.parent / _OURS).is_file():
                return file
    return None


def _python_path(config: pytest.Config) -> list[Path]:
    try:
        found: list[Path] = config.getini("pythonpath")
    except ValueError:  # Before pytest 9 it belongs to a plugin, which may be blocked.
        return []
    return found


def _is_asked_for(config: pytest.Config) -> bool:
    """Whether command line, environment or ini file name the plugin."""
    option: Any = config.option
    # xdist gives its workers what the controller has read.
    if hasattr(option, "repro_expected"):
        return True
    said = [*config.invocation_params.args, os.environ.get("PYTEST_ADDOPTS", "")]
    named: Any = getattr(config, "known_args_namespace", None)
    plugins = {name.strip() for name in getattr(named, "plugins", None) or ()}
    ini = config.inipath
    if ini is not None:
        said.append(ini.read_text(encoding="utf-8", errors="replace"))
    is_said = any(re.search(_ASKING, str(text)) for text in said)
    return is_said or not plugins.isdisjoint({"repro", "pytest_repro"})
