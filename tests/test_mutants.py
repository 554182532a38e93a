"""Changes that are known to change nothing are of lines that are still there."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("cosmic_ray")

from mutants.asking import Seen, Timed
from mutants.changes import changes, compared_words, known_equivalents, modules

ROOT = Path(__file__).parents[1]


def test_each_change_that_is_known_to_change_nothing_can_be_made() -> None:
    for one in known_equivalents():
        lines = (ROOT / one.module).read_text("utf-8").splitlines()
        assert one.before in map(str.strip, lines), one.before
        assert one.after != one.before
        assert one.reason


@pytest.mark.slow
def test_cosmic_ray_can_read_every_module_of_these_rooms() -> None:
    # It cannot where an `except` has an expression in place of names.
    for room in ("judgement", "claims", "evaluation", "data", "published", "records"):
        for module in modules(ROOT / "repro" / room):
            found = changes(module)
            assert found or module.name == "__init__.py", module


def test_how_much_is_remembered_and_what_cannot_be_written_is_left_as_it_is(
    tmp_path: Path,
) -> None:
    source = """made = defstruct("A", frozen=True, kw_only=True)

@lru_cache(10)
def asked(first):
    return first + 1
"""
    (tmp_path / "module.py").write_text(source)
    lines = {(*item.start_pos,) for item in changes(tmp_path / "module.py")}
    kw_only = source.index("kw_only=") + len("kw_only=")
    assert {line for line, _ in lines} == {1, 5}
    assert {column for line, column in lines if line == 1} == {kw_only}


def test_what_is_given_by_name_is_no_product(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text("def given(a, *, b):\n    return a * b\n")
    assert {item.start_pos[0] for item in changes(module)} == {2}


def test_types_of_a_named_tuple_are_never_evaluated(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    of_a_struct = "class B(Struct):\n    a: list[int | str]\n"
    module.write_text("class A(NamedTuple):\n    a: list[int | str]\n" + of_a_struct)
    assert {item.start_pos[0] for item in changes(module)} == {4}


def test_the_type_of_a_constant_is_never_evaluated(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text("A: int | None = 3\nB = int | None\n")
    found = {(*item.start_pos,) for item in changes(module)}
    assert found == {(1, 16), (2, 8)}


def test_what_runs_once_is_asked_of_all_tests(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text("LIMIT = 3\ndef within(n):\n    return n < LIMIT\n")
    tests = {"slow": Timed(2.0, []), "quick": Timed(1.0, [])}
    seen = Seen({str(module): {3: ["slow"]}}, tests)
    called = Seen({str(module): {3: ["", "slow"]}}, tests)
    assert called.tests_of(module, 3, 3) == ["quick", "slow"]
    assert seen.tests_of(module, 1, 1) == ["quick", "slow"]
    assert seen.tests_of(module, 3, 3) == ["slow"]


def test_a_line_is_seen_by_those_that_see_its_statement(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(
        "def of(a, b):\n    if (\n        a\n        and (\n            b\n        )\n"
        "    ):\n        return 1\n    return 2\n"
    )
    tests = {"both": Timed(2.0, []), "one": Timed(1.0, [])}
    seen = Seen({str(module): {2: ["both"], 3: ["both"], 9: ["one"]}}, tests)
    assert seen.tests_of(module, 4, 4) == ["both"]
    assert seen.tests_of(module, 8, 8) == []
    assert seen.tests_of(module, 8, 9) == ["one"]


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
