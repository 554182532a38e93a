"""The wheel is enough: what the documents promise, without a clone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path

import msgspec
import pytest

from repro.published import EMBEDDED

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]

TESTS = """
import pytest

@pytest.mark.repro
def test_checkpoint(case, reproduce):
    reproduce(case)

@pytest.mark.repro
def test_claim(claim, uphold):
    uphold(claim)
"""
OWN = """
import pytest

@pytest.mark.repro(expected="paper", kind="supervised", family="supervised/real")
def test_of_my_own(case, reproduce):
    assert reproduce(case).verdict == "reproduced"
"""
CONFTEST = f"""
import sys

def pytest_sessionfinish():
    clone = {str(ROOT / "repro")!r}
    files = [getattr(module, "__file__", None) for module in sys.modules.values()]
    print("from the clone:", [f for f in files if f and f.startswith(clone)])
"""


class Installed(msgspec.Struct, frozen=True):
    """An environment with the wheel, beside the packages of this one.

    Args:
        scripts: the folder of its commands.
        folder: an empty one, of somebody who has no clone.
    """

    scripts: Path
    folder: Path

    def run(self, *command: str) -> str:
        """Run a command in the folder; give what it says."""
        kept = {
            name: os.environ[name]
            for name in ("PATH", "OMP_NUM_THREADS")
            if name in os.environ
        }
        home = self.folder / "home"
        done = subprocess.run(
            [str(self.scripts / command[0]), *command[1:]],
            cwd=self.folder,
            env={**kept, "HOME": str(home), "TMPDIR": str(self.folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def pytest(self, *options: str) -> str:
        """Run pytest in the folder; nothing of it may be the clone's."""
        (self.folder / "conftest.py").write_text(CONFTEST)
        said = self.run("python", "-m", "pytest", "-s", *options)
        assert "from the clone: []" in said, said
        return said


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands of an environment into which the wheel was installed."""
    made = tmp_path_factory.mktemp("installed")
    build = (*(sys.executable, "-m", "hatchling", "build"), "-t", "wheel", "-d")
    subprocess.run([*build, str(made / "dist")], cwd=ROOT, check=True)
    (wheel,) = (made / "dist").glob("*.whl")
    environment = made / "environment"
    venv.create(environment, with_pip=True, symlinks=True)
    python = environment / "bin" / "python"
    pip = (str(python), "-m", "pip", "install", "-q", "--no-deps", "--no-index")
    subprocess.run([*pip, str(wheel)], check=True)
    # A folder that a .pth file names is searched, but its own .pth files are not read:
    # the packages of this environment are there, the editable clone is not.
    paths = {"base": str(environment), "platbase": str(environment)}
    own = Path(sysconfig.get_path("purelib", "venv", vars=paths))
    others = {sysconfig.get_path(kind) for kind in ("purelib", "platlib")}
    (own / "others.pth").write_text("\n".join(sorted(others)))
    return environment / "bin"


@pytest.fixture
def installed(scripts: Path, tmp_path: Path) -> Installed:
    return Installed(scripts, tmp_path)


def test_the_command_lists_the_cases_that_are_shipped(installed: Installed) -> None:
    where = installed.run("python", "-c", "import repro; print(repro.__file__)")
    assert Path(where).is_relative_to(installed.scripts.parent)
    assert "supervised/in-captions-cfg2.0/16M" in installed.run("repro", "cases")
    embedded = installed.run("repro", "cases", "--expected", "embedded")
    assert "supervised/real/80@digits-supervised" in embedded


def test_both_commands_say_the_version_of_the_wheel(installed: Installed) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for command in project["scripts"]:
        said = installed.run(command, "--version")
        assert said.strip() == f"{command}, version {project['version']}"


def test_the_embedded_release_is_reproduced(installed: Installed) -> None:
    (installed.folder / "test_release.py").write_text(TESTS)
    said = installed.pytest("--repro-expected=embedded")
    assert "30 cases: 30 reproduced" in said


def test_the_numbers_of_somebody_elses_paper_are_checked(installed: Installed) -> None:
    folder = installed.folder
    (folder / "paper").mkdir()
    for file in ("references.toml", "clip-digits.json", "bytes.bpe.gz"):
        shutil.copy(EMBEDDED / file, folder / "paper")
    lines = (EMBEDDED / "release.toml").read_text().splitlines(keepends=True)
    shipped = ('checkpoints = "checkpoints"\n', 'data = "."\n')
    kept = [line for line in lines if line not in shipped]
    (folder / "paper" / "release.toml").write_text("".join(kept))
    shutil.copytree(EMBEDDED / "checkpoints", folder / "weights")
    shutil.copytree(EMBEDDED / "val", folder / "images" / "val")
    (folder / "test_own.py").write_text(OWN)
    options = ("--repro-checkpoints=weights", "--repro-data=images")
    assert "6 cases: 6 reproduced" in installed.pytest(*options)


def test_the_first_files_for_an_own_paper_are_made(installed: Installed) -> None:
    weights = installed.folder / "weights" / "two-moons" / "80.pt"
    weights.parent.mkdir(parents=True)
    shutil.copy(EMBEDDED / "checkpoints" / "supervised" / "real" / "80.pt", weights)
    installed.run("repro", "new", "two-moons", "--from-checkpoint", str(weights))
    installed.run("repro", "cases", "--expected", "expected/two-moons")
    said = installed.pytest(
        "tests/test_two_moons.py", "--collect-only", "-q", "--repro-checkpoints=weights"
    )
    assert "test_two_moons[two-moons/80@paper]" in said
