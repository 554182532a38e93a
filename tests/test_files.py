from __future__ import annotations

from pathlib import Path

import pytest

from repro.files import parse_size, replace_bytes, replacing, shown_size


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("800", 800), ("500M", 500 * 10**6), ("1.5t", 1_500_000_000_000)]
    + [(text, 20 * 10**9) for text in ("20G", "20GB", "20 g", " 20000M ")],
)
def test_sizes_are_read_with_and_without_a_unit(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "G", "-1G", "1,5G", "5X", "5 GiB"])
def test_what_is_no_size_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be a size such as 500M, 20G or 1\.5T"):
        parse_size(text)


def test_sizes_are_shown_with_one_decimal() -> None:
    shown = [shown_size(size) for size in (0, 1234, 7_526_400_000, 2 * 10**12)]
    assert shown == ["0.0 kB", "1.2 kB", "7.5 GB", "2.0 TB"]


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    file = tmp_path / "file"
    replace_bytes(file, b"old")
    with replacing(file) as stream:
        stream.write(b"new")
        stream.flush()
        assert file.read_bytes() == b"old"
    assert file.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [file]


def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "file"
    replace_bytes(file, b"old")

    def write_half() -> None:
        with replacing(file) as stream:
            stream.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]
