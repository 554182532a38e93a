"""What people and services read at the head of the repository."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest

from repro.cli import COMMANDS

ROOT = Path(__file__).parents[2]
PRE_COMMIT = (sys.executable, "-m", "pre_commit")
FORMS = sorted(
    file
    for file in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml")
    if file.name != "config.yml"
)


def run(*module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *module],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("vendor.citation-file-format", ["CITATION.cff"]),
        ("vendor.github-issue-forms", [*map(str, FORMS)]),
        ("vendor.github-issue-config", [".github/ISSUE_TEMPLATE/config.yml"]),
    ],
)
def test_what_a_service_reads_has_its_form(schema: str, files: list[str]) -> None:
    assert files
    run("check_jsonschema", "--builtin-schema", schema, *files)


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def test_the_citation_and_the_changes_have_the_version_of_the_package() -> None:
    changes = (ROOT / "CHANGELOG.md").read_text("utf-8")
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    released = re.findall(r"^## (\d\S+) \((\S+)\)$", changes, re.MULTILINE)
    version, day = released[0]
    assert version == PROJECT["version"]
    assert f"\nversion: {version}\n" in citation
    assert f"\ndate-released: {day}\n" in citation


def test_each_python_that_is_promised_is_one_that_ci_runs() -> None:
    workflow = (ROOT / ".github/workflows/ci.yml").read_text("utf-8")
    (matrix,) = re.findall(r"^        python: \[(.+)\]$", workflow, re.MULTILINE)
    promised = re.findall(r"Python :: (3\.\d+)", " ".join(PROJECT["classifiers"]))
    assert re.findall(r'"(.+?)"', matrix) == promised
    assert PROJECT["requires-python"] == f">={promised[0]}"


def test_a_bug_is_reported_with_the_environment() -> None:
    assert "env" in COMMANDS
    for form in FORMS:
        assert "What `repro env` prints" in form.read_text("utf-8")


def test_what_several_tests_use_stands_in_no_test_module() -> None:
    importing = re.compile(r"(?m)^\s*(?:from [\w.]*\.test_\w+ import|import .*\.test_)")
    files = [
        file
        for folder in ("tests", "tools", "benchmarks")
        for file in (ROOT / folder).rglob("*.py")
    ]
    assert files
    assert not [f for f in files if importing.search(f.read_text("utf-8"))]


@pytest.mark.parametrize(
    ("hook", "edit", "status", "said"),
    [
        ("repro-cases", "", 0, "Passed"),
        ("repro-cases", "[surprise]\n", 1, "unknown or misplaced table 'surprise'"),
        ("repro-checksums", "", 0, "Passed"),
    ],
)
@pytest.mark.slow
def test_the_hooks_of_pre_commit_check_a_repository(
    tmp_path: Path, hook: str, edit: str, status: int, said: str
) -> None:
    # The hooks run what is installed, so of this repository they need their list alone.
    hooks, project = tmp_path / "hooks", tmp_path / "project"
    text = (ROOT / "tests/packaging/smallest.toml").read_text("utf-8")
    for folder, name, content in (
        (
            hooks,
            ".pre-commit-hooks.yaml",
            (ROOT / ".pre-commit-hooks.yaml").read_text(),
        ),
        (project, "expected/mine.toml", edit + text),
    ):
        file = folder / name
        file.parent.mkdir(parents=True)
        file.write_text(content, "utf-8")
        git = ("git", "-c", "user.name=a", "-c", "user.email=a@example.org")
        for command in (("init", "-q"), ("add", "."), ("commit", "-qm", "Begin")):
            subprocess.run([*git, *command], cwd=folder, check=True)
    stage = ("--hook-stage", "pre-push") if hook == "repro-checksums" else ()
    done = subprocess.run(
        [*PRE_COMMIT, "try-repo", str(hooks), hook, "--all-files", "--verbose", *stage],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
        # As where the environment that has repro is active.
        env=os.environ
        | {"PATH": f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"},
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert said in done.stdout
