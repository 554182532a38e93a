"""Two things at once are named where both are needed, and nowhere else."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest

from repro.diagnosis.findings import Restored, Trial
from repro.diagnosis.sentences import sentence
from repro.diagnosis.setup import Facts, Setup
from repro.diagnosis.suspects import (
    Topic,
    both,
    likely_pairs,
    read_topics,
    topic_named,
    ways_of,
)
from repro.diagnosis.trials import coincidences, rank, settled

from .planted import planted

CASE = planted("supervised/real/160", top1="70.00", top5="90.00", loss="1.000000")
OWN = Setup(protocol=CASE.protocol, model=CASE.model, precision="fp32")
WAYS = ways_of(OWN, Facts(classes=CASE.dataset.classes))
#: In percent and nats, as protocol and source have them.
MEASURED, PUBLISHED = (80.0, 95.0, 0.5), ("70.00", "90.00", "1.000000")


def trial(suspect: str, topic: str, moves: tuple[float, ...], **more: Any) -> Trial:
    """Try a suspect that moves the numbers, on all images."""
    restored = []
    for metric, measured, published, move in zip(
        ("top1", "top5", "loss"), MEASURED, PUBLISHED, moves, strict=True
    ):
        share = move / (float(published) - measured)
        near = abs(1 - share) < 1e-5
        restored.append(
            Restored(
                metric=metric,
                published=published,
                measured=measured,
                value=measured + move,
                error=0.0,
                share=share,
                is_met=near,
            )
        )
    is_met = all(number.is_met for number in restored)
    known: dict[str, Any] = {
        "instead": "",
        "images": 500,
        "compared": 500,
        "gained": 0,
        "lost": 50,
        "p": 0.0,
        "fit": 10.0 if is_met else -50.0,
        "outcome": "restored" if is_met else "unexplained",
    }
    return Trial(
        suspect=suspect, topic=topic, restored=tuple(restored), **{**known, **more}
    )


def alone(topic: str, place: int, moves: tuple[float, ...]) -> Trial:
    return trial(read_topics()[topic].suspects[place].name, topic, moves)


def test_the_pair_whose_effects_add_up_to_the_gap_comes_first() -> None:
    tried = [
        alone("normalisation", 1, (-7.0, -3.0, 0.3)),
        alone("interpolation", 1, (-3.0, -2.0, 0.2)),
        alone("resize and crop", 1, (5.0, 1.0, -0.2)),
        alone("colour channels", 0, (-60.0, -40.0, 3.0)),
    ]
    first, *others = likely_pairs(tried, WAYS)
    assert [way[1].name for way in first] == [trial.suspect for trial in tried[:2]]
    # Those of one topic rule each other out.
    assert len(others) == 5


def test_what_hardly_moves_a_number_is_no_half_of_a_pair() -> None:
    tried = [
        alone("normalisation", 1, (-9.9, -4.9, 0.49)),
        alone("precision", 0, (0.0, 0.0, 0.0001)),
    ]
    assert likely_pairs(tried, WAYS) == []


def test_both_things_are_done_otherwise_and_one_that_rules_out_the_other_is_not() -> (
    None
):
    ways = {way[1].name: way for way in WAYS}
    facts = Facts(classes=CASE.dataset.classes)
    pair = both(ways["ImageNet mean/std"], ways["channels in the order BGR"], facts)
    assert pair
    topic, suspect, setup = pair
    assert suspect.name == "ImageNet mean/std and channels in the order BGR"
    assert setup.protocol.mean == (0.485, 0.456, 0.406)
    assert setup.channels == (2, 1, 0)
    assert topic_named(topic.name) == topic
    # Where the whole image is squashed there is no crop.
    squashed = ways["the whole image squashed to a square"]
    assert both(squashed, squashed, facts) is None


def joint(moves: tuple[float, ...]) -> Trial:
    return trial("this and that", "normalisation + colour channels", moves)


def test_a_pair_is_named_where_it_restores_everything_and_nothing_alone_does() -> None:
    pair = joint((-10.0, -5.0, 0.5))
    others = [
        alone("normalisation", 1, (-7.0, -3.0, 0.3)),
        alone("colour channels", 0, (-2.5, -2.0, 0.25)),
    ]
    trials = sorted([*others, pair], key=rank)
    assert settled(trials) == "restored"
    said = sentence("restored", trials)
    assert "another normalisation and another order of the colour channels" in said
    assert said.endswith("Neither alone explains it.")
    # What does it alone is the cause.
    single = alone("interpolation", 0, (-10.0, -5.0, 0.5))
    assert sorted([pair, *others, single], key=rank)[0] == single


def test_among_many_pairs_one_that_comes_near_by_chance_is_none() -> None:
    """With one number of two digits some pair out of hundreds always fits."""
    topics: list[Topic] = list(read_topics().values())
    places = itertools.product(range(5), topics[:5])
    many = [
        alone_of_one(topic.suspects[place % len(topic.suspects)].name, topic.name, n)
        for n, (place, topic) in enumerate(places)
    ]
    pair = only_top1(joint((-10.0, -5.0, 0.5)))
    trials = sorted([*many, pair], key=rank)
    assert trials[0] == pair
    assert coincidences(trials) > 1
    assert settled(trials) == "unsettled"


def alone_of_one(suspect: str, topic: str, number: int) -> Trial:
    return only_top1(trial(suspect, topic, (-0.5 * number - 0.3, 0.0, 0.0)))


def only_top1(found: Trial) -> Trial:
    return msgspec.structs.replace(found, restored=found.restored[:1])


@pytest.mark.parametrize("outcome", ["unexplained", "unsettled"])
def test_pairs_that_do_not_restore_all_are_not_spoken_of(outcome: Any) -> None:
    pair = msgspec.structs.replace(joint((-9.0, -4.0, 0.4)), outcome="likely")
    other = alone("colour channels", 0, (-2.5, -2.0, 0.25))
    trials = sorted([other, pair], key=rank)
    assert settled(trials) == "unexplained"
    assert "this and that" not in sentence(outcome, trials)
