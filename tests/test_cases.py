from __future__ import annotations

import random
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repro.cases import Case, list_cases, order_for_reading
from repro.errors import ExpectedError
from repro.judgement.verdict import Verdict
from repro.published import EMBEDDED, read_releases
from repro.records.result import result_of
from repro.report.rows import in_order

from .made_releases import family, reference, release

EXPECTED = Path(__file__).parents[1] / "expected"


def touch(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def ids(cases: Sequence[Case]) -> list[str]:
    return [case.id for case in cases]


# Ids -------------------------------------------------------------------------------


def test_an_id_says_family_checkpoint_and_protocol() -> None:
    (case,) = list_cases([release([family("a/b")], [reference("a/b", "16M")])])
    assert case.id == "a/b/16M@plain"
    # What pytest shows of a fixture, with --showlocals or -vv.
    assert repr(case) == "<case a/b/16M@plain>"


def test_an_id_says_the_dataset_where_it_is_not_the_default_one() -> None:
    (case,) = list_cases([release([family("a")], [reference("a", dataset="extra")])])
    assert case.id == "a/1M@plain:extra"


@pytest.fixture(scope="module")
def published() -> list[Case]:
    return list_cases(read_releases([EXPECTED / "synthetic-scaling"]))


def test_the_ids_of_the_published_release_stay_as_they_are(
    published: list[Case],
) -> None:
    found = ids(order_for_reading(published))
    assert len(found) == 54
    assert found[0] == "supervised/classnames-cfg7.5/1M@visinf-supervised"
    assert found[-1] == "clip/synthetic+real/371M@visinf-clip"
    assert "supervised/classnames-cfg2.0/64M@paper-supervised:imagenet-v2" in found


def test_ids_are_unique_and_need_no_quotes(published: list[Case]) -> None:
    found = ids(published)
    assert len(set(found)) == len(found)
    assert all(shlex.quote(id_) == id_ for id_ in found)


def test_a_command_names_the_checkpoint_in_words_that_pytest_selects_by(
    published: list[Case],
) -> None:
    for case in published:
        program, option, words = shlex.split(case.command())
        assert (program, option) == ("pytest", "-k")
        assert words in case.id
        assert re.fullmatch(r"[\w:+\-.\[\]\\/]+", words)


# Which cases -----------------------------------------------------------------------


def test_the_metrics_of_one_measurement_are_references_of_one_case() -> None:
    both = [reference("a"), reference("a", metric="loss")]
    (case,) = list_cases([release([family("a")], both)])
    assert case.references == tuple(both)


def test_a_reference_of_two_families_belongs_to_a_case_of_each() -> None:
    either = reference(("a", "b"))
    cases = list_cases([release([family("a"), family("b")], [either])])
    assert ids(cases) == ["a/1M@plain", "b/1M@plain"]
    assert all(case.references == (either,) for case in cases)
    assert cases[0].with_family("b") == cases[1]


def test_each_protocol_and_dataset_is_a_case_of_its_own() -> None:
    references = [
        reference("a"),
        reference("a", protocol="other"),
        reference("a", dataset="extra"),
    ]
    cases = list_cases([release([family("a")], references)])
    assert sorted(ids(cases)) == ["a/1M@other", "a/1M@plain", "a/1M@plain:extra"]


def test_weights_that_no_reference_speaks_of_are_cases_without_references(
    tmp_path: Path,
) -> None:
    touch(tmp_path / "a/b/2M.pt", tmp_path / "a/b/1M.pt")
    spec = family("a/b", protocols=("plain", "other"), datasets=("val", "extra"))
    cases = list_cases([release([spec], [reference("a/b", "1M")])], tmp_path)
    assert {case.id: len(case.references) for case in cases} == {
        "a/b/1M@plain": 1,
        "a/b/2M@plain": 0,
        "a/b/2M@other": 0,
        "a/b/2M@plain:extra": 0,
        "a/b/2M@other:extra": 0,
    }


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors", ".bin"])
def test_a_weights_file_is_known_by_its_suffix(tmp_path: Path, suffix: str) -> None:
    touch(tmp_path / f"a/0.5M{suffix}")
    (case,) = list_cases([release([family("a")])], tmp_path)
    assert case.id == "a/0.5M@plain"
    assert case.training_images == 500_000


def test_what_is_no_weights_file_is_no_case(tmp_path: Path) -> None:
    names = ("README.md", "1M.pt.part", "._1M.pt", "2M.pt/data.pkl", "deeper/3M.pt")
    touch(*(tmp_path / "a" / name for name in names))
    assert list_cases([release([family("a")])], tmp_path) == []


def test_two_files_of_one_name_are_one_case(tmp_path: Path) -> None:
    touch(tmp_path / "a/1M.pt", tmp_path / "a/1M.safetensors")
    assert len(list_cases([release([family("a")])], tmp_path)) == 1


def test_a_link_to_weights_that_are_gone_is_a_case_that_will_say_so(
    tmp_path: Path,
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1M.pt").symlink_to("gone.pt")
    assert len(list_cases([release([family("a")])], tmp_path)) == 1


@pytest.mark.parametrize(
    "name", ["1M (1).pt", "a@b.pt", "-x.pt", "a:b.pt", "\u00e9.pt"]
)
def test_weights_with_a_name_that_no_id_can_hold_are_not_skipped(
    tmp_path: Path, name: str
) -> None:
    touch(tmp_path / "a" / name)
    with pytest.raises(ExpectedError, match="rename the file") as caught:
        list_cases([release([family("a")])], tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'a' / name}: the name ")


def test_a_weights_folder_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(ExpectedError, match="cannot be read"):
        list_cases([release([family("a")])], Path("x" * 300))


def test_without_weights_only_referenced_checkpoints_are_cases(tmp_path: Path) -> None:
    one = release([family("a")], [reference("a")])
    assert list_cases([one]) == list_cases([one], tmp_path / "none")
    assert len(list_cases([one])) == 1


def test_a_release_uses_the_weights_that_it_ships_unless_told_otherwise(
    tmp_path: Path,
) -> None:
    touch(tmp_path / "own/a/1M.pt", tmp_path / "mine/a/2M.pt")
    shipped = release([family("a")], location=tmp_path, checkpoints="own")
    assert ids(list_cases([shipped])) == ["a/1M@plain"]
    assert ids(list_cases([shipped], tmp_path / "mine")) == ["a/2M@plain"]
    (case,) = list_cases([shipped])
    assert case.weights_folder(None) == tmp_path / "own" / "a"
    assert case.weights_folder(tmp_path / "mine") == tmp_path / "mine" / "a"


def test_a_case_of_the_same_id_in_two_releases_is_an_error() -> None:
    both = [release([family("a")], [reference("a")], name=name) for name in "xy"]
    with pytest.raises(ExpectedError) as caught:
        list_cases(both)
    assert str(caught.value) == (
        "case a/1M@plain stands in release 'x' and in 'y'; rename the family in one of "
        "them"
    )


# Order -----------------------------------------------------------------------------


def test_the_longest_case_comes_first_then_those_that_share_its_pixels() -> None:
    families = [family("quick"), family("slow", "large")]
    references = [
        reference("quick", dataset="extra"),
        reference("quick"),
        reference("slow", dataset="extra"),
        reference("slow"),
    ]
    cases = list_cases([release(families, references)])
    assert [case.gflops for case in cases] == [1000, 100, 500, 50]


def test_cases_as_long_stand_by_geometry_then_as_published() -> None:
    families = [family("b"), family("a")]
    references = [
        reference("a", "16M"),
        reference("b", "2M"),
        reference("b", "1M", protocol="other"),
        reference("b", "16M"),
    ]
    assert ids(list_cases([release(families, references)])) == [
        "b/2M@plain",
        "b/16M@plain",
        "a/16M@plain",
        "b/1M@other",
    ]


def test_cases_of_the_same_pixels_follow_each_other() -> None:
    families = [family("quick"), family("slow", "large")]
    references = [
        reference(name, protocol=protocol, dataset=dataset)
        for name in ("quick", "slow")
        for protocol in ("plain", "other")
        for dataset in ("val", "extra")
    ]
    cases = list_cases([release(families, references)])
    assert [case.pixel_key[1] for case in cases] == ["val"] * 4 + ["extra"] * 4
    assert [case.family.id for case in cases] == ["slow", "quick"] * 4
    changes = sum(a.pixel_key != b.pixel_key for a, b in pairwise(cases))
    assert changes == len({case.pixel_key for case in cases}) - 1


def test_checkpoints_without_a_size_stand_as_in_the_file(tmp_path: Path) -> None:
    names = ["resnet56", "resnet110", "resnet20"]
    made = release([family("a")], [reference("a", name) for name in names])
    touch(tmp_path / "a" / "another.pt")
    found = order_for_reading(list_cases([made], tmp_path))
    assert [case.checkpoint for case in found] == [*names, "another"]
    results = in_order([result_of(case, Verdict.UNREFERENCED) for case in found[::-1]])
    assert [result.checkpoint for result in results] == [*names, "another"]


def test_tables_show_families_as_published_and_checkpoints_by_size() -> None:
    families = [family("b"), family("a", "large")]
    references = [
        reference("a", "1M"),
        reference("b", "16M"),
        reference("b", "2M"),
        reference("b", "best"),
        reference("b", "2M", dataset="extra"),
    ]
    cases = list_cases([release(families, references)])
    assert ids(order_for_reading(cases)) == [
        "b/best@plain",
        "b/2M@plain:extra",
        "b/2M@plain",
        "b/16M@plain",
        "a/1M@plain",
    ]


@settings(max_examples=20)
@given(st.randoms(use_true_random=False))
def test_the_order_does_not_depend_on_the_order_of_the_references(
    shuffler: random.Random,
) -> None:
    (scaling,) = read_releases([EXPECTED / "synthetic-scaling"])
    shuffled = list(scaling.references)
    shuffler.shuffle(shuffled)
    again = msgspec.structs.replace(scaling, references=tuple(shuffled))
    assert ids(list_cases([again])) == ids(list_cases([scaling]))


# Cost ------------------------------------------------------------------------------

IMPORTS_NO_TORCH = """
import sys
from pathlib import Path
from repro.cases import list_cases
from repro.published import read_releases
assert list_cases(read_releases([sys.argv[1]]), Path(sys.argv[2]))
heavy = {"torch", "torchvision", "timm", "open_clip", "numpy", "scipy", "PIL"}
sys.exit(f"imported: {heavy & sys.modules.keys()}" if heavy & sys.modules.keys() else 0)
"""


def test_listing_cases_imports_nothing_heavy(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", IMPORTS_NO_TORCH, str(EXPECTED), str(tmp_path)],
        cwd=EXPECTED.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_a_checkpoint_of_another_architecture_than_its_family_is_listed_so() -> None:
    (embedded,) = read_releases([EMBEDDED])
    name = "supervised/real"
    other = msgspec.structs.replace(
        embedded.families[name], models={"80": "clip-digits"}
    )
    families = {**embedded.families, name: other}
    changed = msgspec.structs.replace(embedded, families=families)
    models = {
        case.checkpoint: case.model.id
        for case in list_cases([changed])
        if case.family.id == name
    }
    rest = dict.fromkeys(("40", "160", "320", "640", "1280"), "vit-digits")
    assert models == {**rest, "80": "clip-digits"}
