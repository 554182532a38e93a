from __future__ import annotations

import pytest

from repro.diagnosis.sentences import advice


@pytest.mark.parametrize("is_limited", [True, False])
def test_what_to_do_is_to_leave_out_a_limit_only_where_there_is_one(
    is_limited: bool,
) -> None:
    said = advice("unsettled", None, is_limited=is_limited)
    assert ("--repro-limit" in said) == is_limited
    assert "--repro-diagnose-share" in said
