"""Checksums stand beside the published numbers and are written by machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from repro.errors import ExpectedError
from repro.published import Checksum, checksums_text, read_checksums, read_releases

from ..releases import release_toml

RELEASE = release_toml()
SUM = "0123456789abcdef" * 4
CHECKSUM = f"""
[checksum."supervised/real/1M.pt"]
size = 5
sha256 = "{SUM}"
"""


def release_folder(folder: Path, checksums: str, release: str = RELEASE) -> Path:
    (folder / "release.toml").write_text(release)
    (folder / "checksums.toml").write_text(checksums)
    return folder


def fault(folder: Path, checksums: str, release: str = RELEASE) -> str:
    with pytest.raises(ExpectedError) as caught:
        read_releases([release_folder(folder, checksums, release)])
    return str(caught.value)


def test_a_release_knows_the_checksums_that_lie_beside_it(tmp_path: Path) -> None:
    (release,) = read_releases([release_folder(tmp_path, CHECKSUM)])
    name = "supervised/real/1M.pt"
    assert release.checksums == {name: Checksum(id=name, size=5, sha256=SUM)}
    assert release.checksums[name].family == "supervised/real"


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    names = ("clip/real/371M.pt", "b/1M.safetensors")
    sums = {
        name: Checksum(id=name, size=7, sha256=SUM, origin='from "C:\\x" é')
        for name in names
    }
    file = tmp_path / "checksums.toml"
    file.write_text(checksums_text(sums), encoding="utf-8")
    assert read_checksums(file) == sums
    assert list(read_checksums(file)) == sorted(sums)


def test_a_file_of_checksums_may_not_exist_yet(tmp_path: Path) -> None:
    assert read_checksums(tmp_path / "checksums.toml") == {}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("size = 5", "size = -1", "size is -1; it must be 0 or more bytes"),
        ("size = 5", "", "the key 'size' is missing"),
        (SUM, SUM.upper(), "sha256 must be 64 hexadecimal digits in lower case"),
        (SUM, SUM[1:], "sha256 must be 64 hexadecimal digits in lower case"),
        ("supervised/real/1M.pt", "1M.pt", "must be FAMILY/FILE, with a slash"),
        ("real/1M.pt", "real/../1M.pt", "must be names joined by /"),
        ("real/1M.pt", "real/1M.txt", "a weights file ends with one of ."),
        ("real/1M.pt", "fake/1M.pt", "'supervised/fake', which is not defined"),
    ],
)
def test_what_is_no_checksum_is_refused(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert message in fault(tmp_path, CHECKSUM.replace(old, new))


def test_a_file_of_checksums_holds_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "checksums.toml"
    for content in ("[colour]\n", "checksum = 5\n", f"{CHECKSUM}[colour]\n"):
        file.write_text(content)
        with pytest.raises(ExpectedError, match="and nothing else"):
            read_checksums(file)
    file.write_text(f"schema = 1\n{CHECKSUM}")
    assert list(read_checksums(file)) == ["supervised/real/1M.pt"]
    file.write_text("schema = 1\n")
    assert read_checksums(file) == {}


def test_where_a_sum_comes_from_is_written_where_it_is_known() -> None:
    name = "b/1M.pt"
    known = {name: Checksum(id=name, size=0, sha256=SUM)}
    assert "origin" not in checksums_text(known)
    assert checksums_text(known).endswith(f'size = 0\nsha256 = "{SUM}"\n')
    for origin in ("two\nlines", "\x1b[31m"):
        with pytest.raises(ValueError, match="origin must be one line"):
            Checksum(id=name, size=0, sha256=SUM, origin=origin)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('files = { "1M.txt" = "https://a" }', "a weights file ends with one of"),
        ('files = { "../1M.pt" = "https://a" }', "whose stem '../1M' must begin with"),
        ('files = { "1M.pt" = "" }', "must not be empty"),
        ('local_names = ["../captions"]', "must be a relative path, without '..'"),
    ],
)
def test_files_and_local_names_of_a_family_are_names(
    tmp_path: Path, line: str, message: str
) -> None:
    assert message in fault(tmp_path, "", f"{RELEASE}{line}\n")
