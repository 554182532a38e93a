"""What may be imported is named, documented and enough for what documents show."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from repro import api, extending
from repro.plugin import fixtures

ROOT = Path(__file__).parents[1]
REFERENCE = (ROOT / "docs/reference.md").read_text("utf-8")
PUBLIC = {"repro.api", "repro.extending"}


@pytest.mark.parametrize("module", [api, extending], ids=lambda module: module.__name__)
def test_every_public_name_is_documented(module: ModuleType) -> None:
    named = set(re.findall(r"`(\w+)`", REFERENCE))
    assert set(module.__all__) <= named
    parts = [getattr(module, name) for name in module.__all__]
    mute = [
        part
        for part in parts
        if (inspect.isclass(part) or inspect.isfunction(part)) and not part.__doc__
    ]
    assert not mute


def test_every_fixture_is_documented() -> None:
    named = {
        node.name
        for node in ast.parse(inspect.getsource(fixtures)).body
        if isinstance(node, ast.FunctionDef)
        and "pytest.fixture" in map(ast.unparse, node.decorator_list)
        and not node.name.startswith("_")
    }
    section = REFERENCE.partition("## Fixtures")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.+?`) \|", section, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", " ".join(rows))) == named


def shown() -> Iterator[tuple[str, str]]:
    """Yield what documents and the suite that people copy show of Python."""
    for file in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for block in re.findall(
            r"^```python\n(.*?)^```", file.read_text("utf-8"), re.M | re.S
        ):
            yield file.name, block
    for file in (ROOT / "tests/reproduction").glob("*.py"):
        yield file.name, file.read_text("utf-8")


def test_documents_and_examples_import_nothing_private() -> None:
    imported = {
        (name, node.module)
        for name, code in shown()
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("repro")
    }
    assert {module for _, module in imported} == PUBLIC
    assert not {
        name
        for name, code in shown()
        if re.search(r"^\s*import repro", code, re.MULTILINE)
    }


def test_to_import_what_is_public_imports_no_library_of_models() -> None:
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, repro.api, repro.extending; print(*sys.modules)",
        ],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    heavy = {"torch", "torchvision", "timm", "open_clip", "scipy", "pytest", "ray"}
    assert not heavy & set(said.stdout.split())
