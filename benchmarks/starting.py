"""What being installed costs a project that does not use it.

It is compared with a plugin that does nothing, from a wheel of its own: what pytest
spends on any plugin is nobody's to save.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import zipfile
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path

from benchmarks.row import Goal, Row
from benchmarks.setting import Setting
from benchmarks.timing import spread

ROOT = Path(__file__).parents[1]
#: What stands beside pytest in any project whose tests run in several processes.
ENVIRONMENT = (
    *("pytest", "pluggy", "iniconfig", "packaging", "pygments"),
    *("pytest-xdist", "execnet"),
)


def start_up(setting: Setting) -> list[Row]:
    """Collect one test beside this wheel, an empty plugin's and neither, in turns.

    Nothing else is installed but pytest and xdist: a hundred packages that somebody has
    besides make pytest slower by more than is to be measured.
    """
    with setting.empty_cache() as folder:
        project, packages = folder / "project", folder / "packages"
        project.mkdir()
        (project / "test_other.py").write_text("def test_nothing():\n    pass\n")
        _link_packages(packages)
        wheel = _unpacked_wheel(folder)

        paths = {
            "ours": (packages, wheel),
            "empty": (packages, _empty_plugin(folder)),
            "neither": (packages,),
        }
        found: dict[str, list[float]] = {kind: [] for kind in paths}
        for number in range(20 * setting.repetitions + 1):
            for kind in paths if number % 2 else reversed(paths):
                spent = _milliseconds(project, paths[kind])
                if number:  # the first ones write their bytecode
                    found[kind].append(spent)
    return [
        Row(
            id="start-up",
            what="pytest in a project that does not use the plugin, with it - with an "
            "empty one",
            unit="ms",
            value=spread(
                [x - y for x, y in zip(found["ours"], found["empty"], strict=True)]
            ),
            goal=Goal(10.0),
            parts={
                f"pytest with {kind}, ms": spread(found[kind]).median
                for kind in ("empty", "neither")
            },
        )
    ]


def _milliseconds(project: Path, paths: tuple[Path, ...]) -> float:
    """Measure processor time, to which other load on the machine adds little."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(_SETTINGS)}
    kept["PYTHONPATH"] = os.pathsep.join(map(str, paths))
    before = _children_seconds()
    subprocess.run(
        # What is installed beside this is left out by -S.
        [sys.executable, "-S", "-m", "pytest", "--collect-only", "-q"],
        cwd=project,
        check=True,
        capture_output=True,
        env=kept,
    )
    return 1000 * (_children_seconds() - before)


def _children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _link_packages(folder: Path) -> None:
    """Make a folder to import pytest from, and what pytest reads about it."""
    folder.mkdir()
    for name in ENVIRONMENT:
        found = distribution(name)
        tops = {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}
        for top in tops:
            (folder / top).symlink_to(Path(str(found.locate_file(top))))


def _unpacked_wheel(folder: Path) -> Path:
    """Build the wheel and unpack it, as uv does; pip writes bytecode besides."""
    build = (*(sys.executable, "-m", "hatchling", "build"), "-t", "wheel", "-d")
    subprocess.run([*build, str(folder)], cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "wheel")
    return folder / "wheel"


def _empty_plugin(folder: Path) -> Path:
    """Make what an installer makes of the smallest plugin's wheel."""
    place = folder / "empty"
    about = place / "pytest_empty-1.dist-info"
    files = {
        place / "pytest_empty.py": "",
        about / "METADATA": "Metadata-Version: 2.1\nName: pytest-empty\nVersion: 1\n",
        about / "entry_points.txt": "[pytest11]\nempty = pytest_empty\n",
    }
    about.mkdir(parents=True)
    for file, text in files.items():
        file.write_text(text)
    listed = (*files, about / "RECORD")
    lines = (f"{file.relative_to(place).as_posix()},,\n" for file in listed)
    (about / "RECORD").write_text("".join(lines))
    return place


#: Variables that would make another start of it: options, and bytecode not written.
_SETTINGS = ("PYTEST", "PYTHON", "REPRO_")

MEASUREMENTS: list[Callable[[Setting], list[Row]]] = [start_up]
