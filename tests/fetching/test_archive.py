"""A zip is unpacked only if nothing in it can do harm."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from pathlib import Path

import pytest

from repro.errors import FetchError
from repro.fetching import archive
from repro.fetching.archive import DamagedError, unpack

from .released import Lines, zipped

GOOD = {"1M.pt": b"weights"}


def try_to_unpack(folder: Path, content: bytes) -> str:
    """Unpack what has to be refused; see that nothing at all was written."""
    source = folder / "source.zip"
    source.write_bytes(content)
    into = folder / "a" / "b" / "into"
    before = sorted(folder.rglob("*"))
    with pytest.raises(FetchError) as caught:
        unpack(source, into, "https://host/zip", Lines())
    assert not isinstance(caught.value, DamagedError)
    written = [path for path in folder.rglob("*") if path.is_file()]
    assert written == [path for path in before if path.is_file()]
    message = str(caught.value)
    assert message.startswith("https://host/zip brought a zip that was refused, and")
    return message


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../1M.pt", "leads out of the folder"),
        ("real/../../1M.pt", "leads out of the folder"),
        ("/etc/1M.pt", "is an absolute path"),
        ("//1M.pt", "is an absolute path"),
        ("C:/1M.pt", "is an absolute path"),
        ("..\\1M.pt", "is no plain name"),
        ("a\nb.pt", "is no plain name"),
        (".", "is no plain name"),
        ("../notes.txt", "leads out of the folder"),
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(
    tmp_path: Path, name: str, reason: str
) -> None:
    message = try_to_unpack(tmp_path, zipped({**GOOD, name: b"harm"}))
    assert reason in message


@pytest.mark.parametrize(
    ("kind", "reason"),
    [(stat.S_IFLNK, "is a link"), (stat.S_IFIFO, "is no regular file")],
)
def test_a_link_or_a_pipe_is_refused(tmp_path: Path, kind: int, reason: str) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as opened:
        entry = zipfile.ZipInfo("4M.pt")
        entry.create_system = 3
        entry.external_attr = (kind | 0o777) << 16
        opened.writestr(entry, "/etc/passwd")
        opened.writestr("1M.pt", b"weights")
    assert f"its entry '4M.pt' {reason}" in try_to_unpack(tmp_path, stream.getvalue())


def test_a_bomb_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "ALWAYS_ALLOWED", 10_000)
    content = zipped({"1M.pt": bytes(5_000_000)}, zipfile.ZIP_DEFLATED)
    assert len(content) < 10_000
    assert "5.0 kB would become 5.0 MB" in try_to_unpack(tmp_path, content)


def test_entries_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    content = bytearray(zipped({"1M.pt": bytes(1000), "4M.pt": bytes(1000)}))
    second = content.rindex(b"PK\x01\x02")
    # The second entry of the directory points at the bytes of the first one.
    content[second + 42 : second + 46] = struct.pack("<I", 0)
    assert "overlaps another" in try_to_unpack(tmp_path, bytes(content))


def test_two_entries_of_one_name_are_refused(tmp_path: Path) -> None:
    content = zipped({"1M.pt": b"one", "4M.pt": b"two"}).replace(b"4M.pt", b"1M.pt")
    assert "two entries '1M.pt'" in try_to_unpack(tmp_path, content)
    content = zipped({"1M.pt": b"one", "./1M.pt": b"two"})
    assert "two entries '1M.pt'" in try_to_unpack(tmp_path, content)


def test_too_many_entries_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MAXIMUM_ENTRIES", 3)
    content = zipped({f"{number}.pt": b"" for number in range(4)})
    assert "it has 4 entries" in try_to_unpack(tmp_path, content)


def test_an_encrypted_entry_is_refused(tmp_path: Path) -> None:
    content = bytearray(zipped(GOOD))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    assert "is encrypted" in try_to_unpack(tmp_path, bytes(content))


def test_an_unusual_compression_is_refused(tmp_path: Path) -> None:
    content = zipped(GOOD, zipfile.ZIP_BZIP2)
    assert "is compressed by an unusual method" in try_to_unpack(tmp_path, content)


def test_declared_sizes_that_lie_end_in_damage_not_in_more_bytes(
    tmp_path: Path,
) -> None:
    content = bytearray(zipped({"1M.pt": bytes(100_000)}, zipfile.ZIP_DEFLATED))
    for mark, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        place = content.index(mark) + offset
        content[place : place + 4] = struct.pack("<I", 10)
    source = tmp_path / "source.zip"
    source.write_bytes(content)
    with pytest.raises(DamagedError):
        unpack(source, tmp_path / "into", "https://host/zip", Lines())
    assert sum(file.stat().st_size for file in (tmp_path / "into").iterdir()) <= 10


@pytest.mark.parametrize(
    ("offset", "value", "reason"),
    [
        (6, 99, "zip file version 9.9"),
        (47, 0xFF, "can't decode byte 0xff"),
    ],
    ids=["version", "name"],
)
def test_a_directory_that_nobody_can_read_is_damage(
    tmp_path: Path, offset: int, value: int, reason: str
) -> None:
    content = bytearray(zipped({"1é.pt": b"weights"}))
    content[content.index(b"PK\x01\x02") + offset] = value
    source = tmp_path / "source.zip"
    source.write_bytes(content)
    with pytest.raises(DamagedError, match=reason):
        unpack(source, tmp_path / "into", "https://host/zip", Lines())


@pytest.mark.parametrize("top", ["", "./", "/"])
def test_an_entry_for_the_folder_itself_changes_nothing(
    tmp_path: Path, top: str
) -> None:
    source = tmp_path / "source.zip"
    inside = "" if top == "/" else top
    entries = {top: b""} if top else {}
    source.write_bytes(zipped({**entries, f"{inside}1M.pt": b"w"}))
    found = unpack(source, tmp_path / "into", "https://host/zip", Lines())
    assert found.files == (tmp_path / "into" / "1M.pt",)


def test_the_only_folder_of_a_zip_is_the_family(tmp_path: Path) -> None:
    source = tmp_path / "source.zip"
    entries = {"real/": b"", "real/1M.pt": b"w", "real/old/4M.pt": b"v"}
    entries |= {"__MACOSX/real/._1M.pt": b"noise"}
    source.write_bytes(zipped(entries))
    found = unpack(source, tmp_path / "into", "https://host/zip", Lines())
    assert found.files == (tmp_path / "into" / "1M.pt",)
    assert found.left_out == ("real/old/4M.pt",)
    assert (tmp_path / "into" / "1M.pt").read_bytes() == b"w"


def test_a_weights_file_that_no_case_can_be_named_after_is_left_out(
    tmp_path: Path,
) -> None:
    source = tmp_path / "source.zip"
    source.write_bytes(zipped({**GOOD, "1M (1).pt": b"copy"}))
    found = unpack(source, tmp_path / "into", "https://host/zip", Lines())
    assert found.left_out == ("1M (1).pt",)
