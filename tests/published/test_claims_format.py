"""Claims are read as docs/claims.md says, and what is wrong is one clear error."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from repro.published import (
    ExponentClaim,
    OrderingClaim,
    SaturationClaim,
    SlopesClaim,
)
from repro.published.statements import parse_range

from ..releases import HEAD, fault_of
from ..releases import read_release as read
from .documented import EXAMPLE
from .made_claims import CLAIMS, OWN

DOCUMENT = (Path(__file__).parents[2] / "docs/claims.md").read_text("utf-8")


def test_each_kind_of_claim_is_read(tmp_path: Path) -> None:
    exponent, slopes, saturation, ordering = read(
        tmp_path, HEAD + "".join(CLAIMS.values())
    ).claims
    real = ("supervised/real",)
    assert isinstance(exponent, ExponentClaim)
    assert (exponent.place, exponent.exponent) == (real, "0.196")
    assert str(exponent.range) == "0.125M..4M"
    assert isinstance(slopes, SlopesClaim)
    assert slopes.ranked() == [
        (real, parse_range("over", "1M..4M")),
        (real, parse_range("over", "2M..8M")),
    ]
    assert isinstance(saturation, SaturationClaim)
    assert saturation.ranges == (
        parse_range("over", "1M..4M"),
        parse_range("over", "4M..16M"),
    )
    assert isinstance(ordering, OrderingClaim)
    assert list(ordering.rankings()) == [[(real, "2M"), (real, "1M")]]


def test_one_range_and_one_name_count_for_all_families(tmp_path: Path) -> None:
    changed = (CLAIMS["slopes"] + CLAIMS["ordering"]).replace(
        '["1M..4M", "2M..8M"]', '"1M..4M"'
    )
    slopes, ordering = read(
        tmp_path, HEAD + changed.replace('[["2M", "1M"]]', '["1M", "4M"]')
    ).claims
    assert isinstance(slopes, SlopesClaim)
    assert {over for _, over in slopes.ranked()} == {parse_range("over", "1M..4M")}
    assert isinstance(ordering, OrderingClaim)
    assert [[name for _, name in row] for row in ordering.rankings()] == [
        ["1M", "1M"],
        ["4M", "4M"],
    ]


def test_a_range_holds_what_lies_between_its_ends() -> None:
    over = parse_range("over", "0.125M..4M")
    names = ("125K", "1M", "4M", "4.1M", "64K", "best")
    assert [name in over for name in names] == [True, True, True, False, False, False]
    assert str(over) == "0.125M..4M"


def test_a_list_has_just_its_names() -> None:
    only = parse_range("over", "1M,4M")
    assert [name in only for name in ("1M", "2M", "4M")] == [True, False, True]
    assert str(only) == "1M,4M"


@pytest.mark.parametrize(
    ("kind", "old", "new", "message"),
    [
        ("exponent", 'kind = "exponent"', "", "the key 'kind' is missing; it is 'exp"),
        ("exponent", 'kind = "exponent"', 'kind = "x"', "kind is 'x'; it must be 'exp"),
        ("exponent", 'family = "super', 'family = "x', "family names 'xvised/real', w"),
        ("exponent", 'family = "supervised/real"', "family = []", "a list of families"),
        ("exponent", '"supervised/real"', '"clip"', "protocol 'plain' is supervised, "),
        ("exponent", '"0.196"', "0.196", "must be a string, not a decimal"),
        ("exponent", '"0.196"', '"steep"', "exponent is 'steep'; it must be a number"),
        ("exponent", '"0.001"', '"-1"', "uncertainty is '-1'; it must be a number"),
        ("exponent", '"0.196"', '"nan"', "exponent is 'nan'; it must be a number"),
        ("exponent", '"0.001"', '"inf"', "uncertainty is 'inf'; it must be a number"),
        ("exponent", "0.125M..4M", "4M", "over is '4M'; it must be checkpoints na"),
        ("exponent", "0.125M..4M", "0..4M", "over is '0..4M'; it must be checkpoints"),
        ("exponent", "0.125M..4M", "best,4M", "over is 'best,4M'; it must be check"),
        ("saturation", "0.5", "0", "below is 0.0; it must be above 0, at most 1"),
        ("slopes", '["1M..4M", "2M..8M"]', "[]", "over has 0 ranges for 2 families"),
        ("exponent", "0.125M..4M", "0.125M-4M", "over is '0.125M-4M'; it must be che"),
        ("exponent", "0.125M..4M", "4M..1M", "over is '4M..1M'; the smaller one comes"),
        ("exponent", "0.125M..4M", "1M..2M..4M", "over is '1M..2M..4M'; it must be c"),
        ("exponent", "0.125M..4M", "1M,1M", "over is '1M,1M'; the smaller one comes"),
        ("exponent", '"plain"', '"round"', "protocol names 'round', which is not"),
        ("exponent", '"val"', '"test"', "dataset names 'test', which is not"),
        ("exponent", '"paper"', '"blog"', "source names 'blog', which is not"),
        (
            "exponent",
            "[[claim]]",
            '[[claim]]\nmetric = "top1"',
            "metric is 'top1'; a p",
        ),
        ("exponent", "[[claim]]", '[[claim]]\nexpected = "fails"', "expected is 'fail"),
        ("exponent", "[[claim]]", '[[claim]]\nexpected = "no"', "'no' is not 'holds' "),
        ("exponent", "[[claim]]", "[[claim]]\ncolour = 1", "unknown key 'colour'; all"),
        ("slopes", '["1M..4M", "2M..8M"]', '["1M..4M"]', "over has 1 ranges for 2 fam"),
        ("slopes", ', ["supervised/real"]', "", "order ranks two families or more"),
        ("saturation", "0.5", "1.5", "below is 1.5; it must be above 0, at most 1"),
        ("ordering", '[["2M", "1M"]]', "[]", "checkpoints is empty; name at least one"),
        ("ordering", '[["2M", "1M"]]', '[["2M"]]', "checkpoints holds ['2M'] for 2 f"),
        ("ordering", 'metric = "top1"', "", "the key 'metric' is missing"),
    ],
)
def test_what_is_wrong_with_a_claim_is_said(
    tmp_path: Path, kind: str, old: str, new: str, message: str
) -> None:
    assert old in CLAIMS[kind]
    found = fault_of(tmp_path, HEAD + CLAIMS[kind].replace(old, new, 1))
    place, _, said = found.partition(": ")
    assert place.startswith("claim 1")
    assert said.startswith(message)


@pytest.mark.parametrize("share", [1, 0.001])
def test_a_law_may_flatten_by_any_share_up_to_all_of_it(
    tmp_path: Path, share: float
) -> None:
    claim = CLAIMS["saturation"].replace("below = 0.5", f"below = {share}")
    (read_claim,) = read(tmp_path, HEAD + claim).claims
    assert isinstance(read_claim, SaturationClaim)
    assert read_claim.below == share


def test_two_claims_of_one_id_are_refused(tmp_path: Path) -> None:
    found = fault_of(tmp_path, HEAD + 2 * CLAIMS["exponent"])
    assert found.startswith("claim 2: id 'exponent' stands in ")


@pytest.mark.parametrize("kind", OWN)
def test_every_key_of_a_claim_is_documented(tmp_path: Path, kind: str) -> None:
    unknown = CLAIMS[kind].replace("[[claim]]", "[[claim]]\ncolour = 1")
    found = fault_of(tmp_path, HEAD + unknown)
    allowed = set(found.rpartition("allowed are ")[2].split(", "))
    assert keys("## Keys") | keys(f"### Claim `{kind}`") == allowed | {"kind"}


def test_the_documented_example_is_read(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", DOCUMENT, re.DOTALL)
    real = EXAMPLE[EXAMPLE.index('[family."supervised/real"]') :].split("\n\n")[0]
    synthetic = real.replace("supervised/real", "supervised/synthetic")
    release = read(tmp_path, f"{EXAMPLE}\n{synthetic}\n{example}")
    assert [claim.kind for claim in release.claims] == ["slopes", "ordering"]


def keys(heading: str) -> set[str]:
    section = DOCUMENT.split(f"\n{heading}\n", maxsplit=1)[1].split("\n#")[0]
    return set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))


def test_what_a_claim_does_not_say_is_as_documented(tmp_path: Path) -> None:
    left_out = {
        "exponent": ['uncertainty = "0.001"\n', 'over = "0.125M..4M"\n'],
        "slopes": [],
        "saturation": ["below = 0.5\n"],
        "ordering": ["ties = true\n"],
    }
    text = HEAD
    for kind, lines in left_out.items():
        claim = CLAIMS[kind]
        for line in lines:
            assert line in claim
            claim = claim.replace(line, "")
        text += claim
    exponent, slopes, saturation, ordering = read(tmp_path, text).claims
    assert isinstance(exponent, ExponentClaim)
    assert (exponent.uncertainty, exponent.range) == ("0", None)
    assert isinstance(saturation, SaturationClaim)
    assert saturation.below == 1
    assert isinstance(ordering, OrderingClaim)
    assert not ordering.ties
    assert {claim.metric for claim in (exponent, slopes, saturation)} == {"loss"}
    for found in (exponent, slopes, saturation, ordering):
        assert (found.expected, found.note) == ("holds", "")


@pytest.mark.parametrize("expected", ["fails", "undecided"])
def test_a_claim_may_be_known_not_to_hold(tmp_path: Path, expected: str) -> None:
    known = f'[[claim]]\nexpected = "{expected}"\nnote = "see page 3"'
    (claim,) = read(
        tmp_path, HEAD + CLAIMS["exponent"].replace("[[claim]]", known)
    ).claims
    assert (claim.expected, claim.note) == (expected, "see page 3")


def test_a_list_may_have_more_than_two_names_that_rise() -> None:
    assert parse_range("over", "1M,2M,4M").names == ("1M", "2M", "4M")
    for text in ("1M,4M,2M", "2M,1M,4M", "1M,2M,2M"):
        with pytest.raises(ValueError, match="the smaller one comes first"):
            parse_range("over", text)
