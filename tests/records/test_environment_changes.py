"""What differs between two environments is all of it, and nothing else."""

from __future__ import annotations

import msgspec
import pytest

from repro.judgement.compare import Change
from repro.records.comparison import environment_changes

from ..made_results import measurement

HERE = msgspec.structs.replace(
    measurement().environment, packages={"torch": "2.0", "numpy": "1.0"}
)


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        ("python", "Python"),
        ("system", "system"),
        ("cpu", "processor"),
        ("decoder", "decoder"),
        ("device", "device"),
        ("cuda", "CUDA"),
        ("driver", "driver"),
        ("commit", "commit"),
    ],
)
def test_what_alone_was_changed_alone_is_said(field: str, shown: str) -> None:
    first = msgspec.structs.replace(HERE, **{field: "one"})
    second = msgspec.structs.replace(HERE, **{field: "two"})
    assert environment_changes(first, first) == []
    assert environment_changes(first, second) == [Change(shown, "one", "two")]
    assert environment_changes(second, first) == [Change(shown, "two", "one")]


def test_local_changes_are_told_as_yes_and_no() -> None:
    clean = msgspec.structs.replace(HERE, dirty=False)
    dirty = msgspec.structs.replace(HERE, dirty=True)
    assert environment_changes(clean, dirty) == [Change("local changes", "no", "yes")]


def test_packages_of_either_side_are_told_and_those_alike_are_not() -> None:
    there = msgspec.structs.replace(HERE, packages={"torch": "2.1", "timm": "1.0"})
    assert environment_changes(HERE, there) == [
        Change("torch", "2.0", "2.1"),
        Change("numpy", "1.0", None),
        Change("timm", None, "1.0"),
    ]
