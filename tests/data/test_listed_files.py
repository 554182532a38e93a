"""What counts as an image in a folder, and what is said of one that cannot be read."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from repro.data.listing import (
    IMAGE_SUFFIXES,
    Image,
    Member,
    dead_link,
    digest_of,
    image_files,
    image_of,
    images_below,
    is_named_so,
    place_in,
    read_image,
    subfolders,
    unreadable,
)
from repro.errors import DatasetError
from repro.files import stamp_of


@pytest.mark.parametrize("suffix", IMAGE_SUFFIXES)
def test_images_are_known_by_their_suffix_in_any_case(suffix: str) -> None:
    assert is_named_so(f"a{suffix}")
    assert is_named_so(f"A{suffix.upper()}")
    assert not is_named_so(f"._a{suffix}")
    assert not is_named_so(f"a{suffix}.txt")
    assert is_named_so("a.csv", (".csv",))
    assert not is_named_so(f"a{suffix}", (".csv",))


def names(folder: Path) -> list[str]:
    return sorted(image.name for image in images_below(folder, "cat"))


def test_images_are_listed_in_folders_of_a_class_but_not_in_those_of_systems(
    tmp_path: Path,
) -> None:
    for place in (
        "1.png",
        "x/2.png",
        "x/y/3.png",
        "4.txt",
        "._5.png",
        "folder.png/6.png",
    ):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_bytes(place.encode())
    for place in (".hidden/7.png", "__MACOSX/8.png", "@eaDir/9.png"):
        (tmp_path / place).parent.mkdir()
        (tmp_path / place).touch()
    (tmp_path / "z.png").touch()
    wanted = ["cat/1.png", "cat/folder.png/6.png", "cat/x/2.png", "cat/x/y/3.png"]
    assert names(tmp_path) == [*wanted, "cat/z.png"]
    assert subfolders(tmp_path) == ["folder.png", "x"]
    assert image_files(tmp_path) == ["1.png", "z.png"]
    (found,) = images_below(tmp_path / "x" / "y", "dog", placed=True)
    assert found == Image(
        "dog/3.png",
        stamp_of((tmp_path / "x/y/3.png").stat()),
        str(tmp_path / "x/y/3.png"),
    )
    assert place_in(tmp_path, found) == str(tmp_path / "x/y/3.png")
    assert place_in(Path("root"), Image("dog/3.png", found.stamp)) == "root/dog/3.png"


def test_a_name_that_is_no_line_of_text_is_spelt(tmp_path: Path) -> None:
    status = tmp_path.stat()
    for name in ("two\nlines.png", "back\\slash.png"):
        for placed in (True, False):
            found = image_of(name, status, "place", placed)
            assert found.name.isprintable()
            assert found.name != name
            assert found.place == "place"
    assert image_of("plain.png", status, "place", False).place is None
    assert image_of("plain.png", status, "place").place == "place"


def test_links_lead_to_images_and_never_back(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "cat", tmp_path / "elsewhere"
    for place in (folder, elsewhere):
        place.mkdir()
    (elsewhere / "1.png").touch()
    (folder / "more").symlink_to(elsewhere)
    (folder / "2.png").symlink_to(elsewhere / "1.png")
    assert names(folder) == ["cat/2.png", "cat/more/1.png"]
    # Twice to one folder is no circle.
    (folder / "again").symlink_to(elsewhere)
    assert len(names(folder)) == 3
    (elsewhere / "up").symlink_to(folder)
    with pytest.raises(DatasetError, match="leads in a circle; remove it"):
        names(folder)


@pytest.mark.parametrize("name", ["x.png", "x"])
def test_a_link_that_leads_nowhere_is_said_whatever_its_name(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / name).symlink_to("/nowhere")
    said = "x.* is a link to /nowhere, which is not there; restore that, or remove"
    with pytest.raises(DatasetError, match=said):
        names(tmp_path)
    (tmp_path / name).unlink()
    (tmp_path / name).symlink_to(tmp_path / name)
    assert "from where it leads in a circle; remove it" in dead_link(tmp_path / name)


@pytest.mark.parametrize(
    ("number", "filename"),
    [(errno.EACCES, "inside"), (errno.ENOENT, "inside"), (errno.EIO, None)],
)
def test_what_cannot_be_read_is_named(
    number: int, filename: str | None, tmp_path: Path
) -> None:
    error = OSError(number, os.strerror(number), filename)
    said = str(unreadable(error, tmp_path))
    path = filename or tmp_path
    assert said.startswith(f"{path} cannot be read: {os.strerror(number)}. Make it")
    # Of a link only where it leads nowhere.
    link = tmp_path / "link"
    link.symlink_to("/nowhere")
    error = OSError(number, os.strerror(number), str(link))
    is_link = str(unreadable(error, tmp_path)).startswith(f"{link} is a link to")
    assert is_link == (number == errno.ENOENT)


def test_a_folder_that_is_none_cannot_be_read(tmp_path: Path) -> None:
    for read in (subfolders, image_files, names):
        with pytest.raises(DatasetError, match="nowhere cannot be read: No such file"):
            read(tmp_path / "nowhere")


def test_the_bytes_of_an_image_are_those_that_were_indexed(tmp_path: Path) -> None:
    file = tmp_path / "1.png"
    file.write_bytes(b"0123456789")
    member = Member(file, "inside", 3, 4)
    assert str(member) == f"{file}:inside"
    for place, content in ((file, b"0123456789"), (str(file), b"0123456789")):
        assert read_image(place) == content
        assert read_image(place, digest_of(content)) == content
    assert read_image(member, digest_of(b"3456")) == b"3456"
    for digest in (digest_of(b"0"), "0" * 32, "f" * 32):
        with pytest.raises(DatasetError, match="has changed since its dataset was ind"):
            read_image(file, digest)
    file.unlink()
    for gone in (file, member):
        with pytest.raises(
            DatasetError, match=r"is missing\. Restore the original file"
        ):
            read_image(gone)
    file.mkdir()
    with pytest.raises(
        DatasetError, match=r"cannot be read: Is a directory\. Replace it"
    ):
        read_image(file)


class Wordless:
    def read(self) -> bytes:
        raise OSError("it is damaged")


def test_a_reader_may_say_in_its_own_words_what_is_wrong() -> None:
    with pytest.raises(DatasetError, match=r"cannot be read: it is damaged\. Replace"):
        read_image(Wordless())
