"""The steps of the GitHub Action, run as a runner does, on the embedded release."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import yaml

from repro.published import EMBEDDED

ROOT = Path(__file__).parents[2]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
INPUTS = {name: one["default"] for name, one in ACTION["inputs"].items()}
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]
EXPRESSION = re.compile(r"\$\{\{ (.*?) \}\}")
TEST = """
import pytest

@pytest.mark.repro(expected="embedded", kind="supervised", family="supervised/real")
def test_checkpoint(case, reproduce):
    reproduce(case)
"""


class Runner:
    """What a runner gives a step: a checkout, files for what it says, variables."""

    def __init__(self, folder: Path, **inputs: str) -> None:
        self.inputs = INPUTS | inputs
        self.temp, self.checkout = folder / "temp", folder / "checkout"
        self.origin = folder / "origin.git"
        self.failed = False
        self.log: dict[str, str] = {}
        self.temp.mkdir()
        self.git("init", "-q", "--bare", str(self.origin), at=folder)
        self.git("init", "-q", str(self.checkout), at=folder)
        self.git("remote", "add", "origin", str(self.origin), at=self.checkout)
        (self.checkout / "test_release.py").write_text(TEST)

    def git(self, *command: str, at: Path) -> str:
        done = subprocess.run(
            ["git", *command], cwd=at, capture_output=True, text=True, check=True
        )
        return done.stdout

    def file(self, name: str) -> Path:
        return self.temp / name.lower()

    def said(self, name: str) -> str:
        file = self.file(name)
        return file.read_text() if file.exists() else ""

    def run(self) -> None:
        """Run all steps that are no other action's, as their conditions say."""
        for step in STEPS:
            if "run" in step and self.is_wanted(step.get("if", "")):
                self.run_step(step)

    def is_wanted(self, condition: str) -> bool:
        always = condition.startswith("always()")
        rest = condition.removeprefix("always()").removeprefix(" && ")
        matched = re.fullmatch(r"inputs\.([\w-]+) (==|!=) '(\w*)'|", rest)
        assert matched is not None, condition
        name, sign, value = matched.groups()
        holds = name is None or (self.inputs[name] == value) == (sign == "==")
        return holds and (always or not self.failed)

    def value(self, text: str) -> str:
        def found(match: re.Match[str]) -> str:
            kind, _, name = match[1].partition(".")
            assert kind == "inputs"
            return str(self.inputs[name])

        return EXPRESSION.sub(found, text)

    def run_step(self, step: dict[str, Any]) -> None:
        # What somebody else wrote must be no part of the script.
        assert not EXPRESSION.search(step["run"])
        assert step["shell"] == "bash"
        files = ("GITHUB_PATH", "GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")
        home = os.environ.get("HOME", str(self.temp))
        kept = {"HOME": home, "OMP_NUM_THREADS": "1"}
        own = {name: self.value(text) for name, text in step.get("env", {}).items()}
        added = dict(
            line.split("=", 1) for line in self.said("GITHUB_ENV").splitlines()
        )
        scripts = sysconfig.get_path("scripts")
        path = [*self.said("GITHUB_PATH").split(), scripts, os.environ["PATH"]]
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=self.checkout,
            env=kept
            | {"PATH": os.pathsep.join(path), "RUNNER_TEMP": str(self.temp)}
            | {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}
            | {name: str(self.file(name)) for name in files}
            | added
            | own,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.log[step["name"]] = done.stdout
        self.failed |= done.returncode != 0


def test_the_form_is_that_of_an_action() -> None:
    schema = ("--builtin-schema", "vendor.github-actions")
    subprocess.run(
        [sys.executable, "-m", "check_jsonschema", *schema, "action.yml"],
        cwd=ROOT,
        check=True,
    )


@pytest.mark.slow
def test_the_embedded_release_is_reproduced_with_reports_and_badge(
    tmp_path: Path,
) -> None:
    runner = Runner(
        tmp_path,
        package="",
        tests="test_release.py",
        options="-k 80 -q",
        **{"badge-branch": "badges"},
    )
    runner.run()
    assert not runner.failed, runner.log
    assert "status=0" in runner.said("GITHUB_OUTPUT").splitlines()
    reports = {file.name for file in (runner.checkout / "reproduced").iterdir()}
    assert reports == {
        "junit.xml",
        "report.csv",
        "report.html",
        "report.json",
        "report.md",
        "reproduced.badge.json",
    }
    assert "All 2 cases meet" in runner.said("GITHUB_STEP_SUMMARY")
    # Decoded pixels are where the next run finds them.
    assert list((runner.temp / "repro-cache" / "pixels").iterdir())
    badge = runner.git("show", "badges:reproduced.badge.json", at=runner.origin)
    assert json.loads(badge)["message"] == "2/2"
    assert runner.git("ls-tree", "--name-only", "badges", at=runner.origin).split() == [
        "reproduced.badge.json"
    ]


@pytest.mark.slow
def test_a_number_that_differs_has_its_own_status_and_badge(tmp_path: Path) -> None:
    runner = Runner(
        tmp_path,
        package="",
        cache="false",
        tests="test_release.py",
        options="-k 1280 -q --repro-expected=paper --repro-no-diagnose",
        **{"badge-branch": "badges"},
    )
    paper = runner.checkout / "paper"
    shutil.copytree(EMBEDDED, paper, ignore=shutil.ignore_patterns("__pycache__"))
    numbers = (paper / "references.toml").read_text()
    (paper / "references.toml").write_text(
        re.sub(r'(?m)^top1 = "[\d.]+"', 'top1 = "10.0"', numbers)
    )
    runner.run()
    assert "status=10" in runner.said("GITHUB_OUTPUT").splitlines(), runner.log
    assert "title=Divergence" in runner.log["Reproduce"]
    badge = runner.git("show", "badges:reproduced.badge.json", at=runner.origin)
    assert json.loads(badge)["message"] == "0/1"


def test_a_run_that_broke_says_so_and_leaves_the_badge(tmp_path: Path) -> None:
    old = tmp_path / "checkout" / "reproduced" / "report.md"
    runner = Runner(
        tmp_path,
        package="",
        cache="false",
        tests="nowhere.py",
        **{"badge-branch": "badges"},
    )
    old.parent.mkdir()
    old.write_text("of yesterday")
    runner.run()
    assert runner.failed
    assert "status=4" in runner.said("GITHUB_OUTPUT").splitlines()
    assert "title=Breakage" in runner.log["Reproduce"]
    assert "yesterday" not in runner.said("GITHUB_STEP_SUMMARY")
    assert "the one on badges stays" in runner.log["Badge"]
    assert not runner.git("branch", "--list", at=runner.origin)


def test_inputs_are_words_and_no_commands(tmp_path: Path) -> None:
    runner = Runner(
        tmp_path, package="", cache="false", tests="$(touch hacked) ;touch hacked *"
    )
    runner.run()
    assert runner.failed
    assert not (runner.checkout / "hacked").exists()


def test_the_key_of_the_cache_follows_the_published_numbers(tmp_path: Path) -> None:
    (step,) = (step for step in STEPS if step.get("id") == "key")
    runner = Runner(tmp_path)
    file = runner.checkout / "expected" / "release.toml"
    file.parent.mkdir()
    keys = []
    for content in ("a = 1", "a = 2", "a = 1"):
        file.write_text(content)
        runner.file("GITHUB_OUTPUT").unlink(missing_ok=True)
        runner.run_step(step)
        keys.append(runner.said("GITHUB_OUTPUT"))
    assert not runner.failed, runner.log
    assert re.fullmatch(r"key=[0-9a-f]{64}\n", keys[0])
    assert keys[0] == keys[2] != keys[1]


@pytest.mark.slow
def test_what_is_named_is_installed_where_the_next_steps_find_it(
    tmp_path: Path,
) -> None:
    dist = tmp_path / "dist"
    build = (sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(dist))
    subprocess.run(build, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    (wheel,) = dist.glob("*.whl")
    runner = Runner(tmp_path, package=f"--no-deps --no-index {wheel}")
    (step,) = (step for step in STEPS if step.get("name") == "Install")
    assert runner.is_wanted(step["if"])
    runner.run_step(step)
    assert not runner.failed, runner.log
    command = shutil.which("repro", path=runner.said("GITHUB_PATH").strip())
    assert command == str(runner.temp / "repro" / "bin" / "repro")
