"""What tests replace in a process for themselves, put back while a case is measured.

A mock of `open`, a fake file system or a frozen clock is meant for the tests of a
project; one that all of them get is there when a case is measured, too. It would find
damaged weights then, or none, and none is no failure.

A test that runs pytest in its own process, with `pytester`, unloads what that run has
imported; numpy and torch cannot be imported a second time.
"""

from __future__ import annotations

import builtins
import io
import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import uuid
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any

# What the network is asked for stays as it is: who forbids it to tests means it.
_PLACES: tuple[Any, ...] = (
    *(builtins, io, os, os.path, pathlib.Path, shutil, subprocess, tempfile, time),
    uuid,
)


def _code_of(place: Any) -> dict[str, object]:
    """Take the functions and classes of a place, and none of its values."""
    kinds = (classmethod, staticmethod)
    return {n: v for n, v in vars(place).items() if callable(v) or isinstance(v, kinds)}


#: As it was when the plugin was loaded, which is before any conftest.
_REAL = [(place, _code_of(place)) for place in _PLACES]


#: What earlier runs in this process have imported, by name.
_IMPORTED: dict[str, ModuleType] = {}


def remember_imports() -> None:
    """Keep what a run has imported of what is installed; tests are imported again."""
    loaded = [sys.modules.get(name) for name in ("numpy", "torch")]
    files = [pathlib.Path(str(module.__file__)) for module in loaded if module]
    places = (sysconfig.get_path("stdlib"), *(str(file.parents[1]) for file in files))
    for name, module in list(sys.modules.items()):
        top = name.partition(".")[0]
        file = getattr(sys.modules.get(top), "__file__", None)
        if top == "repro" or str(file).startswith(places):
            _IMPORTED.setdefault(name, module)


@contextmanager
def as_they_were() -> Generator[None]:
    """Give Python its own files, processes and clock until the block ends.

    What was unloaded is there again, and stays.
    """
    for name, module in _IMPORTED.items():
        sys.modules.setdefault(name, module)
    with ExitStack() as stack:
        faked: Any = sys.modules.get("pyfakefs.fake_filesystem_unittest")
        patcher = faked and faked.Patcher.PATCHER
        if patcher and patcher.is_patching:
            stack.enter_context(faked.Pause(patcher))
        for place, known in _REAL:
            present = vars(place)
            for name, real in known.items():
                if present.get(name) is not real:
                    _put_back(stack, place, name, real)
        yield


def _put_back(stack: ExitStack, place: Any, name: str, real: object) -> None:
    if name in vars(place):
        stack.callback(setattr, place, name, vars(place)[name])
    else:
        stack.callback(delattr, place, name)
    setattr(place, name, real)
