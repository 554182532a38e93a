"""Claims as tests: what a run measures for them, and what comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

from repro.errors import ReproError
from repro.plugin.items import SETTINGS
from repro.plugin.outcomes import RESULT
from repro.plugin.selection import all_cases
from repro.words import visible

if TYPE_CHECKING:
    from repro.claims.evidence import MeasuredCheckpoint, Stated
    from repro.claims.result import ClaimResult
    from repro.plugin.runner import CaseRunner


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
        pytest.fail(visible(claim_text(result)), pytrace=False)
    if result.verdict is ClaimVerdict.MISSING or result.reason:
        if strict:
            pytest.fail(visible(claim_text(result)), pytrace=False)
        pytest.skip(visible(short_text(result)))
    if not result.is_as_expected:
        pytest.skip(visible(short_text(result)))
    return result


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
    from repro.claims.evidence import MissingError
    from repro.records.claims_from_ledger import checkpoint_of

    try:
        measured = runner.measure(stated.case(family, checkpoint))
    except ReproError as error:
        raise MissingError(str(error)) from error
    return checkpoint_of(stated, *measured)
