from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.errors import ReproError
from repro.words import (
    MESSAGE,
    brief,
    counted,
    counted_names,
    joined_numbers,
    listed,
    visible,
)

#: Control characters, and what Unicode has to turn the direction of what follows.
OBEYED = [
    chr(code)
    for code in range(0x10000)
    if unicodedata.category(chr(code)) in {"Cc", "Zl", "Zp", "Cs"}
    or unicodedata.bidirectional(chr(code))
    in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
]
ANYTHING = st.text(st.one_of(st.characters(), st.sampled_from(OBEYED)))
#: Texts as messages are that quote somebody: long words, quotes, lists, or none.
LONG = st.lists(
    st.one_of(
        ANYTHING, st.sampled_from(["x" * 9000, "a, " * 900, " '", "' ", "/a" * 300])
    ),
    max_size=40,
).map("".join)


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 images"), (1, "1 image"), (1234, "1,234 images")]
)
def test_a_number_has_its_noun(number: int, text: str) -> None:
    assert counted(number, "image") == text


def test_a_noun_can_have_a_plural_of_its_own() -> None:
    assert counted(2, "copy", "copies") == "2 copies"


def test_of_many_names_the_first_are_shown_and_the_others_counted() -> None:
    assert listed(["a", "b", "c"]) == "a, b, c"
    assert listed(["a", "b", "c", "d"]) == "a, b, c and 1 more"
    assert listed("abcdef", most=1) == "a and 5 more"
    assert counted_names([], "key is", "keys are") == ""
    assert counted_names("a", "key is", "keys are") == "1 key is (a)"
    assert counted_names("abcd", "key is", "keys are") == "4 keys are (a, b, c ...)"


def test_equal_numbers_of_channels_are_written_once() -> None:
    assert joined_numbers((0.5, 0.5, 0.5)) == "0.5"
    assert joined_numbers((0.485, 0.456, 0.406)) == "0.485/0.456/0.406"


@given(ANYTHING)
def test_nothing_that_a_terminal_obeys_is_left_in_a_text(text: str) -> None:
    said = visible(text).replace("\r\n", "\n")
    assert set(said) & set(OBEYED) <= {"\t", "\n"}


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_json_text_says_the_same_when_all_of_it_is_visible(text: str) -> None:
    assert json.loads(visible(json.dumps(text, ensure_ascii=False))) == text


def test_letters_of_all_scripts_stay_as_they_are() -> None:
    text = "Größe \u00d7 2 \u2013 \u05e9\u05dc\u05d5\u05dd \u65e5\u672c\u8a9e\n\t± 0.1"
    assert visible(text) == text


@given(LONG)
def test_no_message_is_too_long_or_more_than_one_line(text: str) -> None:
    message = str(ReproError(text))
    assert len(message) <= MESSAGE
    assert not set(message) & set(OBEYED) - {"\t"}


@given(st.text(max_size=MESSAGE))
def test_a_message_that_is_short_enough_is_not_cut(text: str) -> None:
    assert brief(text) == text


def test_what_is_quoted_is_cut_before_the_name_of_the_file() -> None:
    file = "/a" * 100 + "/paper.toml"
    said = brief(f"{file}: unknown key {'k' * 400!r} and {'l' * 40!r}; remove it")
    assert said.startswith(f"{file}: unknown key 'kkk")
    assert said.endswith(f"k' and {'l' * 40!r}; remove it")


@pytest.mark.parametrize(
    "quoted",
    [
        "'" + "n" * 9000 + "'",
        "'" + "two words " * 900 + "'",
        "/a/path" * 200 + "/release.toml",
        ", ".join(f"model-{number}" for number in range(900)),
        "one word after the other " * 300,
    ],
)
def test_a_long_message_keeps_the_file_at_its_start_and_what_to_do_at_its_end(
    quoted: str,
) -> None:
    said = brief(f"/home/me/paper.toml: family.a: key is {quoted}; remove it")
    assert len(said) <= MESSAGE
    assert said.startswith("/home/me/paper.toml: family.a: key is ")
    assert said.endswith("; remove it")
    assert "…" in said
