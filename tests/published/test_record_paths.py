"""What is seen for the first time is written beside a release that can be changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from repro.published import place_beside, place_of_user, place_to_record
from tests.made_releases import release


@pytest.fixture(autouse=True)
def users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the user's data."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    return tmp_path / "share/repro"


def folder(at: Path) -> Path:
    at.mkdir(parents=True)
    (at / "release.toml").touch()
    return at


def test_a_folder_of_a_release_keeps_its_records(tmp_path: Path, users: Path) -> None:
    made = release([], location=folder(tmp_path / "mine"))
    assert place_beside(made, "sums.toml") == tmp_path / "mine/sums.toml"
    assert place_to_record(made, "sums", "sums.toml") == tmp_path / "mine/sums.toml"
    assert place_of_user(made, "sums", "sums.toml") == users / "sums/tiny/sums.toml"


def test_what_is_one_file_among_others_is_recorded_with_the_user(
    tmp_path: Path, users: Path
) -> None:
    made = release([], location=tmp_path)
    assert place_beside(made, "sums.toml") is None
    expected = users / "sums/tiny/sums.toml"
    assert place_to_record(made, "sums", "sums.toml") == expected


@pytest.mark.parametrize("kind", ["site-packages", "dist-packages"])
def test_what_is_installed_is_recorded_with_the_user(
    tmp_path: Path, users: Path, kind: str
) -> None:
    made = release([], location=folder(tmp_path / kind / "theirs"))
    expected = users / "sums/tiny/sums.toml"
    assert place_to_record(made, "sums", "sums.toml") == expected


def test_what_cannot_be_written_is_recorded_with_the_user(
    tmp_path: Path, users: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def access(path: Path, mode: int) -> bool:
        asked.append((path, mode))
        return False

    # Root may write anywhere.
    monkeypatch.setattr(os, "access", access)
    made = release([], location=folder(tmp_path / "theirs"))
    expected = users / "sums/tiny/sums.toml"
    assert place_to_record(made, "sums", "sums.toml") == expected
    assert asked == [(tmp_path / "theirs", os.W_OK)]
