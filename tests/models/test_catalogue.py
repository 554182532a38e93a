"""The table of names of tensors: what it says is what libraries build."""

from __future__ import annotations

import pytest
import timm
from make_catalogue import architectures, names_of

from repro.models.inspection import TABLE, architectures_named, digest_of

from ..conftest import Often

KNOWN = {
    tuple(name.split(":")): digest
    for digest, *names in map(str.split, TABLE.read_text().splitlines())
    for name in names
}


def test_each_architecture_stands_in_the_table_once() -> None:
    lines = [line.split() for line in TABLE.read_text().splitlines()]
    assert len({digest for digest, *_ in lines}) == len(lines)
    assert len(KNOWN) == sum(len(names) for _, *names in lines) > 1300


def test_names_are_found_whatever_counts_batches() -> None:
    names = timm.create_model("resnet10t").state_dict()
    learnt = [name for name in names if not name.endswith("num_batches_tracked")]
    assert ("timm", "resnet10t") in architectures_named(learnt)
    assert architectures_named(names) == architectures_named(learnt)
    assert architectures_named([*learnt, "another"]) == ()


@pytest.mark.slow
def test_the_table_says_what_the_installed_libraries_build(often: Often) -> None:
    known = [one for one in architectures() if one in KNOWN]
    assert len(known) > 1000
    # One of each line, whose tensors have the same names as the table says, or all.
    shortest = sorted(known, key=lambda one: -len(one[1]))
    of_lines = {KNOWN[one]: one for one in shortest}
    tried = known[: often(len(known), 0)] or list(of_lines.values())
    wrong = [one for one in tried if digest_of(names_of(*one)) != KNOWN[one]]
    assert not wrong
    assert len(tried) > 800
