"""`repro fetch` chooses families, says what it trusts, and fails when one fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from repro.cli import cli
from repro.errors import ReproError

from ..fetching.host import Host, running_host, status
from ..fetching.released import Released, weights, zipped


@pytest.fixture
def host() -> Iterator[Host]:
    with running_host() as host:
        yield host


@pytest.fixture
def released(tmp_path: Path, host: Host, monkeypatch: pytest.MonkeyPatch) -> Released:
    """A release of three families, one of which is not there any more."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data-home"))
    released = Released(tmp_path / "release", tmp_path / "checkpoints")
    content = zipped({"1M.pt": weights(1), "README.txt": b""})
    gone = [status(404)] * 9
    links = {
        "clip/real": host.share_folder("/scl/fo/1/h", content),
        "clip/synthetic": host.share_folder("/scl/fo/2/h", content),
        "supervised/real": host.share_folder("/scl/fo/3/h", content, faults=gone),
    }
    released.write({name: {"folder": link} for name, link in links.items()})
    return released


def fetch(released: Released, *arguments: str) -> Result:
    options = ["--expected", str(released.folder)]
    options += ["--checkpoints", str(released.checkpoints)]
    return CliRunner().invoke(cli, ["fetch", *options, *arguments])


def test_a_pattern_chooses_families_and_all_of_them_are_fetched(
    host: Host, released: Released
) -> None:
    result = fetch(released, "clip/*")
    assert result.exit_code == 0
    assert "clip/real: fetched 1M.pt\n" in result.stdout
    assert "clip/synthetic: fetched 1M.pt\n" in result.stdout
    assert "so their SHA-256 is trusted from now on: 1M.pt (in " in result.stdout
    assert "left out, being no weights at the top of the folder" in result.stdout
    assert set(released.checksums()) == {"clip/real/1M.pt", "clip/synthetic/1M.pt"}
    assert not host.asked("/cd/fo/3/h")
    assert "here already: 1M.pt" in fetch(released, "clip/real").stdout


def test_one_family_that_fails_fails_the_command_but_not_the_others(
    released: Released,
) -> None:
    result = fetch(released, "--jobs", "1")
    assert result.exit_code == 1
    assert "supervised/real: error: http" in result.stderr
    assert "1 of 3 families were not fetched" in result.stderr
    assert released.installed("clip/real") == {"1M.pt": weights(1)}
    assert released.installed("clip/synthetic") == {"1M.pt": weights(1)}


def test_a_pattern_that_matches_nothing_is_an_error(released: Released) -> None:
    result = fetch(released, "clop/*")
    assert isinstance(result.exception, ReproError)
    assert str(result.exception) == (
        "no family is named 'clop/*'; there are clip/real, clip/synthetic, "
        "supervised/real"
    )


def test_a_folder_for_the_weights_has_to_be_named(
    released: Released, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REPRO_CHECKPOINTS", raising=False)
    result = CliRunner().invoke(cli, ["fetch", "--expected", str(released.folder)])
    assert isinstance(result.exception, ReproError)
    assert "name one with --checkpoints DIR" in str(result.exception)
