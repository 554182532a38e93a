"""Changes that are known to change nothing are of lines that are still there."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("cosmic_ray")

from mutants.changes import changes, compared_words, known_equivalents

ROOT = Path(__file__).parents[1]


def test_each_change_that_is_known_to_change_nothing_can_be_made() -> None:
    for one in known_equivalents():
        lines = (ROOT / one.module).read_text("utf-8").splitlines()
        assert one.before in map(str.strip, lines), one.before
        assert one.after != one.before
        assert one.reason


def test_words_are_told_apart_and_not_put_in_order(tmp_path: Path) -> None:
    source = 'a = b == "word"\nc = d == 1\n'
    assert list(compared_words(source)) == [((1, 4), (1, 15))]
    (tmp_path / "module.py").write_text(source)
    made = {item.operator_name for item in changes(tmp_path / "module.py")}
    first = {n for n in made if n.endswith(("_Eq_Lt", "_Eq_NotEq"))}
    assert len(first) == 2
    places = {
        item.start_pos[0]
        for item in changes(tmp_path / "module.py")
        if item.operator_name.endswith("_Eq_Lt")
    }
    assert places == {2}
