from __future__ import annotations

import pytest

from repro.words import counted, counted_names, joined_numbers, listed


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
