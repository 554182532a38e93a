"""`repro cases` lists cases and their published numbers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from repro.cli import cli

from ..releases import HEAD, REFERENCE, TINY, VALIDATION, release_toml, write_release

EXPECTED = Path(__file__).parents[2] / "expected"


def test_every_case_is_listed_with_its_numbers() -> None:
    arguments = ["cases", "--expected", str(EXPECTED)]
    result = CliRunner().invoke(cli, arguments, env={"COLUMNS": "120"})
    assert result.exit_code == 0
    lines = result.output.splitlines()
    row = next(line for line in lines if line.startswith("clip/real/371M@visinf-clip"))
    assert row.split()[1:] == ["66.310", "1.549539", "visinf"]
    assert lines[-1] == "54 cases, 54 with published numbers"


@pytest.mark.parametrize("width", [50, 60, 80, 120])
def test_the_table_fits_the_terminal_and_cuts_no_name(width: int) -> None:
    result = CliRunner().invoke(
        cli, ["cases", "--expected", "embedded"], env={"COLUMNS": str(width)}
    )
    lines = result.output.splitlines()
    assert max(map(len, lines)) <= width
    assert "…" not in result.output
    (row,) = [line for line in lines if line.startswith("clip/synthetic+real/2560")]
    assert "96.40" in row.split()


def test_a_pipe_gets_every_column() -> None:
    command = [sys.executable, "-m", "repro.cli", "cases", "--expected", str(EXPECTED)]
    environment = {name: os.environ[name] for name in os.environ if name != "COLUMNS"}
    result = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True
    )
    rows = [line.split() for line in result.stdout.splitlines()]
    (row,) = [row for row in rows if row[:1] == ["clip/real/371M@visinf-clip"]]
    assert row[1:] == ["66.310", "1.549539", "visinf"]


def test_json_keeps_the_printed_digits_and_the_source() -> None:
    result = CliRunner().invoke(cli, ["cases", "--expected", str(EXPECTED), "--json"])
    listed = {case["id"]: case for case in json.loads(result.output)}
    case = listed["supervised/in-captions-cfg2.0/1M@visinf-supervised"]
    assert case["training_images"] == 1_000_000
    assert case["images"] == 50_000
    top1 = case["references"][0]
    assert (top1["metric"], top1["published"]) == ("top1", "50.580")
    assert top1["source"].startswith("https://github.com/visinf/")


def test_a_bad_file_is_one_line_and_no_traceback(tmp_path: Path) -> None:
    file = tmp_path / "paper.toml"
    file.write_text('[release]\nid = "paper"\ncolour = "red"\n')
    command = [sys.executable, "-m", "repro.cli", "cases", "--expected", str(file)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert f"error: {file}" in result.stderr
    assert "colour" in result.stderr


def test_listing_imports_nothing_that_takes_long() -> None:
    code = (
        "import sys; from repro.cli import cli\n"
        f"cli(['cases', '--expected', {str(EXPECTED)!r}], standalone_mode=False)\n"
        "assert not {'torch', 'numpy', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


#: ESC and its eight-bit twin, which begin what a terminal does, and a turned direction.
HOSTILE = "red \u001b[31m, \u009b31m, \u202edor"


def test_nothing_in_a_file_of_numbers_is_done_by_the_terminal(tmp_path: Path) -> None:
    content = TINY + f"note = {json.dumps(HOSTILE)}\n"
    file = write_release(tmp_path, content)
    result = CliRunner().invoke(cli, ["cases", "--expected", str(file), "--json"])
    assert not set("\x1b\x9b\u202e") & set(result.output)
    assert json.loads(result.output)[0]["references"][0]["note"] == HOSTILE


@pytest.mark.parametrize("name", ["n" * 5000, "two words " * 600, "\x9b\u202e" * 40])
@pytest.mark.parametrize(
    "where", ["key", "value", "table", "list", "option", "command"]
)
def test_what_is_said_of_a_long_name_is_short(
    tmp_path: Path, where: str, name: str
) -> None:
    quoted = json.dumps(name)
    content = {
        "key": f"{TINY}{quoted} = 1\n",
        "value": TINY.replace('"plain"', quoted),
        "table": f"{TINY}[model.{quoted}]\n",
        "list": release_toml(dataset={"val": {**VALIDATION, "classes": [name] * 2}}),
    }
    file = write_release(tmp_path, content.get(where, HEAD))
    command = {"option": ["cases", f"--{name}"], "command": [name]}.get(
        where, ["cases", "--expected", str(file)]
    )
    result = CliRunner().invoke(cli, command)
    said = str(result.exception) if result.exit_code == 1 else result.output
    assert result.exit_code != 0
    assert len(said.splitlines()[-1]) <= len("Error: ") + 500
    assert not set("\x1b\x9b\u202e") & set(said)


def test_a_key_of_very_many_parts_is_refused_before_it_is_read(tmp_path: Path) -> None:
    file = write_release(tmp_path, HEAD + "a." * 200_000 + "a = 1\n")
    result = CliRunner().invoke(cli, ["cases", "--expected", str(file)])
    assert "a key has more than 100 parts" in str(result.exception)
    note = REFERENCE + f'note = "{"1.5 " * 500}"\n'
    file = write_release(tmp_path, HEAD + note)
    assert CliRunner().invoke(cli, ["cases", "--expected", str(file)]).exit_code == 0
