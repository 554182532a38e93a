"""What pytest loads in every project: the plugin, where `repro` is ours.

`python -m pytest` looks for modules in the current folder first, and scripts that
reproduce something are often called `repro.py`. Such a one is neither run nor does it
end pytest.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

_FOUND = importlib.util.find_spec("repro")
_PLACES = (_FOUND.submodule_search_locations if _FOUND else None) or ()

if any(Path(place, "plugin", "hooks.py").is_file() for place in _PLACES):
    pytest_plugins = ["repro.plugin.hooks"]
else:

    def pytest_load_initial_conftests(args: list[str]) -> None:
        """Say why there is no option of repro, where one is typed.

        Raises:
            UsageError: a project that has a `repro` of its own uses the plugin.
        """
        if any(argument.startswith("--repro-") for argument in args):
            place = _FOUND.origin if _FOUND else "nothing"
            raise pytest.UsageError(
                f"repro is {place} here, and not the plugin: rename it, or start "
                "pytest as `pytest` and not as `python -m pytest`"
            )
