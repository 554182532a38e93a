"""Claims as tests: which a test gets, and what comes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import pytest

from repro.errors import ReproError
from repro.plugin.selection import MARKER, SETTINGS, all_cases, check_family
from repro.plugin.settings import read_settings

if TYPE_CHECKING:
    from repro.claims.evidence import MeasuredCheckpoint, Stated
    from repro.claims.result import ClaimResult
    from repro.plugin.runner import CaseRunner

RESULT = pytest.StashKey["ClaimResult"]()


def claim_of(item: pytest.Item) -> Stated | None:
    """Give the claim of a test, if it has one."""
    if item.get_closest_marker(MARKER) is None:
        return None
    from repro.claims.evidence import Stated

    # A test for which there is no claim has a placeholder of pytest's.
    callspec = getattr(item, "callspec", None)
    found = callspec.params.get("claim") if callspec else None
    return found if isinstance(found, Stated) else None


def parametrize_claims(metafunc: pytest.Metafunc) -> None:
    """Give a marked test that asks for `claim` one parameter set for each claim.

    Raises:
        CollectError: options, marker or published numbers are wrong.
    """
    marker = metafunc.definition.get_closest_marker(MARKER)
    if marker is None or "claim" not in metafunc.fixturenames:
        return
    from repro.claims.evidence import Stated
    from repro.published import read_releases

    folder = metafunc.definition.path.parent
    try:
        settings = read_settings(metafunc.config, marker.kwargs, folder)
        releases = read_releases(settings.expected)
        check_family(marker, releases)
        chosen = [Stated(release, c) for release in releases for c in release.claims]
    except ReproError as error:
        raise pytest.Collector.CollectError(str(error)) from error
    metafunc.parametrize(
        "claim",
        [
            pytest.param(stated, id=stated.id, marks=pytest.mark.claim)
            for stated in chosen
            if _is_selected(stated, marker.kwargs)
        ],
        indirect=True,
    )


def put_claims_last(items: list[pytest.Item]) -> None:
    """Move the tests of claims behind all others, whose measurements they take."""
    items.sort(key=lambda item: claim_of(item) is not None)


def uphold(item: pytest.Item, stated: Stated, runner: CaseRunner) -> ClaimResult:
    """Check a claim with what this run measures, and end its test accordingly."""
    from repro.claims.evidence import MeasuredEvidence
    from repro.claims.judge import judge_claim
    from repro.claims.result import ClaimVerdict
    from repro.report.claims_report import claim_text, short_text

    claim, release = stated.claim, stated.release
    evidence = MeasuredEvidence(
        claim,
        lambda family: _known_checkpoints(item, stated, family),
        lambda family, checkpoint: _measure(stated, family, checkpoint, runner),
    )
    result = judge_claim(release, claim, evidence)
    item.stash[RESULT] = result
    strict = item.stash[SETTINGS].strict
    if result.is_surprise:
        pytest.fail(claim_text(result), pytrace=False)
    if result.verdict is ClaimVerdict.MISSING or result.reason:
        if strict:
            pytest.fail(claim_text(result), pytrace=False)
        pytest.skip(short_text(result))
    if not result.is_as_expected:
        pytest.skip(short_text(result))
    return result


def attach_claim(item: pytest.Item, report: pytest.TestReport) -> None:
    """Let the result of a claim travel with its next report, as plain data."""
    import msgspec

    result = item.stash.get(RESULT, None)
    if result is not None:
        del item.stash[RESULT]
        report.repro_claim = msgspec.to_builtins(result)  # type: ignore[attr-defined]


def _known_checkpoints(item: pytest.Item, stated: Stated, family: str) -> Sequence[str]:
    """List the checkpoints of a family that have references or weights."""
    cases = all_cases(item.config, item.stash[SETTINGS])
    return list(
        dict.fromkeys(
            case.checkpoint
            for case in cases
            if (case.release.id, case.family.id) == (stated.release.id, family)
        )
    )


def _measure(
    stated: Stated, family: str, checkpoint: str, runner: CaseRunner
) -> MeasuredCheckpoint:
    """Take the measurement of this run, or make it.

    Raises:
        MissingError: weights or images are not here, or not what they should be.
    """
    from repro.cases import Case
    from repro.claims.evidence import MeasuredCheckpoint, MissingError

    release = stated.release
    case = Case(
        release=release,
        family=release.families[family],
        checkpoint=checkpoint,
        protocol=release.protocols[stated.claim.protocol],
        dataset=release.datasets[stated.claim.dataset],
    )
    try:
        measurement, predictions = runner.measure(case)
    except ReproError as error:
        raise MissingError(str(error)) from error
    return MeasuredCheckpoint(
        metrics=measurement.metrics,
        total=measurement.total,
        in_other_precision=measurement.in_other_precision(case.protocol.precision),
        predictions=predictions,
    )


def _is_selected(stated: Stated, keywords: Mapping[str, Any]) -> bool:
    """Whether the marker's `kind` and `family` let a claim through."""
    release, claim = stated.release, stated.claim
    kind, pattern = keywords.get("kind"), keywords.get("family", "*")
    return kind in (None, release.protocols[claim.protocol].kind) and any(
        fnmatchcase(family, pattern) for place in claim.places() for family in place
    )
