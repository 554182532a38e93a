from __future__ import annotations

import pytest

from repro.diagnosis.findings import Restored, Trial
from repro.diagnosis.sentences import advice, sentence


@pytest.mark.parametrize("is_limited", [True, False])
def test_what_to_do_is_to_leave_out_a_limit_only_where_there_is_one(
    is_limited: bool,
) -> None:
    said = advice("unsettled", None, is_limited=is_limited)
    assert ("--repro-limit" in said) == is_limited
    assert "--repro-diagnose-share" in said


def of_loss(value: float, error: float = 0.0) -> Restored:
    return Restored(
        metric="loss",
        published="2.0000",
        measured=1.0,
        value=value,
        error=error,
        share=value - 1.0,
        is_met=abs(value - 2) < 0.2,
    )


@pytest.mark.parametrize(("value", "explained"), [(2.0, 1.0), (2.1, 0.9), (1.9, 0.9)])
def test_what_goes_beyond_the_published_number_explains_no_more_than_all_of_it(
    value: float, explained: float
) -> None:
    assert of_loss(value).explained == pytest.approx(explained)


@pytest.mark.parametrize(
    ("value", "error", "is_said"),
    [(1.8, 0.1, True), (1.8, 0.6, False), (3.1, 0.1, False), (0.9, 0.1, False)],
)
def test_closest_is_only_what_is_closer_and_surely_so(
    value: float, error: float, is_said: bool
) -> None:
    trial = Trial(
        suspect="another crop",
        topic="resize and crop",
        instead="",
        images=10,
        compared=10,
        restored=(of_loss(value, error),),
        gained=0,
        lost=0,
        p=1.0,
        fit=-9.0,
        outcome="unexplained",
    )
    said = sentence("unexplained", [trial])
    assert ("closest is another crop" in said) == is_said
    assert ("none comes closer" in said) != is_said
