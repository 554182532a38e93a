"""The trial of docs/diagnosis.md: planted faults are named, faithful cases are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.planted_faults.faults import FAULTS
from tools.planted_faults.trial import diagnose_faithful, diagnose_faults

pytestmark = pytest.mark.slow


def test_nine_of_ten_planted_faults_are_named_and_nothing_else(tmp_path: Path) -> None:
    outcomes = list(diagnose_faults(FAULTS, tmp_path))
    missed = [o.fault.suspect for o in outcomes if not o.is_right]
    assert len(missed) <= 0.1 * len(outcomes), missed
    assert [o.named for o in outcomes if o.named and not o.is_right] == []
    assert max(outcome.cost for outcome in outcomes) <= 0.1


def test_faithful_checkpoints_get_no_explanation(tmp_path: Path) -> None:
    found = dict(diagnose_faithful(tmp_path))
    assert len(found) == 30
    assert [name for name, diagnosis in found.items() if diagnosis.cause] == []
