"""What editors are told of the format is what the reader reads."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from repro.cli import cli
from repro.errors import ExpectedError
from repro.published import EMBEDDED, read_releases

from ..releases import TINY, edited, write_release
from .documented import EVERYTHING

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "docs/expected.schema.json"

#: Something in the smallest release, and what makes it wrong.
FAULTS = {
    "a table that is none": ("[release]", "[releases]"),
    "a version of the format that is none": ("schema = 1", "schema = 2"),
    "a misspelt key": ('title = "A tiny', 'tittle = "A tiny'),
    "a key without a value": ('id = "tiny"\n', ""),
    "an id with a space": ('"tiny"', '"tiny release"'),
    "a title of nothing": ('"A tiny release"', '""'),
    "a number that is no string": ('"50.580"', "50.58"),
    "a number with a comma": ('"50.580"', '"50,580"'),
    "a number that is a word": ('"50.580"', '"half"'),
    "a reference without a number": ('top1 = "50.580"', ""),
    "a metric that is none": ("top1 =", "top_1 ="),
    "images that are a word": ("images = 4", 'images = "four"'),
    "no image": ("images = 4", "images = 0"),
    "a mean of two channels": ("mean = [0.5, 0.5, 0.5]", "mean = [0.5, 0.5]"),
    "a mean on the scale of 255": ("[0.5, 0.5, 0.5]", "[127.5, 127.5, 127.5]"),
    "a std of zero": ("std = [0.25, 0.25, 0.25]", "std = [0.25, 0.25, 0.0]"),
    "a geometry that does not decode": ('"rgb|resize(256', '"resize(256'),
    "a logit scale that is a word": ("logit_scale = 100.0", 'logit_scale = "learned"'),
    "a protocol that is a list": ('source = "paper"', 'source = ["paper"]'),
    "a class that is a number": ('["cat", "dog"]', '["cat", 2]'),
    "a precision that is none": (
        'source = "paper"\n',
        'source = "paper"\nprecision = "fp8"\n',
    ),
    "a spread of runs that are one": (
        'top1 = "50.580"',
        'top1 = "50.580 ± 0.1"\nruns = 1',
    ),
    "a list of templates with nothing in it": (
        'templates = ["a photo of a {}."]',
        "templates = []",
    ),
    "a tolerance without a reason": (
        'top1 = "50.580"',
        'top1 = "50.580"\ntolerance = { top1 = 1 }',
    ),
    "a checksum that is too short": (
        "[[reference]]",
        '[checksum."supervised/real/1M.pt"]\nsize = 1\nsha256 = "abc"\n[[reference]]',
    ),
    "a claim of no kind": (
        "[[reference]]",
        '[[claim]]\nid = "a"\nkind = "law"\n[[reference]]',
    ),
}


def check(schema: Path, *files: Path) -> dict[str, bool]:
    """Ask check-jsonschema about files; say of each whether it is accepted."""
    command = (sys.executable, "-m", "check_jsonschema", "-o", "json")
    done = subprocess.run(
        [*command, "--schemafile", str(schema), *map(str, files)],
        capture_output=True,
        text=True,
        check=False,
    )
    said = msgspec.json.decode(done.stdout)
    assert not said.get("parse_errors"), said
    refused = {error["filename"] for error in said.get("errors", ())}
    return {str(file): str(file) not in refused for file in files}


def refused_by_taplo(files: dict[str, Path]) -> set[str]:
    """Ask taplo, which editors run, about files; name those that it refuses."""
    taplo = shutil.which("taplo", path=sysconfig.get_path("scripts"))
    if taplo is None:
        pytest.skip("taplo is not installed")
    done = subprocess.run(
        [taplo, "check", "--schema", SCHEMA.as_uri(), *map(str, files.values())],
        env={"RUST_LOG": "error", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    refused = set(re.findall(r'validation failed path="(.+)"', done.stderr))
    assert bool(refused) == bool(done.returncode), done.stderr
    return {name for name, file in files.items() if str(file) in refused}


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bool]:
    """What check-jsonschema says of a file with each fault, and of one without."""
    files = faulty(tmp_path_factory.mktemp("faults"))
    accepted = check(SCHEMA, *files.values())
    return {name: accepted[str(file)] for name, file in files.items()}


def faulty(folder: Path) -> dict[str, Path]:
    files = {
        name: write_release(folder / str(number), edited(*change))
        for number, (name, change) in enumerate(FAULTS.items())
    }
    return files | {"none": write_release(folder / "none", TINY)}


def test_taplo_refuses_each_fault_and_no_file_of_ours(tmp_path: Path) -> None:
    ours = {str(file): file for file in releases_of_ours(tmp_path)}
    assert refused_by_taplo({**faulty(tmp_path), **ours}) == set(FAULTS)


def test_the_file_in_the_documents_is_current() -> None:
    result = CliRunner().invoke(cli, ["schema"])
    assert result.output == SCHEMA.read_text("utf-8"), (
        "write it again: repro schema --output docs/expected.schema.json"
    )


def releases_of_ours(folder: Path) -> list[Path]:
    """List all files of published numbers here, and the documents' example."""
    documented = folder / "documented.toml"
    documented.write_text(EVERYTHING, encoding="utf-8")
    ours = [
        *sorted((ROOT / "expected").rglob("*.toml")),
        *sorted(EMBEDDED.glob("*.toml")),
        documented,
    ]
    assert len(ours) > 6
    return ours


def test_every_release_of_ours_is_accepted(tmp_path: Path) -> None:
    accepted = check(SCHEMA, *releases_of_ours(tmp_path))
    assert [file for file, good in accepted.items() if not good] == []


@pytest.mark.parametrize("fault", FAULTS)
def test_what_the_reader_refuses_an_editor_underlines(
    judged: dict[str, bool], tmp_path: Path, fault: str
) -> None:
    file = write_release(tmp_path, edited(*FAULTS[fault]))
    with pytest.raises(ExpectedError):
        read_releases([file])
    assert judged["none"]
    assert not judged[fault]


def test_it_is_written_for_an_editor_to_find(tmp_path: Path) -> None:
    file = tmp_path / "expected.schema.json"
    result = CliRunner().invoke(cli, ["schema", "-o", str(file)])
    assert result.output == f"{file}\n"
    assert file.read_bytes() == SCHEMA.read_bytes()
    nowhere = tmp_path / "nowhere" / "deep" / "schema.json"
    result = CliRunner().invoke(cli, ["schema", "-o", str(nowhere)])
    assert f"{nowhere}: No such file or directory; name another" in str(
        result.exception
    )
