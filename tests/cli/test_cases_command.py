"""`repro cases` lists cases and their published numbers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

from repro.cli import cli

EXPECTED = Path(__file__).parents[2] / "expected"


def test_every_case_is_listed_with_its_numbers() -> None:
    result = CliRunner().invoke(cli, ["cases", "--expected", str(EXPECTED)])
    assert result.exit_code == 0
    lines = result.output.splitlines()
    row = next(line for line in lines if line.startswith("clip/real/371M@visinf-clip"))
    assert row.split()[1:] == ["top1", "66.310", "loss", "1.549539", "visinf"]
    assert lines[-1] == "54 cases, 54 with published numbers"


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
