"""What the documents point to is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from repro.options.table import OPTIONS

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").glob("*.md"),
    *(ROOT / "expected").rglob("*.md"),
]


@pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT))
)
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", document.read_text())
    missing = [link for link in links if not (document.parent / link).exists()]
    assert not missing


def test_every_module_that_the_architecture_names_is_there() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    named = set(re.findall(r"`(?:repro/)?([a-z_/]+(?:\.(?:py|toml)|/))`", text))
    modules = [*(ROOT / "repro").rglob("*"), *ROOT.glob("*.py")]
    there = [f"/{path.relative_to(ROOT).as_posix()}" for path in modules]
    missing = [
        name
        for name in named
        if not any(path.endswith(f"/{name.rstrip('/')}") for path in there)
    ]
    assert not missing
    rooms = {
        path.name
        for path in (ROOT / "repro").iterdir()
        if (path / "__init__.py").is_file()
    }
    assert rooms <= set(re.findall(r"^\| `repro/(\w+)` \|", text, re.MULTILINE))


def test_the_architecture_says_of_each_thing_which_file_to_change() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    section = text.partition("## Where to change what")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.+?) \| (.+) \|$", section, re.MULTILINE)[1:]
    assert len(rows) >= 15
    nowhere = [
        what
        for what, where in rows
        if not any(
            (ROOT / "repro" / name).exists() for name in re.findall(r"`([^`]+)`", where)
        )
    ]
    assert not nowhere


def test_the_readme_lists_every_document() -> None:
    readme = (ROOT / "README.md").read_text()
    missing = [
        path.name
        for path in (ROOT / "docs").glob("*.md")
        if f"(docs/{path.name})" not in readme
    ]
    assert not missing


def test_options_with_a_value_are_written_with_an_equals_sign() -> None:
    takers = "|".join(
        option.flag_name for option in OPTIONS.values() if not option.flag
    )
    # Changes tell what options are called; FOLDER stands where the space is explained.
    told = [file for file in DOCUMENTS if file.name != "CHANGELOG.md"]
    messages = (ROOT / "repro").rglob("*.py")
    files = [*told, *messages, ROOT / "tox.ini", *(ROOT / "tools").rglob("*.sbatch")]
    found = [
        f"{file.name}: {line}"
        for file in files
        for line in file.read_text().splitlines()
        if re.search(
            rf"({takers}) (?!FOLDER)([A-Z]+\b|[\w$/\"]*[./$][\w/]|embedded|none)", line
        )
    ]
    assert not found


def test_the_readme_has_the_two_lines_that_ci_runs() -> None:
    lines = re.findall(r"^python3 -m venv .*$", (ROOT / "README.md").read_text(), re.M)
    assert [line.split()[-1] for line in lines] == [
        "--repro-expected=embedded",
        ".venv/bin/tox",
    ]


def test_plain_pytest_in_a_clone_collects_cases_and_claims_only() -> None:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q"]
    found = subprocess.run(
        [*command, "-p", "no:cacheprovider"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    tests = [line for line in found.stdout.splitlines() if "::" in line]
    assert tests
    assert all(test.startswith("tests/reproduction/") for test in tests)
