"""Which cases a test gets, their order, and how -k and -m choose among them."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path

import pytest

from repro.cases import list_cases
from repro.published import read_releases

MODULE = """
import pytest

@pytest.mark.repro(kind="supervised")
def test_supervised(case, reproduce):
    reproduce(case)

@pytest.mark.repro(kind="clip")
def test_clip(case, reproduce):
    reproduce(case)
"""

EXPECTED = Path(__file__).parents[2] / "expected"

CollectIds = Callable[..., list[str]]


@pytest.fixture
def collect(pytester: pytest.Pytester) -> CollectIds:
    """Collect the ids of cases of the paper's release: `collect(*options)`."""

    def run(*options: str) -> list[str]:
        pytester.makepyfile(test_release=MODULE)
        result = pytester.runpytest(
            "--collect-only", "-q", f"--repro-expected={EXPECTED}", *options
        )
        return [
            line.partition("[")[2].removesuffix("]")
            for line in result.outlines
            if "@" in line
        ]

    return run


def test_all_cases_are_collected_longest_first(
    collect: CollectIds,
) -> None:
    assert collect() == [case.id for case in list_cases(read_releases([EXPECTED]))]


def test_k_supervised_takes_all_supervised_cases_and_no_other(
    collect: CollectIds,
) -> None:
    ids = collect("-k", "supervised")
    assert len(ids) == 40
    assert all(name.startswith("supervised/") for name in ids)


def test_k_clip_and_371m_takes_the_three_largest_clip_checkpoints(
    collect: CollectIds,
) -> None:
    ids = collect("-k", "clip and 371M")
    assert {name.partition("@")[0] for name in ids} == {
        "clip/real/371M",
        "clip/synthetic/371M",
        "clip/synthetic+real/371M",
    }


@pytest.mark.parametrize("kind", ["supervised", "clip"])
def test_m_goes_by_the_kind_of_model(collect: CollectIds, kind: str) -> None:
    ids = collect("-m", kind, "--strict-markers")
    assert ids
    assert all(name.startswith(f"{kind}/") for name in ids)


def test_a_family_pattern_in_the_marker_chooses(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.repro(expected="embedded", family="clip/s*")
        def test_some(case):
            pass
        """
    )
    result = pytester.runpytest("--collect-only", "-q")
    ids = [line for line in result.outlines if "@" in line]
    assert ids
    assert all("[clip/synthetic" in line for line in ids)


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ('kinds="clip"', "*does not know 'kinds'; it takes kind, family, data, *"),
        ('kind="text"', "*kind of the marker repro is 'text'; it must be 'superv*"),
        (
            'expected="embedded", family="clip/reel"',
            "*family of the marker repro is 'clip/reel', and no family of the*",
        ),
        ('"clip"', "*the marker repro takes keywords only, not 'clip'*"),
        ('precision="fp8"', "*precision of the marker repro is 'fp8'; it must be*"),
        ('expected="no.toml"', "*no.toml does not exist; name a TOML file*"),
    ],
)
def test_a_wrong_marker_is_one_clear_error(
    pytester: pytest.Pytester, marker: str, message: str
) -> None:
    pytester.makepyfile(
        f"""
        import pytest

        @pytest.mark.repro({marker})
        def test_some(case):
            pass
        """
    )
    result = pytester.runpytest()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([message])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_suite_without_published_numbers_says_how_to_name_some(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(MODULE)
    result = pytester.runpytest()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*no published numbers: name a TOML file*"])


def test_the_fixture_case_explains_itself_in_an_unmarked_test(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile("def test_mine(case):\n    pass\n")
    result = pytester.runpytest()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*tests marked with @pytest.mark.repro*"])


def test_a_project_keeps_its_own_fixtures_of_the_same_names(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture(params=[1, 2])
        def case(request):
            return request.param

        @pytest.fixture
        def dataset():
            return "mine"

        def test_mine(case, dataset):
            assert (case in (1, 2), dataset) == (True, "mine")
        """
    )
    pytester.runpytest().assert_outcomes(passed=2)


def test_the_collector_of_garbage_is_left_as_it_was(pytester: pytest.Pytester) -> None:
    # What others ask it of is hidden where anything is frozen: hypothesis warns then.
    pytester.makeconftest("import gc\nFROZEN = gc.get_freeze_count()")
    pytester.makepyfile(
        """
        import gc

        import pytest
        from conftest import FROZEN

        @pytest.mark.repro(expected="embedded")
        def test_checkpoint(case):
            assert gc.isenabled()
            assert gc.get_freeze_count() == FROZEN
        """
    )
    result = pytester.runpytest_subprocess("--repro-case=supervised/real/40@*")
    result.assert_outcomes(passed=1, deselected=29)


@pytest.mark.parametrize(
    "options",
    [("--repro-expected=nowhere.toml",), ("--repro-baseline=7", "--collect-only"), ()],
)
def test_garbage_is_collected_again_whatever_becomes_of_collection(
    options: tuple[str, ...], pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.repro
        def test_checkpoint(case):
            pass
        """
    )
    pytester.makeini("[pytest]\nrepro_ledger = ledger\nrepro_expected = embedded")
    gc.enable()
    pytester.runpytest_inprocess("--repro-baseline=7", *options)
    assert gc.isenabled()
