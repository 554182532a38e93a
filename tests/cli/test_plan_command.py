"""`repro plan` says what a run will take and runs nothing."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from repro.cli import cli
from repro.planning.costs import Costs

EXPECTED = Path(__file__).parents[2] / "expected"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REPRO_CACHE", "none")


def plan(*arguments: str, expected: str = "embedded") -> Result:
    return CliRunner().invoke(cli, ["plan", "--expected", expected, *arguments])


def test_each_resource_has_a_line_and_hours_are_named_an_estimate() -> None:
    result = plan("--gpus", "0", "--cores", "2")
    assert result.exit_code == 0
    words = [line.split()[0] for line in result.output.splitlines()]
    assert words == ["cases", "decode", "compute", "text", "read", "store", "take"]
    assert "on 2 cores (30 estimated from an assumed speed)" in result.output


def test_weights_of_unknown_size_are_counted() -> None:
    said = plan("clip/*", expected=str(EXPECTED)).output
    assert re.search(r"ImageNet's\), \d+ weights files of unknown size, ", said)


def test_patterns_choose_cases() -> None:
    result = plan("supervised/real/*")
    assert result.output.startswith("cases    6 on 1 dataset, 3,000 images")


def test_a_speed_that_is_given_is_assumed() -> None:
    options = ("--gpus", "1", "--json")
    slow, fast = (
        json.loads(plan(*options, "--speed", speed, expected=str(EXPECTED)).output)
        for speed in ("5", "10")
    )
    assert slow["device_seconds"] == pytest.approx(2 * fast["device_seconds"])
    operations = slow["work"]["operations"]
    assert slow["device_seconds"] == pytest.approx(2 * operations / 5e12)


def test_costs_are_written_for_other_machines(tmp_path: Path) -> None:
    result = plan("--costs", str(tmp_path / "costs.json"))
    assert result.exit_code == 0
    assert Costs.read(tmp_path / "costs.json").seconds == {}


def test_planning_needs_no_torch() -> None:
    code = (
        "import sys; from repro.cli import cli\n"
        f"cli(['plan', '--expected', {str(EXPECTED)!r}], standalone_mode=False)\n"
        "assert not {'torch', 'timm', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
