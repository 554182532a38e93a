"""Claims as tests: they take what the run measures, and say what comes of them."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from repro.records.ledger import FILE

from .claims import CLAIMS_SUITE, STEEP, exponent, ordering
from .conftest import SUITE, ReleaseCopy

RunClaims = Callable[..., pytest.RunResult]


@pytest.fixture
def run_claims(pytester: pytest.Pytester, release: ReleaseCopy) -> RunClaims:
    """Run cases and claims on the release: `run_claims(claims, *options)`."""

    def run(claims: str, *options: str) -> pytest.RunResult:
        (release.folder / "claims.toml").write_text(claims)
        # Claims first, as in tests/reproduction.
        pytester.makepyfile(test_a_claims=CLAIMS_SUITE, test_b_cases=SUITE)
        return pytester.runpytest(
            "-p",
            "no:cacheprovider",
            f"--repro-expected={release.folder}",
            f"--repro-cache={pytester.path / 'cache'}",
            *options,
        )

    return run


def test_claims_come_after_the_cases_and_have_a_section_of_their_own(
    run_claims: RunClaims, pytester: pytest.Pytester
) -> None:
    claims = exponent("steep", STEEP) + ordering("more", "160", "80")
    result = run_claims(claims, "-v", "--repro-report=r.json")
    result.assert_outcomes(passed=3 + 2)
    result.stdout.fnmatch_lines(
        [
            "test_b_cases.py::*supervised/real/80*PASSED*",
            "test_a_claims.py::*steep*PASSED*",
            "*= published and measured =*",
            "*= claims =*",
            "holds     more",
            "holds     steep",
            "*exponent of supervised/real over 80..160 1.06*",
            "2 claims: 2 hold",
        ]
    )
    report = json.loads((pytester.path / "r.json").read_text())
    assert [claim["verdict"] for claim in report["claims"]] == ["holds", "holds"]
    assert len(report["cases"]) == 3


def test_without_their_cases_claims_measure_for_themselves_and_leave_no_record(
    run_claims: RunClaims, pytester: pytest.Pytester
) -> None:
    result = run_claims(exponent("steep", STEEP), "-m", "claim")
    result.assert_outcomes(passed=1, deselected=3)
    result.stdout.fnmatch_lines(["1 claim: 1 holds"])
    result.stdout.no_fnmatch_line("*published and measured*")
    assert not list(pytester.path.rglob(FILE))


@pytest.mark.slow
def test_workers_share_what_claims_and_cases_measure(
    release: ReleaseCopy, run_claims: RunClaims, monkeypatch: pytest.MonkeyPatch
) -> None:
    release.keep("supervised/real/80", "supervised/real/160")
    release.bring_code()
    monkeypatch.setenv("REPRO_RUN_CODE", "1")
    claims = exponent("steep", STEEP) + ordering("more", "160", "80")
    result = run_claims(claims, "-n2")
    result.assert_outcomes(passed=2 + 2)
    result.stdout.fnmatch_lines(["2 cases: 2 reproduced", "2 claims: 2 hold"])


def test_a_claim_that_does_not_hold_fails_with_its_interval(
    run_claims: RunClaims, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    surprise = ordering("sure", "160", "80") + (
        'expected = "undecided"\nnote = "So it was thought."\n'
    )
    met = "meets what was published, though it is declared not to"
    result = run_claims(exponent("flat", "0.1") + surprise, "-m", "claim")
    result.assert_outcomes(failed=2, deselected=3)
    result.stdout.fnmatch_lines(
        [
            "claim flat diverges from what was published: fails",
            "  source *make_embedded_release.py*",
            "  exponent of * 1.06* (images resampled), wanted 0.1 +- *: fails",
            f"claim sure {met}: holds, expected undecided",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    summary = str(result.stdout).partition("short test summary")[2].splitlines()[1:-1]
    assert [line.partition(" - ")[2].removeprefix("Failed: ") for line in summary] == [
        "claim flat diverges from what was published: fails",
        f"claim sure {met}: holds, expected undecided",
    ]


def test_a_claim_that_does_not_hold_has_the_exit_status_of_a_divergence(
    run_claims: RunClaims,
) -> None:
    chosen = ("-m", "claim", "--repro-diverged-exit=10")
    assert run_claims(exponent("flat", "0.1"), *chosen).ret == 10
    assert run_claims(exponent("steep", STEEP), *chosen).ret == 0


def test_an_undecided_claim_is_skipped_unless_that_was_expected(
    run_claims: RunClaims,
) -> None:
    same = ordering("same", "80", "80")
    expected = ordering("known", "80", "80") + (
        'expected = "undecided"\nnote = "They are the same."\n'
    )
    result = run_claims(same + expected, "-m", "claim", "-rs")
    result.assert_outcomes(passed=1, skipped=1, deselected=3)
    result.stdout.fnmatch_lines(["*claim same: undecided;*[[]0.000, 0.000]*"])


@pytest.mark.parametrize("strict", [False, True])
def test_what_cannot_be_decided_says_why_and_fails_when_strict(
    run_claims: RunClaims, release: ReleaseCopy, strict: bool
) -> None:
    release.weights("supervised/real/160").unlink()
    claims = exponent("steep", STEEP) + ordering("same", "80", "80")
    options = ["-m", "claim", "-rsf", "--repro-limit=100"]
    result = run_claims(claims, *options, *["--repro-strict"] * strict)
    outcome = {"failed": 2} if strict else {"skipped": 2}
    result.assert_outcomes(deselected=3, **outcome)
    result.stdout.fnmatch_lines(
        ["*missing: supervised/real/160@digits-supervised", "*has no 160.pt*"]
    )
    result.stdout.fnmatch_lines(["*100 of 500 images*"])


def test_the_marker_chooses_claims_as_it_chooses_cases(
    pytester: pytest.Pytester, release: ReleaseCopy
) -> None:
    (release.folder / "claims.toml").write_text(exponent("steep", STEEP))
    pytester.makepyfile(
        f"""
        import pytest

        EXPECTED = {str(release.folder)!r}

        @pytest.mark.repro(expected=EXPECTED, kind="supervised")
        def test_supervised(claim): ...

        @pytest.mark.repro(expected=EXPECTED, family="clip/*")
        def test_clip(claim): ...
        """
    )
    result = pytester.runpytest("--collect-only", "-q")
    result.stdout.fnmatch_lines_random(
        ["*::test_supervised[[]steep]", "*::test_clip[[]*]", "2 tests collected*"]
    )
