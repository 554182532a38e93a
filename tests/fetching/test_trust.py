"""A file is trusted when it is first seen, and checked ever after."""

from __future__ import annotations

import hashlib
import sysconfig
from pathlib import Path

import pytest

from repro.errors import FetchError, WeightsError
from repro.models.weights import (
    check_recorded,
    record_checksums,
    recorded_checksums,
    verify_weights,
)
from repro.published import Checksum, read_releases

from .host import Host
from .released import FAMILY, Released, weights


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_the_first_fetch_records_size_sum_and_origin(
    host: Host, released: Released
) -> None:
    link = host.share("/1M.pt", weights(1))
    released.link(link)
    fetched = released.fetch()
    assert fetched.trusted == (f"{FAMILY}/1M.pt",)
    assert fetched.recorded_in == released.folder / "checksums.toml"
    checksum = released.read().checksums[f"{FAMILY}/1M.pt"]
    assert checksum.size == len(weights(1))
    assert checksum.sha256 == sha256(weights(1))
    assert checksum.origin.endswith(f"from {link}")


def test_a_later_fetch_of_other_bytes_is_refused_with_both_sums(
    host: Host, released: Released
) -> None:
    released.link(host.share("/1M.pt", weights(1)))
    released.fetch()
    (released.checkpoints / FAMILY / "1M.pt").unlink()
    host.share("/1M.pt", weights(2))
    (lock,) = released.checkpoints.rglob("lock")
    held = lock.stat().st_ino
    with pytest.raises(WeightsError) as caught:
        released.fetch()
    assert f"{sha256(weights(1))[:16]}…" in str(caught.value)
    assert f"{sha256(weights(2))[:16]}…" in str(caught.value)
    assert released.installed() == {}
    # What waits for that lock, and what comes now, are one after the other.
    assert lock.stat().st_ino == held
    assert [path.name for path in lock.parent.iterdir() if path.is_dir()] == []
    host.share("/1M.pt", weights(1))
    released.fetch()
    assert released.installed() == {"1M.pt": weights(1)}


def test_a_file_of_the_user_is_never_overwritten(
    host: Host, released: Released
) -> None:
    released.link(host.share("/1M.pt", weights(1)))
    own = released.checkpoints / FAMILY / "1M.pt"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"mine")
    with pytest.raises(FetchError, match="nothing was overwritten"):
        released.fetch()
    assert own.read_bytes() == b"mine"


def test_a_file_that_is_right_already_is_kept(host: Host, released: Released) -> None:
    released.link(host.share("/1M.pt", weights(1)))
    own = released.checkpoints / FAMILY / "1M.pt"
    own.parent.mkdir(parents=True)
    own.write_bytes(weights(1))
    inode = own.stat().st_ino
    released.fetch()
    assert own.stat().st_ino == inode


def test_a_recorded_sum_is_not_replaced(released: Released) -> None:
    released.link("https://example.org/1M.pt")
    name = f"{FAMILY}/1M.pt"
    first = Checksum(id=name, size=1, sha256=sha256(b"1"))
    record_checksums(released.read(), [first])
    record_checksums(released.read(), [Checksum(id=name, size=2, sha256=sha256(b"2"))])
    assert recorded_checksums(released.read())[name] == first


@pytest.mark.parametrize("where", ["installed", "read-only", "one file of several"])
def test_where_a_release_cannot_be_changed_the_user_keeps_the_sums(
    released: Released, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    released.link("https://example.org/1M.pt")
    path = released.folder
    if where == "installed":
        path = tmp_path / "lib" / Path(sysconfig.get_path("purelib")).name / "expected"
        path.parent.mkdir(parents=True)
        released.folder.rename(path)
    elif where == "one file of several":
        path = released.folder / "tiny.toml"
        (released.folder / "release.toml").rename(path)
    else:
        # A user other than root cannot write what is read-only.
        monkeypatch.setattr("os.access", lambda path, mode: False)
    (release,) = read_releases([path])
    new = Checksum(id=f"{FAMILY}/1M.pt", size=1, sha256=sha256(b"1"))
    file = record_checksums(release, [new])
    assert file == tmp_path / "data-home/repro/checksums/tiny/checksums.toml"
    assert recorded_checksums(release) == {new.id: new}


def test_a_changed_file_is_an_error_that_names_both_sums(
    released: Released, tmp_path: Path
) -> None:
    released.link("https://example.org/1M.pt")
    file = tmp_path / "1M.pt"
    file.write_bytes(weights(1))
    found = verify_weights(file, tmp_path / "cache")
    assert not check_recorded(released.read(), FAMILY, found)
    new = Checksum(id=f"{FAMILY}/1M.pt", size=found.size, sha256=found.sha256)
    record_checksums(released.read(), [new])
    assert check_recorded(released.read(), FAMILY, found)

    file.write_bytes(weights(2))
    found = verify_weights(file, tmp_path / "cache")
    with pytest.raises(WeightsError) as caught:
        check_recorded(released.read(), FAMILY, found)
    assert f"{sha256(weights(1))[:16]}…" in str(caught.value)
    assert f"{sha256(weights(2))[:16]}…" in str(caught.value)
    assert "It is what is recorded as" not in str(caught.value)

    other = Checksum(id=f"{FAMILY}/2M.pt", size=found.size, sha256=found.sha256)
    record_checksums(released.read(), [other])
    with pytest.raises(WeightsError, match=r"It is what is recorded as .*/2M\.pt"):
        check_recorded(released.read(), FAMILY, found)


def test_a_file_put_back_with_its_old_time_stamp_is_read_again(
    tmp_path: Path,
) -> None:
    import os

    file = tmp_path / "1M.pt"
    file.write_bytes(weights(1))
    before = file.stat()
    verify_weights(file, tmp_path / "cache")
    file.write_bytes(weights(2))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    assert verify_weights(file, tmp_path / "cache").sha256 == sha256(weights(2))
