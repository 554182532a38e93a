"""Lists of the files of a dataset: shipped ones, and lines of somebody's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.published.known_files import (
    list_text,
    make_list,
    plain_list,
    shipped_list,
    shipped_names,
    stem,
)

from ..releases import VALIDATION, fault_of, read_release, release_toml

WORDS = st.text("abcdefgh", min_size=1, max_size=4)


def with_files(name: object) -> str:
    return release_toml(dataset={"val": VALIDATION | {"files": name}})


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=20))
def test_a_list_knows_the_classes_of_each_of_its_files(
    images: list[tuple[str, str]],
) -> None:
    lines = "\n\n".join(f" {class_}/{name}.png " for class_, name in images)
    for found in (
        make_list("t", "s", ".*", images_of(images)),
        plain_list(lines, "t", "s"),
    ):
        for _, name in images:
            classes = [c for c, other in images if other == name]
            assert sorted(found.classes_of(f"x/{name}.png")) == sorted(classes)
        assert found.classes == tuple(dict.fromkeys(c for c, _ in images))
        assert found.classes_of("x/another.png") == ()
        # Four characters for each image, as is documented.
        for class_, digests in zip(found.classes, found.digests, strict=True):
            assert len(digests) == 4 * sum(class_ == c for c, _ in images)
        assert list_text(found).startswith("title t\nsource s\nform .*\n")


def images_of(images: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(class_, f"{name}.png") for class_, name in images]


def test_only_names_of_its_form_are_of_another_set() -> None:
    found = make_list(
        "t", "s", r"img_\d+", [("cat", "img_1.png"), ("dog", "img_2.png")]
    )
    assert found.speaks_of("cat/img_7.png")
    assert not found.speaks_of("cat/my_img_7.png")
    names = ["cat/img_1.png", "dog/img_1.png", "cat/img_3.png", "cat/mine.png"]
    assert found.misfits(names) == ["dog/img_1.png", "cat/img_3.png"]


def test_a_file_is_known_whatever_stands_around_its_name() -> None:
    assert stem("n01440764/ILSVRC2012_val_00000293.JPEG") == "ILSVRC2012_val_00000293"
    # Some scripts write the class behind the number.
    behind = "ILSVRC2012_val_00000293_n01440764.JPEG"
    assert stem(behind) == "ILSVRC2012_val_00000293"
    assert stem("a_n01440764.JPEG") == "a_n01440764"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it holds no line <class>/<image>"),
        ("\n \n", "it holds no line <class>/<image>"),
        ("cat/a.png\ndog\n", "its line 'dog' is not <class>/<image>"),
        ("cat/a.png\n/b.png\n", "its line '/b.png' is not <class>/<image>"),
        ("cat/\n", "its line 'cat/' is not <class>/<image>"),
        (f"{'x' * 61}\n", f"its line '{'x' * 60}' is not <class>/<image>"),
    ],
)
def test_what_is_no_line_of_a_list_is_said(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(ValueError, match="<class>/<image>") as caught:
        plain_list(text, "t", "s")
    assert str(caught.value) == said
    (tmp_path / "files.txt").write_text(text)
    message = fault_of(tmp_path, with_files("files.txt"))
    assert message == f"dataset.val: files names 'files.txt'; {said}"


def test_a_list_of_ones_own_names_its_dataset_and_its_file(tmp_path: Path) -> None:
    (tmp_path / "files.txt").write_text("cat/a.png\ndog/b.png\n")
    files = read_release(tmp_path, with_files("files.txt")).datasets["val"].files
    assert files is not None
    assert (files.title, files.source) == ("Validation", str(tmp_path / "files.txt"))
    assert files.classes_of("a.png") == ("cat",)


def test_what_names_no_list_is_refused_with_those_that_are_shipped(
    tmp_path: Path,
) -> None:
    shipped = ", ".join(f"repro:{name}" for name in shipped_names())
    said = fault_of(tmp_path, with_files("repro:none"))
    assert said == f"dataset.val: files is 'repro:none'; shipped are {shipped}"
    assert fault_of(tmp_path, with_files(5)) == (
        "dataset.val: files must be a string, not 5"
    )
    missing = fault_of(tmp_path, with_files("none.txt"))
    assert missing.startswith("dataset.val: files names a text file; ")
    assert fault_of(tmp_path, with_files("../none.csv")) == (
        "dataset.val: files is '../none.csv'; it must be a relative path, without "
        "'..', or a list *.txt"
    )


@pytest.mark.parametrize("name", shipped_names())
def test_a_shipped_list_is_one_of_its_classes(tmp_path: Path, name: str) -> None:
    files = shipped_list(name)
    both = VALIDATION | {"classes": list(files.classes), "files": f"repro:{name}"}
    read = read_release(tmp_path, release_toml(dataset={"val": both}))
    assert read.datasets["val"].files == files
    said = fault_of(tmp_path, with_files(f"repro:{name}"))
    assert "files has none of the classes" in said
