"""`repro verify` reads every weights file and says what became of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from repro.cli import cli
from repro.errors import ReproError

from ..fetching.released import FAMILY, Released, weights


@pytest.fixture
def released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Released:
    """A release with two weights files, of which nothing is recorded yet."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data-home"))
    released = Released(tmp_path / "release", tmp_path / "checkpoints")
    released.link("https://example.org/folder")
    folder = released.checkpoints / FAMILY
    folder.mkdir(parents=True)
    (folder / "1M.pt").write_bytes(weights(1))
    (folder / "4M.pt").write_bytes(weights(2))
    return released


def verify(released: Released, *arguments: str) -> Result:
    options = ["--expected", str(released.folder)]
    options += ["--checkpoints", str(released.checkpoints)]
    return CliRunner().invoke(cli, ["verify", *options, *arguments])


def file(released: Released, name: str) -> Path:
    return released.checkpoints / FAMILY / name


def test_what_was_never_seen_is_not_recorded_unless_asked(released: Released) -> None:
    result = verify(released)
    assert result.exit_code == 0
    assert f"{FAMILY}/1M.pt: not recorded\n" in result.stdout
    assert "2 files: 2 not recorded" in result.stdout
    assert released.checksums() == {}


def test_what_is_recorded_is_verified(released: Released) -> None:
    result = verify(released, "--record")
    assert "2 files are trusted from now on: " in result.stdout
    result = verify(released)
    assert result.exit_code == 0
    assert "2 files: 2 as recorded" in result.stdout


def test_a_changed_file_fails_with_both_sums(released: Released) -> None:
    verify(released, "--record")
    recorded = released.checksums()[f"{FAMILY}/1M.pt"].sha256
    file(released, "1M.pt").write_bytes(weights(3))
    result = verify(released)
    assert result.exit_code == 1
    assert f"{FAMILY}/1M.pt: changed: " in result.stderr
    assert f"{recorded[:16]}…" in result.stderr
    assert "1 changed, 1 as recorded" in result.stdout
    verify(released, "--record")
    assert released.checksums()[f"{FAMILY}/1M.pt"].sha256 == recorded


def test_a_damaged_file_fails_and_is_not_recorded(released: Released) -> None:
    content = bytearray(weights(1))
    content[1000] ^= 1
    file(released, "1M.pt").write_bytes(content)
    result = verify(released, "--record")
    assert result.exit_code == 1
    assert f"{FAMILY}/1M.pt: damaged: " in result.stderr
    assert "the checksum of its record" in result.stderr
    assert set(released.checksums()) == {f"{FAMILY}/4M.pt"}


def test_a_recorded_file_that_is_not_here_is_said_so(released: Released) -> None:
    verify(released, "--record")
    file(released, "1M.pt").unlink()
    result = verify(released)
    assert result.exit_code == 0
    assert f"{FAMILY}/1M.pt: recorded, but not here" in result.stdout


def test_a_name_that_no_case_can_have_is_an_error(released: Released) -> None:
    file(released, "1M.pt").rename(file(released, "1M (1).pt"))
    result = verify(released)
    assert isinstance(result.exception, ReproError)
    assert str(result.exception).endswith("rename the file")
