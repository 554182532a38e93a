"""The trial of docs/diagnosis.md: planted faults are named, faithful cases are not."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from ..conftest import Often

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "tools/planted_faults/example.toml"

held_out = importlib.import_module("tools.planted_faults.held_out")


def tried(*options: str) -> list[str]:
    ended = subprocess.run(
        [sys.executable, "-m", "tools.planted_faults", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout.splitlines()


@pytest.mark.slow
def test_nine_of_ten_planted_faults_are_named_and_nothing_is_wrongly(
    often: Often,
) -> None:
    """The command fails where fewer are, or something else is named."""
    faithful, slips = often(500, 20), often(30, 5)
    parts = [f"--part={name}" for name in ("listed", "faithful", "slips")]
    rows = tried(*parts, f"--faithful={faithful}", f"--slips={slips}")
    assert len(rows) > 35
    listed, drawn, slipped = rows[-3:]
    assert "0 are taken for another one" in listed
    assert f"Of {faithful} faithful checkpoints" in drawn
    assert "and 0 get an explanation" in drawn
    assert "0 as another one" in slipped


@pytest.mark.slow
def test_faults_of_a_file_are_planted_and_none_is_taken_for_another(
    tmp_path: Path,
) -> None:
    faults = EXAMPLE.read_text().split("[[fault]]")
    file = tmp_path / "faults.toml"
    file.write_text("[[fault]]".join([faults[0], *faults[2:5]]))
    (tmp_path / "example.py").write_text(EXAMPLE.with_suffix(".py").read_text())
    rows = tried("--held-out", str(file))
    # Below the table what was said of each, word for word.
    assert len(rows) == 9
    assert rows[5].startswith("images blurred: ")
    assert "0 are taken for another one" in rows[-1]
    said = dict(row.split(" | ")[::5][:2] for row in rows[2:5])
    assert said["| images blurred"] != "named"
    assert said["| the weights of another checkpoint"] == "named"


def test_numbers_of_a_file_are_sums_of_what_was_measured_or_stand_as_they_are() -> None:
    measured = {"top1": "91.60", "top5": "99.20", "loss": "0.325822"}
    numbers = {"top1": "100 - top1", "loss": "loss / 2 + 1", "top5": "99.1"}
    fault = held_out.HeldOut(
        name="wrong", checkpoint="any", kind="bookkeeping", numbers=numbers
    )
    assert fault.published(measured) == {
        "top1": "8.40",
        "top5": "99.1",
        "loss": "1.162911",
    }
    code = msgspec.structs.replace(fault, numbers={"top1": "print(top1)"})
    with pytest.raises(ValueError, match="no sum of metrics and numbers"):
        code.published(measured)


def test_the_example_describes_each_sort_of_fault() -> None:
    faults = held_out.read_held_out(EXAMPLE)
    for field in ("protocol", "text", "arithmetic", "weights", "code", "numbers"):
        assert any(getattr(fault, field) for fault in faults), field
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.convert({"name": "x", "what": "y"}, held_out.HeldOut)
