"""Decisions of float32 from cheap arithmetic: how often they are others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from repro.evaluation.predictions import Predictions
from repro.judgement import guarded
from repro.judgement.cheap import Drawn, chances
from repro.judgement.guarded import Guard, Guarded
from repro.published import METRICS, Reference, printed
from tests.made_releases import reference

from ..conftest import Often

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Random = np.random.Generator

#: Standard deviation of an error, in logits, where margins have one of 5.
SCALE = 0.12


class Law(NamedTuple):
    """How errors are drawn beside margins, and how likely one exceeds its margin."""

    draw: Callable[[Random, Floats], Floats]
    exceeds: Callable[[Floats], Floats]


def _alike(law: stats.rv_continuous, *shape: float) -> Law:
    return Law(
        lambda random, sizes: (
            SCALE * law.rvs(*shape, size=len(sizes), random_state=random)
        ),
        lambda sizes: law.sf(sizes / SCALE, *shape),
    )


def _depending(scale: Callable[[Floats], Floats]) -> Law:
    """Make errors whose size depends on that of the margin."""
    return Law(
        lambda random, sizes: scale(sizes) * random.standard_normal(len(sizes)),
        lambda sizes: stats.norm.sf(sizes / scale(sizes)),
    )


def _mixed(share: float, times: float) -> Law:
    """Make a few images very wrong."""
    return Law(
        lambda random, sizes: (
            SCALE
            * random.standard_normal(len(sizes))
            * np.where(random.random(len(sizes)) < share, times, 1)
        ),
        lambda sizes: (
            (1 - share) * stats.norm.sf(sizes / SCALE)
            + share * stats.norm.sf(sizes / SCALE / times)
        ),
    )


LAWS = {
    "normal": _alike(stats.norm),
    "Laplace": _alike(stats.laplace),
    "uniform": _alike(stats.uniform, -1, 2),
    "larger where a model is unsure": _depending(lambda s: SCALE * np.exp(-s / 4)),
    "larger where logits are": _depending(lambda sizes: 0.05 + 0.02 * sizes),
    "Student's t of 10": _alike(stats.t, 10),
}
#: Tails that are noticed by some samples and not by others, which need not.
DOUBTFUL = {f"Student's t of {n}": _alike(stats.t, n) for n in (4, 5, 6)}
#: Tails that are to be noticed.
HEAVY = {
    "Student's t of 3": _alike(stats.t, 3),
    "Cauchy": _alike(stats.cauchy),
    "one of 100 ten times as large": _mixed(0.01, 10),
}
#: Errors of another kind, in so few images that a sample may have none of them.
RARE = {
    "one of 1,000 twenty times as large": _mixed(1 / 1000, 20),
    "one of 1,000 eight times as large": _mixed(1 / 1000, 8),
    "one of 2,000 fifteen times as large": _mixed(1 / 2000, 15),
}


def published_loss(digits: str) -> Reference:
    """Publish a mean loss."""
    number = reference("f", metric="loss")
    return msgspec.structs.replace(number, published=printed(digits))


class World:
    """Images with exact margins and cheap ones, and what is computed of them."""

    def __init__(self, seed: int, law: Law, images: int = 20_000) -> None:
        random = np.random.default_rng(seed)
        self.exact = random.normal(4, 5, images)
        self.errors = law.draw(random, np.abs(self.exact))
        self.losses = np.logaddexp(0, -self.exact)
        self.digests = [f"{seed}-{number}" for number in range(images)]
        self.computed: list[int] = []

    @property
    def cheap(self) -> Predictions:
        """What cheap arithmetic says."""
        return self._predictions(np.arange(len(self.exact)), self.exact + self.errors)

    def compute(self, wanted: npt.NDArray[np.int64]) -> Predictions:
        """Give what float32 says of some images."""
        self.computed += wanted.tolist()
        return self._predictions(wanted, self.exact[wanted])

    def guard(self, numbers: Sequence[str] = ()) -> Guard:
        """Make a guard of a case with such published losses."""
        return Guard(self.compute, self.digests, [published_loss(n) for n in numbers])

    def _predictions(
        self, indices: npt.NDArray[np.int64], margins: Floats
    ) -> Predictions:
        right = (margins > 0).astype(np.int32)
        return Predictions(
            indices=indices,
            labels=np.ones(len(indices), np.int64),
            classes=np.stack([right, 1 - right], axis=1),
            losses=np.logaddexp(0, -np.nan_to_num(margins)),
            total=len(self.exact),
            # Two classes: no label is beyond the first five.
            margins=np.stack([margins, np.full_like(margins, np.inf)], axis=1),
        )


@pytest.mark.parametrize("name", [*LAWS, *DOUBTFUL])
def test_a_decision_differs_less_often_than_is_said(name: str, often: Often) -> None:
    law, expected, recomputed = (LAWS | DOUBTFUL)[name], [], []
    for seed in range(often(200, 8)):
        world = World(seed, law)
        guard = world.guard()
        found = guard.settle(world.cheap)
        assert guard.risk <= guarded.RISK
        again = found.recomputed
        # Not the few that came out otherwise, but how many are to be expected: of an
        # exact margin that was not looked at, the error that would turn it.
        left = np.abs(world.exact if again is None else world.exact[~again])
        expected.append(0.0 if again is None else float(law.exceeds(left).sum()))
        recomputed.append(1.0 if again is None else float(again.mean()))
    assert np.mean(expected) < guarded.PROMISED
    if name in LAWS:
        # Of Laplace and of t of 10 every sixth sample needs more, to be as sure.
        assert np.quantile(recomputed, 0.8) < 0.6


@pytest.mark.parametrize("name", HEAVY)
def test_a_heavy_tail_is_noticed_and_all_is_computed_in_float32(name: str) -> None:
    for seed in range(4):
        world = World(seed, HEAVY[name])
        guard = world.guard()
        found = guard.settle(world.cheap)
        assert found.recomputed is None
        assert np.array_equal(found.losses, world.losses)
        assert sorted(world.computed) == list(range(len(world.exact)))
        assert guard.report(world.cheap, "amp-bf16").reason


@pytest.mark.parametrize(
    ("images", "sampled"),
    [(251, 250), (1000, 250), (10_039, 250), (10_040, 251), (20_000, 500)],
)
def test_of_sure_decisions_a_fortieth_is_computed_and_some_at_least(
    monkeypatch: pytest.MonkeyPatch, images: int, sampled: int
) -> None:
    monkeypatch.setattr(guarded, "chances", lambda margins, *_: np.zeros(len(margins)))
    world = World(4, LAWS["normal"], images)
    world.guard().settle(world.cheap)
    assert len(world.computed) == len(set(world.computed)) == sampled


def test_a_part_that_is_smaller_than_a_sample_is_computed_as_a_whole() -> None:
    world = World(4, LAWS["normal"], 250)
    guard = world.guard()
    assert guard.settle(world.cheap).recomputed is None
    assert sorted(world.computed) == list(range(250))
    said = guard.report(world.cheap, "amp-bf16")
    assert said.reason == "all images are in the sample for amp-bf16"
    # Nothing else is said where there is a reason.
    assert (said.cheap, said.loss) == ("", None)
    assert (said.recomputed, said.risk, said.largest) == (0, 0, 0)


def test_half_as_many_again_are_computed_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(5, LAWS["normal"], images=2000)
    asked = []

    def compute(wanted: npt.NDArray[np.int64]) -> Predictions:
        asked.append(len(wanted))
        return World.compute(world, wanted)

    def doubtful(margins: Floats, seen: Bools, errors: Floats) -> Floats:
        return np.full(len(margins), 0.5)

    monkeypatch.setattr(guarded, "chances", doubtful)
    guard = Guard(compute, world.digests, [])
    assert guard.settle(world.cheap).recomputed is None
    # Beyond six tenths, all that is left.
    assert asked == [250, 125, 187, 281, 421, 736]
    reason = guard.report(world.cheap, "amp-bf16").reason
    assert reason == "too many decisions are too close for amp-bf16"


@pytest.mark.parametrize("name", RARE)
def test_of_errors_of_another_kind_two_that_are_seen_are_enough(
    name: str, often: Often
) -> None:
    law, expected = RARE[name], []
    for seed in range(often(150, 10)):
        world = World(seed, law)
        again = world.guard().settle(world.cheap).recomputed
        if again is None:
            expected.append(0.0)
        # Of the usual kind none is as large: one of 26 million.
        elif np.count_nonzero(np.abs(world.errors[again]) > 5.5 * SCALE) > 1:
            left = np.abs(world.exact + world.errors)[~again]
            expected.append(float(law.exceeds(left).sum()))
    # Of samples without them nothing can be said: the document has how many these are.
    assert len(expected) > often(75, 3)
    assert np.mean(expected) < guarded.PROMISED


def test_a_sample_grows_in_each_cell_by_what_is_wanted_and_no_more_than_twofold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(6, LAWS["normal"], images=20_000)
    wrong, asked = world.cheap.margins, list[list[int]]()
    assert wrong is not None
    wanted = [(1300, 0), (0, 0), (10**6, 700), (0, 10**6)]
    left = iter(wanted)

    def compute(images: npt.NDArray[np.int64]) -> Predictions:
        in_second = int((wrong[images, 0] < 0).sum())
        asked.append([len(images) - in_second, in_second])
        return World.compute(world, images)

    decided = iter([False] * len(wanted) + [True])
    monkeypatch.setattr(guarded, "chances", lambda margins, *_: np.zeros(len(margins)))
    monkeypatch.setattr(guarded, "is_decided", lambda *_: next(decided))
    monkeypatch.setattr(Drawn, "wanted", lambda *_: np.array(next(left)))
    guard = Guard(compute, world.digests, [published_loss("5.0")])
    assert guard.settle(world.cheap).recomputed is not None
    first, *grown = asked
    assert sum(first) == 500
    sizes = first
    for numbers, more in zip(wanted, grown, strict=True):
        expected = [
            max(0, min(number - size, size + 250))
            for number, size in zip(numbers, sizes, strict=True)
        ]
        assert more == (expected if any(expected) else [250, 250])
        sizes = [size + new for size, new in zip(sizes, more, strict=True)]


def test_what_was_computed_again_is_counted_and_its_largest_error_told() -> None:
    world = World(2, LAWS["Laplace"])
    guard = world.guard()
    guard.settle(world.cheap)
    said = guard.report(world.cheap, "amp-bf16")
    again = np.unique(world.computed)
    assert (said.cheap, said.reason) == ("amp-bf16", "")
    assert said.recomputed == len(again) < len(world.exact)
    assert said.largest == pytest.approx(np.abs(world.errors[again]).max())


def test_errors_that_are_larger_than_was_assumed_make_more_images_be_computed() -> None:
    numbers = []
    for times in (1, 3):
        world = World(1, LAWS["normal"])
        # A random sample has seven images of these, and those that are computed all.
        world.errors[np.abs(world.exact) < 0.1] *= times
        world.guard().settle(world.cheap)
        numbers.append(len(world.computed))
    assert numbers[1] > 1.2 * numbers[0]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_computed_again(bad: float) -> None:
    world = World(0, LAWS["normal"])
    world.errors[7] = bad
    found = world.guard().settle(world.cheap)
    assert found.recomputed is not None
    assert found.recomputed[7]
    assert np.isfinite(found.losses).all()


def test_without_any_error_nothing_is_learned_and_all_is_computed() -> None:
    world = World(0, LAWS["normal"])
    world.errors[:] = 0
    assert world.guard().settle(world.cheap).recomputed is None


def test_which_images_are_computed_hangs_on_what_they_are_not_where() -> None:
    world = World(3, LAWS["normal"])
    world.guard().settle(world.cheap)
    names = {world.digests[place] for place in world.computed}
    other = World(3, LAWS["normal"])
    order = np.random.default_rng(9).permutation(len(other.exact))
    other.exact, other.errors = other.exact[order], other.errors[order]
    other.digests = [other.digests[place] for place in order]
    other.guard().settle(other.cheap)
    assert {other.digests[place] for place in other.computed} == names


def test_a_part_of_the_images_that_is_settled_stays_computed() -> None:
    world = World(2, LAWS["normal"])
    guard, cheap = world.guard(), world.cheap
    part = world._predictions(cheap.indices[:10_000], world.exact + world.errors)
    part = Predictions(
        **{
            name: getattr(cheap, name)[:10_000]
            for name in ("indices", "labels", "classes", "losses", "margins")
        },
        total=cheap.total,
    )
    guard.settle(part)
    guard.settle(cheap)
    assert len(world.computed) == len(set(world.computed))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["normal", "uniform", "larger where logits are"])
def test_the_interval_of_the_loss_keeps_its_word(name: str, often: Often) -> None:
    missed = tried = 0
    for seed in range(often(1000, 40)):
        world = World(seed, LAWS[name])
        cheap, truth = world.cheap, float(world.losses.mean())
        # The sample grows until it tells on which side of a border the mean is.
        away = np.random.default_rng(seed).uniform(0.01, 0.1)
        guard = world.guard((f"{truth + away:.4f}",))
        found = guard.settle(cheap)
        if found.recomputed is None:
            continue
        assert guard.loss
        tried += 1
        missed += not guard.loss.low <= truth <= guard.loss.high
        assert guard.loss.low <= found.losses.mean() <= guard.loss.high
    assert tried > often(800, 30)
    # One of a thousand on average.
    assert stats.binomtest(missed, tried, 0.001, "greater").pvalue > 0.001


def test_the_loss_is_known_as_well_as_its_numbers_need() -> None:
    shares = []
    for digits in ("5.0", "0.6952", "0.6945"):
        world = World(0, LAWS["normal"], 50_000)
        guard = world.guard((digits,))
        found = guard.settle(world.cheap)
        shares.append(len(world.computed) / len(world.exact))
        if found.recomputed is None:
            assert guard.loss is None
            continue
        assert guarded.is_decided(published_loss(digits), guard.loss)
    # Far from its border, near it, and upon it.
    assert 0.1 < shares[0] < shares[1] < 0.6
    assert shares[2] == 1


def test_only_metrics_that_hang_on_where_the_label_is_are_guarded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert not guarded.obstacle()
    from repro.published.metrics import TOP1, hits_within, variant

    third = variant(TOP1, name="top3", title="t", phrase="p", each=hits_within(3))
    monkeypatch.setitem(METRICS, "top3", third)
    assert "top3" in guarded.obstacle()


def test_it_is_said_how_decisions_were_obtained() -> None:
    used = Guarded(cheap="amp-bf16", recomputed=1234, risk=5e-5)
    assert used.in_words(50_000) == (
        "guarded: amp-bf16, and 1,234 of 50,000 images again in fp32; "
        "less than 0.001 likely that a decision differs"
    )
    assert Guarded(reason="why").in_words(5) == "guarded does not pay here: why"


def test_what_many_small_errors_leave_impossible_is_a_number() -> None:
    random = np.random.default_rng(0)
    margins = np.concatenate([random.uniform(0, 1, 30_000), [1e5]])
    seen = np.arange(len(margins)) < 30_000
    found = chances(margins, seen, random.uniform(-0.01, 0.01, 30_000))
    assert 0 <= found[-1] < 1e-12
    assert np.isfinite(found).all()


@pytest.mark.parametrize("seen", [0, 50, 99, 100])
def test_of_too_few_images_nothing_is_said(seen: int) -> None:
    margins = np.linspace(0.1, 9, 500)
    known = np.arange(500) < seen
    errors = np.linspace(0.01, 0.1, seen)
    assert (chances(margins, known, errors) == 1).all() == (seen < 100)


@pytest.mark.parametrize("doubtful", [0, 30])
def test_what_was_computed_for_its_decision_is_no_sample(
    monkeypatch: pytest.MonkeyPatch, doubtful: int
) -> None:
    world = World(7, LAWS["normal"], images=5000)
    risks = np.where(np.arange(5000) < doubtful, 0.5, 0.0)
    made: list[dict[str, np.ndarray]] = []

    def drawn(**fields: np.ndarray) -> Drawn:
        made.append(fields)
        return Drawn(**fields)

    monkeypatch.setattr(guarded, "chances", lambda *_: risks)
    monkeypatch.setattr(guarded, "Drawn", drawn)
    world.guard().settle(world.cheap)
    (fields,) = made
    assert fields["is_open"].tolist() == [False] * doubtful + [True] * (5000 - doubtful)
    assert fields["known"].sum() == len(world.computed)
    assert fields["known"][:doubtful].all()
    # Whether cheap arithmetic decides it wrongly.
    wrong = world.exact + world.errors < 0
    assert (fields["cell"] == wrong).all()
    sample = np.flatnonzero(fields["sample"])
    assert len(sample) == 250
    assert set(world.computed) == {*sample.tolist(), *range(doubtful)}


@pytest.mark.parametrize("doubtful", [1, 3])
def test_no_more_is_computed_than_brings_the_risk_down(
    monkeypatch: pytest.MonkeyPatch, doubtful: int
) -> None:
    world = World(5, LAWS["normal"], images=1000)
    guard = world.guard()
    drawn: list[int] = []

    def chances(margins: Floats, seen: Bools, errors: Floats) -> Floats:
        if not drawn:
            drawn.extend(np.flatnonzero(seen).tolist())
        risks = np.zeros(len(margins))
        risks[
            np.flatnonzero(~seen if len(drawn) == seen.sum() else seen)[:doubtful]
        ] = 0.5
        return risks

    monkeypatch.setattr(guarded, "chances", chances)
    guard.settle(world.cheap)
    assert len(world.computed) == len(drawn) + doubtful
    assert guard.risk == 0
